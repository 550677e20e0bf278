import type { ListenerFilterKind } from './listener-filter.ts'

const http2Preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
/** The longest first line that is waited for. */
const maxRequestLine = 64 * 1024

/** Tells HTTP/1.0, HTTP/1.1 and HTTP/2 in plain text by the first line. */
export const httpInspector: ListenerFilterKind = {
  type: 'envoy.extensions.filters.listener.http_inspector.v3.HttpInspector',
  read: () => (stats) => {
    const scope = stats.scope('http_inspector.')
    return {
      async inspect(connection, first) {
        // Inside TLS is what ALPN says.
        if (connection.transportProtocol !== '' && connection.transportProtocol !== 'raw_buffer') return true
        let found = protocolOf(first.bytes)
        while (found === 'more') {
          if (first.bytes.length > maxRequestLine || !(await first.more())) {
            found = undefined
            break
          }
          found = protocolOf(first.bytes)
        }
        if (found === undefined) {
          scope.counter('http_not_found').add()
          return true
        }
        scope.counter(stats11[found]).add()
        connection.applicationProtocols = [found]
        return true
      },
    }
  },
}

type Protocol = 'h2c' | 'http/1.1' | 'http/1.0'

const stats11: Readonly<Record<Protocol, string>> = {
  h2c: 'http2_found',
  'http/1.1': 'http11_found',
  'http/1.0': 'http10_found',
}

function protocolOf(bytes: Buffer): Protocol | 'more' | undefined {
  const known = Math.min(bytes.length, http2Preface.length)
  if (bytes.subarray(0, known).equals(http2Preface.subarray(0, known))) {
    return known === http2Preface.length ? 'h2c' : 'more'
  }
  const end = bytes.indexOf('\n')
  const text = bytes.toString('latin1', 0, end === -1 ? bytes.length : end)
  if (end === -1) return /^[A-Z-]*(?: |$)/.test(text) ? 'more' : undefined
  const [, minor] = /^[A-Z-]+ \S+ HTTP\/1\.([01])\r?$/.exec(text) ?? []
  if (minor === undefined) return undefined
  return minor === '1' ? 'http/1.1' : 'http/1.0'
}
