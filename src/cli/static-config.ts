/** Plain JSON of Envoy messages, with proto field names. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }
type JsonObject = { readonly [key: string]: Json }

/** The resources of one group as JSON, by the type's short word. */
export interface GroupResources {
  readonly cluster: readonly JsonObject[]
  readonly endpoint: readonly JsonObject[]
  readonly listener: readonly JsonObject[]
  readonly route: readonly JsonObject[]
  readonly secret: readonly JsonObject[]
}

/** The cluster that `fairlead bootstrap` names the control plane by. */
const controlPlaneCluster = 'fairlead'

/**
 * One group's resources as a static bootstrap, for Envoy's `--mode validate`, which does not read dynamic resources:
 * assignments go into their clusters and route configurations into their listeners. What Envoy can only fetch (scoped
 * routes, extension configurations) stays a reference to ADS, which that mode does not connect to.
 */
export function buildStaticConfig(resources: GroupResources, staticClusters: readonly string[]): JsonObject {
  const byName = (list: readonly JsonObject[], key: string): ReadonlyMap<Json, JsonObject> =>
    new Map(list.map((item) => [item[key] ?? null, item]))
  const assignments = byName(resources.endpoint, 'cluster_name')
  const routes = byName(resources.route, 'name')
  const clusters = resources.cluster.map((cluster) => withAssignment(cluster, assignments))
  const listeners = resources.listener.map((listener) => withRoutes(listener, routes) as JsonObject)
  const attached = new Set<Json>()
  collectRouteNames(resources.listener, attached)
  const names = new Set(resources.cluster.map((cluster) => cluster['name']))
  const stubs = [...new Set([controlPlaneCluster, ...staticClusters])]
    .filter((name) => !names.has(name))
    .map(stubCluster)
  return {
    node: { id: 'validate', cluster: 'validate' },
    static_resources: {
      clusters: [...clusters, ...stubs],
      listeners: [...listeners, ...resources.route.filter(({ name }) => !attached.has(name ?? null)).map(carrier)],
      secrets: resources.secret,
    },
    dynamic_resources: {
      ads_config: {
        api_type: 'GRPC',
        transport_api_version: 'V3',
        grpc_services: [{ envoy_grpc: { cluster_name: controlPlaneCluster } }],
      },
    },
  }
}

function withAssignment(cluster: JsonObject, assignments: ReadonlyMap<Json, JsonObject>): JsonObject {
  const { eds_cluster_config: eds, ...rest } = cluster
  if (eds === undefined) return cluster
  const name = (eds as JsonObject)['service_name'] ?? cluster['name'] ?? null
  const assignment = assignments.get(name)
  return { ...rest, type: 'STATIC', load_assignment: assignment ?? { cluster_name: name } }
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function withRoutes(value: Json, routes: ReadonlyMap<Json, JsonObject>): Json {
  if (Array.isArray(value)) return (value as readonly Json[]).map((item) => withRoutes(item, routes))
  if (!isObject(value)) return value
  const entries = Object.entries(value).map(([key, item]): [string, Json] => {
    const route = key === 'rds' && isObject(item) ? routes.get(item['route_config_name'] ?? null) : undefined
    return route === undefined ? [key, withRoutes(item, routes)] : ['route_config', route]
  })
  return Object.fromEntries(entries)
}

function collectRouteNames(value: Json, names: Set<Json>): void {
  if (Array.isArray(value)) for (const item of value as readonly Json[]) collectRouteNames(item, names)
  else if (isObject(value)) {
    for (const [key, item] of Object.entries(value)) {
      if (key === 'rds' && isObject(item)) names.add(item['route_config_name'] ?? null)
      else collectRouteNames(item, names)
    }
  }
}

/** A route configuration that no listener of the group names is validated in a listener of its own. */
function carrier(route: JsonObject): JsonObject {
  return {
    name: `validate/${JSON.stringify(route['name'])}`,
    address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
    filter_chains: [
      {
        filters: [
          {
            name: 'envoy.filters.network.http_connection_manager',
            typed_config: {
              '@type':
                'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
              stat_prefix: 'validate',
              route_config: route,
              http_filters: [
                {
                  name: 'envoy.filters.http.router',
                  typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
                },
              ],
            },
          },
        ],
      },
    ],
  }
}

function stubCluster(name: string): JsonObject {
  return {
    name,
    type: 'STATIC',
    connect_timeout: '1s',
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
    load_assignment: {
      cluster_name: name,
      endpoints: [
        { lb_endpoints: [{ endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: 1 } } } }] },
      ],
    },
  }
}
