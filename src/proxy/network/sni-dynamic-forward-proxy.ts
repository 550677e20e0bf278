import { readDnsCacheConfig } from '../cluster/dns-config.ts'
import { stateOf } from './connection-state.ts'
import type { NetworkFilterKind } from './network-filter.ts'

const https = 443

/** The TCP proxy goes to the host that TLS asks for, which its cluster looks up, at this port. */
export const sniDynamicForwardProxy: NetworkFilterKind<number> = {
  type: 'envoy.extensions.filters.network.sni_dynamic_forward_proxy.v3.FilterConfig',
  read(fields) {
    // The cluster, which has an equal one, looks the name up when its host is chosen.
    fields.message('dns_cache_config', readDnsCacheConfig)
    return fields.number('port_value') ?? https
  },
  create: (port) => ({
    onConnection(connection) {
      stateOf(connection).port = port
      return true
    },
  }),
}
