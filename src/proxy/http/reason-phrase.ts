import { STATUS_CODES } from 'node:http'

/** Statuses that Envoy has no words for, though Node has. */
const nameless: ReadonlySet<number> = new Set([418, 451, 509])

/** What stands behind the status in HTTP/1: `Not Found`. */
export function reasonPhrase(status: number): string {
  return nameless.has(status) ? 'Unknown' : (STATUS_CODES[status] ?? 'Unknown')
}
