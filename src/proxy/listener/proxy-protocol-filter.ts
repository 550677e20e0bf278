import type { ListenerFilterKind } from './listener-filter.ts'
import { readProxyProtocol } from './proxy-protocol.ts'

/** Takes the PROXY protocol header off, and its word for who the client is. */
export const proxyProtocolFilter: ListenerFilterKind = {
  type: 'envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol',
  read(fields) {
    const isOptional = fields.flag('allow_requests_without_proxy_protocol')
    const disallowed = new Set(fields.strings('disallowed_versions'))
    const statPrefix = fields.string('stat_prefix')
    return (stats) => {
      const scope = stats.scope(statPrefix === '' ? 'proxy_proto.' : `proxy_proto.${statPrefix}.`)
      const versions = { 1: scope.scope('versions.v1.'), 2: scope.scope('versions.v2.') }
      return {
        async inspect(connection, first) {
          let header = first.bytes.length === 0 ? ('more' as const) : readProxyProtocol(first.bytes)
          while (header === 'more') {
            if (!(await first.more())) return false
            header = readProxyProtocol(first.bytes)
          }
          if (header === 'none') {
            scope.counter(isOptional ? 'not_found_allowed' : 'not_found_disallowed').add()
            return isOptional
          }
          if (header === 'bad') {
            stats.counter('downstream_cx_proxy_proto_error').add()
            return false
          }
          const version = versions[header.version]
          if (disallowed.has(`V${header.version}`)) {
            version.counter('disallowed').add()
            return false
          }
          version.counter('found').add()
          first.skip(header.length)
          if (header.addresses !== undefined) {
            connection.remoteAddress = header.addresses.source
            connection.localAddress = header.addresses.destination
          }
          return true
        },
      }
    }
  },
}
