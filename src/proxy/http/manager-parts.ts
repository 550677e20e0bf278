import type { AccessLogger, DownstreamConnection, NetworkFilterOwner } from '../network/network-filter.ts'
import type { RouteAction, RouteTable } from '../route/route-table.ts'
import type { Codec } from './codec.ts'
import type { RunningFilter } from './http-filters.ts'
import type { ManagerConfig } from './manager-config.ts'
import type { ManagerStats } from './manager-stats.ts'

/** What connections and streams have of their connection manager. */
export interface ManagerParts {
  readonly config: ManagerConfig
  readonly owner: NetworkFilterOwner
  readonly stats: ManagerStats
  readonly accessLog: AccessLogger
  readonly http1: Codec
  readonly http2: Codec
  readonly filters: readonly RunningFilter[]
  /** Undefined before routes have come, or when there are none. */
  readonly table: RouteTable | undefined
  /** The filters of an upgrade (`websocket`); undefined where it is not allowed. */
  upgradeFilters(type: string, action: RouteAction | undefined): readonly RunningFilter[] | undefined
}

/** What a stream has of its connection. */
export interface StreamOwner {
  readonly connection: DownstreamConnection
  /** A response tells the client that it was the last. */
  readonly isDraining: boolean
  countDrainClose(): void
  onStreamClosed(stream: object): void
}
