import { isIP } from 'node:net'
import { hostname } from 'node:os'

/**
 * Refuses a name that a web page could have pointed here (DNS rebinding): addresses, localhost, this machine's name and
 * names without a dot cannot be somebody else's domain; `listenHost` was given by the operator.
 * @param header the `Host` of a request
 */
export function isOwnHost(header: string | undefined, listenHost: string): boolean {
  if (header === undefined) return false
  const name = header
    .replace(/:\d+$/, '')
    .replace(/^\[|\]$/g, '')
    .toLowerCase()
  if (name === '') return false
  return (
    isIP(name) !== 0 || !name.includes('.') || name === listenHost.toLowerCase() || name === hostname().toLowerCase()
  )
}
