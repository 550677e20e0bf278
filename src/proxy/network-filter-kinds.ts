import { httpFilterKinds } from './filter/http-filter-kinds.ts'
import { connectionLimit } from './network/connection-limit.ts'
import { httpConnectionManager } from './network/http-connection-manager.ts'
import type { NetworkFilterKind } from './network/network-filter.ts'
import { networkRbac } from './network/network-rbac.ts'
import { sniCluster } from './network/sni-cluster.ts'
import { sniDynamicForwardProxy } from './network/sni-dynamic-forward-proxy.ts'
import { tcpProxy } from './network/tcp-proxy.ts'
import { routerFilter } from './route/router.ts'

/** What may stand in a filter chain. */
export const networkFilterKinds: readonly NetworkFilterKind[] = [
  httpConnectionManager([...httpFilterKinds, routerFilter]) as NetworkFilterKind,
  connectionLimit as NetworkFilterKind,
  networkRbac as NetworkFilterKind,
  sniCluster,
  sniDynamicForwardProxy as NetworkFilterKind,
  tcpProxy as NetworkFilterKind,
]
