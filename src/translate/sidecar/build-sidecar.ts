import type { SidecarInput, SidecarOutput } from '../contract.ts'

/**
 * The listeners beside a workload, and their routes.
 * @throws Error always: the kind is refused by name until it is in this version
 */
export function buildSidecar({ sidecar }: SidecarInput): SidecarOutput {
  throw new Error(`the Sidecar ${sidecar.form.name} is not in this version`)
}
