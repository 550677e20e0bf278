import { ControlPlaneError, messageOf } from '../errors.ts'

export const defaultServer = 'http://127.0.0.1:18001'

/**
 * Asks a running control plane's admin address.
 * @throws ControlPlaneError `unreachable` when nothing answers there, `usage` when the address or the request is wrong.
 */
export async function askServer<T>(server: string, path: string, signal: AbortSignal): Promise<T> {
  let url: URL
  try {
    url = new URL(path, server)
  } catch {
    throw new ControlPlaneError('usage', `--server ${server} is not a URL; give one like ${defaultServer}`)
  }
  let response: Response
  try {
    response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(10_000)]) })
  } catch (error) {
    const cause = error instanceof Error && error.cause !== undefined ? messageOf(error.cause) : messageOf(error)
    throw new ControlPlaneError(
      'unreachable',
      `no control plane answers at ${url.origin}: ${cause}. Is \`fairlead serve\` running, with --admin at that address?`,
      { cause: error },
    )
  }
  const text = await response.text()
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
    const message = (body as { message?: unknown }).message
    throw new ControlPlaneError(
      'usage',
      typeof message === 'string' ? message : `${url.href} answered ${response.status}`,
    )
  }
  return body as T
}
