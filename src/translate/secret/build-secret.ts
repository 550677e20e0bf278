import type { SecretInput, SecretOutput } from '../contract.ts'

/**
 * What is sent of a Secret, and what others may know of it.
 * @throws Error always: the kind is refused by name until it is in this version
 */
export function buildSecret({ secret }: SecretInput): SecretOutput {
  throw new Error(`the Secret ${secret.form.name} is not in this version`)
}
