import { readFileSync } from 'node:fs'
import { ControlPlaneError, messageOf } from '../errors.ts'

/**
 * The password in the file of `--etcd-password-file`, without the line's end.
 * @throws ControlPlaneError `usage` when the file cannot be read, or is empty.
 */
export function readPasswordFile(path: string): string {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new ControlPlaneError('usage', `--etcd-password-file ${path} cannot be read: ${messageOf(error)}`)
  }
  const password = text.replace(/\r?\n$/, '')
  if (password === '') throw new ControlPlaneError('usage', `--etcd-password-file ${path} is empty`)
  return password
}
