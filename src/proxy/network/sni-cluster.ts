import { stateOf } from './connection-state.ts'
import type { NetworkFilterKind } from './network-filter.ts'

/** The TCP proxy goes to the cluster that is called what TLS asks for. */
export const sniCluster: NetworkFilterKind = {
  type: 'envoy.extensions.filters.network.sni_cluster.v3.SniCluster',
  read: () => undefined,
  create: () => ({
    onConnection(connection) {
      if (connection.serverName !== '') stateOf(connection).cluster = connection.serverName
      return true
    },
  }),
}
