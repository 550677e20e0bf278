import type { OutgoingHttpHeaders } from 'node:http2'

/** Names that Node refuses to write twice, though a request or response may bring them so. */
const joined: ReadonlySet<string> = new Set([
  'authorization',
  'content-encoding',
  'content-language',
  'content-length',
  'content-location',
  'content-md5',
  'content-range',
  'content-type',
  'date',
  'dnt',
  'etag',
  'expires',
  'from',
  'host',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'last-modified',
  'location',
  'max-forwards',
  'proxy-authorization',
  'range',
  'referer',
  'retry-after',
  'tk',
  'upgrade-insecure-requests',
  'user-agent',
  'x-content-type-options',
  'access-control-allow-credentials',
  'access-control-max-age',
  'access-control-request-method',
  'age',
])

/** As Node takes them: what was said twice of what may be said once is one list. */
export function http2Headers(list: readonly string[]): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = { __proto__: null } as unknown as OutgoingHttpHeaders
  for (let at = 0; at < list.length; at += 2) {
    const name = list[at] as string
    const value = list[at + 1] as string
    if (isHop(name, value)) continue
    const before = headers[name]
    if (before === undefined) headers[name] = value
    else if (joined.has(name)) headers[name] = `${String(before)},${value}`
    else if (Array.isArray(before)) before.push(value)
    else headers[name] = [String(before), value]
  }
  return headers
}

/** What HTTP/2 has no place for. */
function isHop(name: string, value: string): boolean {
  switch (name) {
    case 'connection':
    case 'host':
    case 'http2-settings':
    case 'keep-alive':
    case 'proxy-connection':
    case 'transfer-encoding':
    case 'upgrade':
      return true
    case 'te':
      return value !== 'trailers'
    default:
      return false
  }
}
