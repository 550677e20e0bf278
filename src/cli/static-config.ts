import { bootstrapCluster } from '../resource/bootstrap-cluster.ts'

/** Plain JSON of Envoy messages, with proto field names. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }
export type JsonObject = { readonly [key: string]: Json }

/** The resources of one group as JSON, by the type's short word. */
export interface GroupResources {
  readonly cluster: readonly JsonObject[]
  readonly endpoint: readonly JsonObject[]
  readonly listener: readonly JsonObject[]
  readonly route: readonly JsonObject[]
  readonly secret: readonly JsonObject[]
  readonly extension?: readonly JsonObject[]
  readonly virtualHost?: readonly JsonObject[]
}

/**
 * One group's resources as a static bootstrap, for Envoy's `--mode validate`, which does not read dynamic resources:
 * assignments go into their clusters and route configurations into their listeners. What Envoy can only fetch (scoped
 * routes, extension configurations) stays a reference to ADS, which that mode does not connect to.
 */
export function buildStaticConfig(resources: GroupResources, staticClusters: readonly string[]): JsonObject {
  const { clusters: dynamic, listeners, unattached } = inlined(resources, () => true)
  // Envoy 1.40 crashes on a static cluster whose secret comes by ADS: that is not there yet when it reads them.
  const secretNames = new Set(resources.secret.map(({ name }) => name ?? null))
  const atHand: AtHand = { secretNames, hosts: new Map(), extensions: new Map() }
  const clusters = dynamic.map((one) => detach(one, atHand) as JsonObject)
  const names = new Set(resources.cluster.map((cluster) => cluster['name']))
  const stubs = [...new Set([bootstrapCluster, ...staticClusters])].filter((name) => !names.has(name)).map(stubCluster)
  return {
    node: { id: 'validate', cluster: 'validate' },
    static_resources: {
      clusters: [...clusters, ...stubs],
      listeners: [...listeners, ...unattached.map(carrier)],
      secrets: resources.secret,
    },
    dynamic_resources: {
      ads_config: {
        api_type: 'GRPC',
        transport_api_version: 'V3',
        grpc_services: [{ envoy_grpc: { cluster_name: bootstrapCluster } }],
      },
    },
  }
}

/** What an Envoy without a control plane is told of itself. */
export interface OwnSettings {
  readonly node: JsonObject
  readonly admin: JsonObject
  /** Whom the proxy stands beside: the cluster of its peers, and the assignment that says who they are. */
  readonly peers?: { readonly cluster: string; readonly assignment: string }
}

export interface SelfContained {
  readonly config: JsonObject
  /** What only a control plane could give, each as a place: `listener edge: filter_chains[0].…`. */
  readonly remaining: readonly string[]
}

/**
 * One group's resources as a bootstrap that needs nothing else and does what the same resources do over ADS: assignments,
 * route configurations with their virtual hosts, extension configurations and secrets stand where they are used.
 */
export function buildSelfContained(resources: GroupResources, { node, admin, peers }: OwnSettings): SelfContained {
  const { clusters, listeners } = inlined(resources, isAds)
  const secretNames = new Set(resources.secret.map(({ name }) => name ?? null))
  const hosts = new Map((resources.virtualHost ?? []).map((host) => [nameOf(host), host]))
  const extensions = new Map((resources.extension ?? []).map((extension) => [extension['name'] ?? null, extension]))
  const detached = (list: readonly JsonObject[]): readonly JsonObject[] =>
    list.map((one) => detach(one, { secretNames, hosts, extensions }) as JsonObject)
  const own = { clusters: detached(clusters), listeners: detached(listeners) }
  const beside = peers === undefined ? [] : [peersJson(peers, resources)]
  return {
    config: {
      node,
      admin,
      ...(peers !== undefined && { cluster_manager: { local_cluster_name: peers.cluster } }),
      static_resources: { ...own, clusters: [...own.clusters, ...beside], secrets: resources.secret },
    },
    remaining: [
      ...own.clusters.flatMap((one) => adsIn(one, `cluster ${nameOf(one)}:`)),
      ...own.listeners.flatMap((one) => adsIn(one, `listener ${nameOf(one)}:`)),
    ],
  }
}

/** By it an Envoy knows what share of its peers is in its zone, and so how much of what it sends may stay there. */
function peersJson(
  { cluster, assignment }: NonNullable<OwnSettings['peers']>,
  { endpoint }: Pick<GroupResources, 'endpoint'>,
): JsonObject {
  const found = endpoint.find((one) => one['cluster_name'] === assignment)
  return {
    name: cluster,
    type: 'STATIC',
    connect_timeout: '1s',
    load_assignment: { ...found, cluster_name: cluster },
  }
}

interface Inlined {
  readonly clusters: readonly JsonObject[]
  readonly listeners: readonly JsonObject[]
  /** Route configurations that no listener names. */
  readonly unattached: readonly JsonObject[]
}

/** Whether what comes from a config source is among the resources. */
type IsOurs = (source: Json | undefined) => boolean

function inlined(resources: GroupResources, isOurs: IsOurs): Inlined {
  const byName = (list: readonly JsonObject[], key: string): ReadonlyMap<Json, JsonObject> =>
    new Map(list.map((item) => [item[key] ?? null, item]))
  const assignments = byName(resources.endpoint, 'cluster_name')
  const routes = byName(resources.route, 'name')
  const attached = new Set<Json>()
  collectRouteNames(resources.listener, attached)
  return {
    clusters: resources.cluster.map((cluster) => withAssignment(cluster, assignments, isOurs)),
    listeners: resources.listener.map((listener) => withRoutes(listener, routes, isOurs) as JsonObject),
    unattached: resources.route.filter(({ name }) => !attached.has(name ?? null)),
  }
}

function withAssignment(cluster: JsonObject, assignments: ReadonlyMap<Json, JsonObject>, isOurs: IsOurs): JsonObject {
  const { eds_cluster_config: eds, ...rest } = cluster
  if (eds === undefined || !isOurs((eds as JsonObject)['eds_config'])) return cluster
  const name = (eds as JsonObject)['service_name'] ?? cluster['name'] ?? null
  const assignment = assignments.get(name)
  return { ...rest, type: 'STATIC', load_assignment: assignment ?? { cluster_name: name } }
}

const nameOf = ({ name }: JsonObject): string => (typeof name === 'string' ? name : '')

function isAds(source: Json | undefined): boolean {
  return isObject(source) && 'ads' in source
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function withRoutes(value: Json, routes: ReadonlyMap<Json, JsonObject>, isOurs: IsOurs): Json {
  if (Array.isArray(value)) return (value as readonly Json[]).map((item) => withRoutes(item, routes, isOurs))
  if (!isObject(value)) return value
  const entries = Object.entries(value).map(([key, item]): [string, Json] => {
    const isRds = key === 'rds' && isObject(item) && isOurs(item['config_source'])
    const route = isRds ? routes.get(item['route_config_name'] ?? null) : undefined
    // What comes by RDS is not held against the clusters that are there, unless it asks for that.
    return route === undefined
      ? [key, withRoutes(item, routes, isOurs)]
      : ['route_config', { ...route, validate_clusters: route['validate_clusters'] ?? false }]
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

interface AtHand {
  readonly secretNames: ReadonlySet<Json>
  /** By `<route configuration>/<virtual host>`. */
  readonly hosts: ReadonlyMap<string, JsonObject>
  readonly extensions: ReadonlyMap<Json, JsonObject>
}

function detach(value: Json, atHand: AtHand): Json {
  if (Array.isArray(value)) return (value as readonly Json[]).map((item) => detach(item, atHand))
  if (!isObject(value)) return value
  const { sds_config: sds, config_discovery: discovery, vhds, ...rest } = value
  if (isAds(sds) && atHand.secretNames.has(value['name'] ?? null)) return rest
  const extension = atHand.extensions.get(value['name'] ?? null)?.['typed_config']
  if (isObject(discovery) && isAds(discovery['config_source']) && extension !== undefined) {
    return { ...rest, typed_config: detach(extension, atHand) }
  }
  const fields = Object.fromEntries(Object.entries(value).map(([key, item]) => [key, detach(item, atHand)]))
  if (!isObject(vhds) || !isAds(vhds['config_source'])) return fields
  const { vhds: _, virtual_hosts: own = [], ...others } = fields
  const prefix = `${nameOf(value)}/`
  const further = [...atHand.hosts]
    .filter(([name]) => name.startsWith(prefix))
    .map(([name, host]) => detach({ ...host, name: name.slice(prefix.length) }, atHand))
  return { ...others, virtual_hosts: [...(own as readonly Json[]), ...further] }
}

/** The places that still ask a control plane. */
function adsIn(value: Json, path: string): readonly string[] {
  if (Array.isArray(value)) return (value as readonly Json[]).flatMap((item, index) => adsIn(item, `${path}[${index}]`))
  if (!isObject(value)) return []
  if (isAds(value)) return [path]
  return Object.entries(value).flatMap(([key, item]) =>
    adsIn(item, path.endsWith(':') ? `${path} ${key}` : `${path}.${key}`),
  )
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
