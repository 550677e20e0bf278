import { httpFilterKinds } from './filter/http-filter-kinds.ts'
import { httpConnectionManager } from './network/http-connection-manager.ts'
import type { NetworkFilterKind } from './network/network-filter.ts'
import { tcpProxy } from './network/tcp-proxy.ts'
import { routerFilter } from './route/router.ts'

/** What may stand in a filter chain. */
export const networkFilterKinds: readonly NetworkFilterKind[] = [
  httpConnectionManager([...httpFilterKinds, routerFilter]) as NetworkFilterKind,
  tcpProxy as NetworkFilterKind,
]
