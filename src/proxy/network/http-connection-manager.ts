import { ConfigRejection } from '../config/config-rejection.ts'
import type { JsonObject } from '../config/field-reader.ts'
import { ConnectionManager } from '../http/connection-manager.ts'
import type { HttpFilterKind } from '../http/http-filter.ts'
import { type ManagerConfig, type RouteSource, readManagerConfig, routeOptionsOf } from '../http/manager-config.ts'
import { type RouteTable, readRouteTable } from '../route/route-table.ts'
import type { NetworkFilterKind, NetworkFilterOwner } from './network-filter.ts'

/** The HTTP connection manager, with the HTTP filters that it knows; the router must be among them. */
export function httpConnectionManager(kinds: readonly HttpFilterKind[]): NetworkFilterKind<ManagerConfig> {
  const options = routeOptionsOf(kinds)
  /** Proxies that were sent the same share what was made of it. */
  const tables = new WeakMap<JsonObject, RouteTable>()
  const readTable = (content: JsonObject): RouteTable => {
    const known = tables.get(content)
    if (known !== undefined) return known
    const table = readRouteTable(content, options)
    tables.set(content, table)
    return table
  }
  return {
    type: 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    read: (fields) => readManagerConfig(fields, kinds, options),
    create(config, owner) {
      const manager = new ConnectionManager(config, owner)
      const { routes } = config
      if (routes.kind === 'inline') {
        checkClusters(routes.table, owner, true)
        manager.table = routes.table
      } else watchRoutes(manager, owner, routes, readTable)
      return {
        onConnection(connection) {
          manager.accept(connection)
          return true
        },
      }
    },
  }
}

/** @throws ConfigRejection where routes lead to a cluster that is not there, and that is to be looked at */
function checkClusters(table: RouteTable, { clusters }: NetworkFilterOwner, byDefault: boolean): void {
  if (!(table.validatesClusters ?? byDefault)) return
  for (const name of table.clusterNames) {
    if (clusters.get(name) === undefined) throw new ConfigRejection(`route: unknown cluster '${name}'`)
  }
}

/** The listener is not ready before its routes have come, or are known not to. */
function watchRoutes(
  manager: ConnectionManager,
  owner: NetworkFilterOwner,
  { name, source }: Extract<RouteSource, { readonly kind: 'rds' }>,
  readTable: (content: JsonObject) => RouteTable,
): void {
  let settle = (): void => undefined
  owner.waitFor(
    `routes ${name}`,
    new Promise<void>((resolve) => {
      settle = resolve
    }),
  )
  const watching = owner.discovery.watch(
    'route',
    name,
    {
      onResource({ content }) {
        const table = readTable(content)
        checkClusters(table, owner, false)
        manager.table = table
        settle()
      },
      onMissing() {
        settle()
      },
    },
    { ...source, stats: manager.stats.scope.scope(`rds.${name}.`) },
  )
  owner.onClosed(() => {
    watching.cancel()
    settle()
  })
}
