import type { Option } from 'commander'
import { ControlPlaneError, messageOf } from '../errors.ts'
import { formatAddress, parseAddress } from '../options/address.ts'
import type { Io } from './io.ts'
import { option } from './option.ts'

/** For one answer. */
const patienceMs = 10_000

const defaultServer = 'http://127.0.0.1:18001'

/** Where FAIRLEAD_ADMIN says, as for `serve`, unless the flag says otherwise. */
export function serverOption({ env }: Pick<Io, 'env'>): Option {
  return option('--server <URL>', 'the admin address of `serve`, or FAIRLEAD_ADMIN', serverOf(env['FAIRLEAD_ADMIN']))
}

/** From beside a server that has its address of the environment, as in a container: where it is reached from there. */
function serverOf(admin: string | undefined): string {
  const address = parseAddress(admin ?? '')
  if (address === undefined) return defaultServer
  const loopback: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' }
  return `http://${formatAddress({ ...address, host: loopback[address.host] ?? address.host })}`
}

/** What an admin address answered. */
export interface ServerAnswer {
  readonly status: number
  readonly body: unknown
}

/**
 * Asks a running control plane's admin address.
 * @throws ControlPlaneError `unreachable` when nothing answers there, `usage` when the address or the request is wrong.
 */
export async function askServer<T>(server: string, path: string, signal: AbortSignal): Promise<T> {
  const { status, body } = await fetchAnswer(server, path, signal)
  if (status < 200 || status >= 300) {
    const { message } = (body ?? {}) as { message?: unknown }
    throw new ControlPlaneError(
      status < 500 ? 'usage' : 'unreachable',
      typeof message === 'string' ? message : `${new URL(path, baseOf(server)).href} answered ${status}`,
    )
  }
  return body as T
}

/**
 * The same, and takes any status.
 * @throws ControlPlaneError as `askServer` does, but for none of what was answered in JSON.
 */
export async function fetchAnswer(server: string, path: string, signal: AbortSignal): Promise<ServerAnswer> {
  const base = baseOf(server)
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
  try {
    return { status: response.status, body: JSON.parse(text) }
  } catch {
    throw new ControlPlaneError(
      'unreachable',
      `${url.href} answered ${response.status} and no JSON: is it a fairlead admin address?`,
    )
  }
}

const baseOf = (server: string): string => (server.includes('://') ? server : `http://${server}`)
