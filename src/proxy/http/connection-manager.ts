import type { Timer } from '../../clock.ts'
import { createAccessLogger } from '../access-log/access-log.ts'
import type { AccessLogger, DownstreamConnection, NetworkFilterOwner } from '../network/network-filter.ts'
import type { RouteAction, RouteTable } from '../route/route-table.ts'
import { ClientConnection } from './client-connection.ts'
import { createFilters, type FilterEntry, type RunningFilter } from './http-filters.ts'
import { Http1Codec } from './http1-codec.ts'
import { Http2Codec } from './http2-codec.ts'
import type { ManagerConfig } from './manager-config.ts'
import type { ManagerParts } from './manager-parts.ts'
import { createManagerStats, type ManagerStats } from './manager-stats.ts'

/** A connection manager in use: what all its connections share. */
export class ConnectionManager implements ManagerParts {
  readonly config: ManagerConfig
  readonly owner: NetworkFilterOwner
  readonly stats: ManagerStats
  readonly accessLog: AccessLogger
  readonly http1: Http1Codec
  readonly http2: Http2Codec
  readonly filters: readonly RunningFilter[]
  /** Undefined before routes have come, or when there are none. */
  table: RouteTable | undefined
  readonly #upgrades = new Map<string, readonly RunningFilter[]>()
  readonly #connections = new Set<ClientConnection>()
  #sweep: Timer | undefined

  constructor(config: ManagerConfig, owner: NetworkFilterOwner) {
    const { context, clusters, connections, listenerStats } = owner
    this.config = config
    this.owner = owner
    const scope = context.stats.scope(`http.${config.statPrefix}.`)
    const listenerScope = listenerStats.scope(`http.${config.statPrefix}.`)
    this.stats = createManagerStats(scope, listenerScope)
    this.accessLog = createAccessLogger(config.accessLogs, context)
    this.http1 = new Http1Codec({
      context,
      http1: config.http1,
      maxHeadersBytes: config.maxHeadersBytes,
      serverName: config.server.name,
      delayedCloseMs: config.timeouts.delayedCloseMs,
    })
    this.http2 = new Http2Codec({
      context,
      http2: config.http2,
      maxHeadersBytes: config.maxHeadersBytes,
      drainMs: config.timeouts.drainMs,
    })
    const bufferLimit = owner.bufferLimit ?? 1024 * 1024
    const filterOwner = { context, clusters, connections, bufferLimit, stats: scope, discovered: owner }
    const create = (entries: readonly FilterEntry[]): readonly RunningFilter[] => createFilters(entries, filterOwner)
    this.filters = create(config.filters)
    for (const [type, { filters }] of config.upgrades)
      if (filters !== undefined) this.#upgrades.set(type, create(filters))
    owner.onClosed(() => {
      this.#sweep?.cancel()
      this.http1.close()
      listenerScope.close()
      scope.close()
    })
  }

  accept(connection: DownstreamConnection): void {
    const client = new ClientConnection(this, connection, () => this.#connections.delete(client))
    this.#connections.add(client)
    if (this.config.timeouts.requestHeadersMs !== undefined) this.#sweepSoon(this.config.timeouts.requestHeadersMs)
    client.start()
  }

  upgradeFilters(type: string, action: RouteAction | undefined): readonly RunningFilter[] | undefined {
    const own = action?.kind === 'forward' ? action.upgrades.get(type) : undefined
    const isAllowed = own ?? this.config.upgrades.get(type)?.isEnabled ?? false
    return isAllowed ? (this.#upgrades.get(type) ?? this.filters) : undefined
  }

  /** One timer for all connections: what is late is found within a tenth of the time that it has. */
  #sweepSoon(limitMs: number): void {
    if (this.#sweep !== undefined) return
    this.#sweep = this.owner.context.clock.after(Math.max(limitMs / 10, 5), () => {
      this.#sweep = undefined
      for (const client of this.#connections) client.checkHeaders(limitMs)
      if (this.#connections.size > 0) this.#sweepSoon(limitMs)
    })
  }
}
