import { readClientHello } from './client-hello.ts'
import type { ListenerFilterKind } from './listener-filter.ts'

/** As much as Envoy reads of a ClientHello. */
const maxClientHello = 16 * 1024

/** Tells TLS from what is none, and what its client asks for, by the ClientHello. */
export const tlsInspector: ListenerFilterKind = {
  type: 'envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector',
  read(fields) {
    fields.ignore('initial_read_buffer_size', 'how much is read at first')
    if (fields.flag('enable_ja3_fingerprinting')) fields.refuse('enable_ja3_fingerprinting', 'it is not supported')
    return (stats) => {
      const scope = stats.scope('tls_inspector.')
      const count = (name: string): void => scope.counter(name).add()
      return {
        async inspect(connection, first) {
          let hello = first.bytes.length === 0 ? ('more' as const) : readClientHello(first.bytes)
          while (hello === 'more') {
            if (first.bytes.length > maxClientHello) {
              count('client_hello_too_large')
              return false
            }
            if (!(await first.more())) return true
            hello = readClientHello(first.bytes)
          }
          if (hello === 'none') {
            count('tls_not_found')
            return true
          }
          count('tls_found')
          count(hello.serverName === '' ? 'sni_not_found' : 'sni_found')
          count(hello.alpn.length === 0 ? 'alpn_not_found' : 'alpn_found')
          connection.transportProtocol = 'tls'
          connection.serverName = hello.serverName
          if (hello.alpn.length > 0) connection.applicationProtocols = hello.alpn
          return true
        },
      }
    }
  },
}
