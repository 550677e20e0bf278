import type { Option } from 'commander'
import { ControlPlaneError, messageOf } from '../errors.ts'
import { option } from './option.ts'

/** For one answer. */
const patienceMs = 10_000

const defaultServer = 'http://127.0.0.1:18001'

export function serverOption(): Option {
  return option('--server <URL>', 'the admin address of `serve`', defaultServer)
}

/**
 * Asks a running control plane's admin address.
 * @throws ControlPlaneError `unreachable` when nothing answers there, `usage` when the address or the request is wrong.
 */
export async function askServer<T>(server: string, path: string, signal: AbortSignal): Promise<T> {
  const base = server.includes('://') ? server : `http://${server}`
  if (!URL.canParse(path, base) || !/^https?:$/.test(new URL(base).protocol)) {
    throw new ControlPlaneError('usage', `--server ${server} is not a URL; give one like ${defaultServer}`)
  }
  const url = new URL(path, base)
  let response: Response
  let text: string
  try {
    response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]) })
    text = await response.text()
  } catch (error) {
    const cause = error instanceof Error && error.cause !== undefined ? messageOf(error.cause) : messageOf(error)
    throw new ControlPlaneError(
      'unreachable',
      `no control plane answers at ${url.origin}: ${cause}. Is \`fairlead serve\` running, and --server its --admin address?`,
      { cause: error },
    )
  }
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    throw new ControlPlaneError(
      'unreachable',
      `${url.href} answered ${response.status} and no JSON: is it a fairlead admin address?`,
    )
  }
  if (!response.ok) {
    const { message } = (body ?? {}) as { message?: unknown }
    throw new ControlPlaneError(
      response.status < 500 ? 'usage' : 'unreachable',
      typeof message === 'string' ? message : `${url.href} answered ${response.status}`,
    )
  }
  return body as T
}
