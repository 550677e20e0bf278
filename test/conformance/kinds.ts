/** The resources that cases speak of in a few letters, and what they are in Envoy's own JSON. */
import { messageNames } from '../support/xds-names.ts'

export type Json = Readonly<Record<string, unknown>>

export interface ResourceSpec {
  /** A key of `kinds`. */
  readonly kind: string
  readonly name: string
  /** Two revisions of a name differ in one field that refers to nothing. */
  readonly revision: number
  /** What it names: `r -> x`, `r -> x + y`. */
  readonly targets: readonly string[]
  /** In addition to the kind's own fields. */
  readonly fields: Json
  readonly ttl?: string
  readonly aliases: readonly string[]
}

interface Kind {
  readonly type: string
  /** How many targets it needs. */
  readonly targets: number
  readonly fields: (spec: ResourceSpec) => Json
}

const prefix = 'type.googleapis.com/'

/** `type.googleapis.com/envoy.config.cluster.v3.Cluster` of `cluster`; any message name stands for itself. */
export function typeUrlOf(type: string): string {
  return `${prefix}${messageNames[type] ?? type}`
}

/** The short word of a type URL, or the message's name. */
export function wordOf(typeUrl: string): string {
  const message = typeUrl.startsWith(prefix) ? typeUrl.slice(prefix.length) : typeUrl
  return Object.keys(messageNames).find((word) => messageNames[word] === message) ?? message
}

/** SotW responses of these types are the whole state of the subscription, in the specification's words. */
export function isFullState(type: string): boolean {
  return type === 'cluster' || type === 'listener'
}

const ads: Json = { ads: {}, resource_api_version: 'V3' }
const extension = (message: string, fields: Json): Json => ({
  '@type': `${prefix}envoy.extensions.${message}`,
  ...fields,
})

function managerOf(name: string, revision: number, routes: Json): Json {
  const router = { name: 'router', typed_config: extension('filters.http.router.v3.Router', {}) }
  const typed_config = extension('filters.network.http_connection_manager.v3.HttpConnectionManager', {
    stat_prefix: `${name}-${revision}`,
    ...routes,
    http_filters: [router],
  })
  return { filters: [{ name: 'http', typed_config }] }
}

function listenerOf(name: string, chain: Json): Json {
  // A port for each name, below those that the system gives to others; nobody listens there.
  const port_value = 10_000 + Buffer.from(name).reduce((sum, byte) => (sum * 31 + byte) % 20_000, 7)
  return { address: { socket_address: { address: '127.0.0.1', port_value } }, filter_chains: [chain] }
}

const hello = (revision: number): Json => ({
  match: { prefix: '/' },
  direct_response: { status: 200, body: { inline_string: `${revision}` } },
})

const inlineRoutes = (revision: number): Json => ({
  route_config: { name: 'inline', virtual_hosts: [{ name: 'all', domains: ['*'], routes: [hello(revision)] }] },
})

function routeOf(revision: number, route: Json): Json {
  return {
    max_direct_response_body_size_bytes: 4096 + revision,
    virtual_hosts: [{ name: 'all', domains: ['*'], routes: [route] }],
  }
}

function weighted(targets: readonly string[]): Json {
  if (targets.length === 1) return { cluster: targets[0] }
  return { weighted_clusters: { clusters: targets.map((name) => ({ name, weight: 1 })) } }
}

const timeout = (revision: number): Json => ({ connect_timeout: `${revision}s` })

/** What a case can say, by its key in `given:` and in what is expected. */
export const kinds: Readonly<Record<string, Kind>> = {
  cluster: {
    type: 'cluster',
    targets: 0,
    fields: ({ name, revision }) => ({
      type: 'STATIC',
      ...timeout(revision),
      load_assignment: { cluster_name: name, endpoints: [hostsAt(80)] },
    }),
  },
  edsCluster: {
    type: 'cluster',
    targets: 0,
    fields: ({ revision }) => ({ type: 'EDS', ...timeout(revision), eds_cluster_config: { eds_config: ads } }),
  },
  tlsCluster: {
    type: 'cluster',
    targets: 1,
    fields: ({ name, revision, targets }) => ({
      type: 'STATIC',
      ...timeout(revision),
      load_assignment: { cluster_name: name, endpoints: [hostsAt(443)] },
      transport_socket: tls('UpstreamTlsContext', targets),
    }),
  },
  endpoint: { type: 'endpoint', targets: 0, fields: ({ revision }) => ({ endpoints: [hostsAt(8000 + revision)] }) },
  emptyEndpoint: { type: 'endpoint', targets: 0, fields: () => ({}) },
  listener: {
    type: 'listener',
    targets: 0,
    fields: ({ name, revision, targets: [route] }) => {
      const routes =
        route === undefined ? inlineRoutes(revision) : { rds: { route_config_name: route, config_source: ads } }
      return listenerOf(name, managerOf(name, revision, routes))
    },
  },
  tcpListener: {
    type: 'listener',
    targets: 1,
    fields: ({ name, revision, targets: [cluster] }) => {
      const typed_config = extension('filters.network.tcp_proxy.v3.TcpProxy', {
        stat_prefix: `${name}-${revision}`,
        cluster,
      })
      return listenerOf(name, { filters: [{ name: 'tcp', typed_config }] })
    },
  },
  tlsListener: {
    type: 'listener',
    targets: 1,
    fields: ({ name, revision, targets }) =>
      listenerOf(name, {
        ...managerOf(name, revision, inlineRoutes(revision)),
        transport_socket: tls('DownstreamTlsContext', targets),
      }),
  },
  route: {
    type: 'route',
    targets: 0,
    fields: ({ revision, targets }) => {
      const to = { match: { prefix: '/' }, route: weighted(targets) }
      return routeOf(revision, targets.length === 0 ? hello(revision) : to)
    },
  },
  mirrorRoute: {
    type: 'route',
    targets: 2,
    fields: ({ revision, targets: [cluster, mirror] }) =>
      routeOf(revision, {
        match: { prefix: '/' },
        route: { cluster, request_mirror_policies: [{ cluster: mirror }] },
      }),
  },
  vhdsRoute: {
    type: 'route',
    targets: 0,
    fields: ({ revision }) => ({
      max_direct_response_body_size_bytes: 4096 + revision,
      vhds: { config_source: ads },
    }),
  },
  scopedRoute: {
    type: 'scopedRoute',
    targets: 1,
    fields: ({ name, revision, targets: [route] }) => ({
      route_configuration_name: route,
      key: { fragments: [{ string_key: `${name}-${revision}` }] },
    }),
  },
  secret: {
    type: 'secret',
    targets: 0,
    fields: ({ revision }) => ({ generic_secret: { secret: { inline_string: `secret ${revision}` } } }),
  },
  runtime: { type: 'runtime', targets: 0, fields: ({ revision }) => ({ layer: { revision } }) },
  extension: {
    type: 'extension',
    targets: 0,
    fields: ({ revision }) => ({
      typed_config: extension('filters.http.buffer.v3.Buffer', { max_request_bytes: 1024 + revision }),
    }),
  },
  virtualHost: {
    type: 'virtualHost',
    targets: 0,
    fields: ({ name, revision, targets }) => ({
      domains: targets.length === 0 ? [name.slice(name.indexOf('/') + 1)] : targets,
      routes: [hello(revision)],
    }),
  },
}

function hostsAt(port_value: number): Json {
  const address = { socket_address: { address: '127.0.0.1', port_value } }
  return { lb_endpoints: [{ endpoint: { address } }] }
}

function tls(context: string, secrets: readonly string[]): Json {
  const tls_certificate_sds_secret_configs = secrets.map((name) => ({ name, sds_config: ads }))
  return {
    name: 'tls',
    typed_config: extension(`transport_sockets.tls.v3.${context}`, {
      common_tls_context: { tls_certificate_sds_secret_configs },
    }),
  }
}

/** The resource itself, with its `@type`, as it stands in a group's file. */
export function resourceJson(spec: ResourceSpec): Json {
  const kind = kinds[spec.kind] as Kind
  const nameField = kind.type === 'endpoint' ? 'cluster_name' : 'name'
  return { '@type': typeUrlOf(kind.type), [nameField]: spec.name, ...kind.fields(spec), ...spec.fields }
}

/** What stands in a group's file: the resource, or in a wrapper what has a TTL or aliases. */
export function listedJson(spec: ResourceSpec): Json {
  const { name, ttl, aliases } = spec
  const resource = resourceJson(spec)
  if (ttl === undefined && aliases.length === 0) return resource
  return {
    '@type': `${prefix}envoy.service.discovery.v3.Resource`,
    name,
    ...(aliases.length > 0 && { aliases }),
    ...(ttl !== undefined && { ttl }),
    resource,
  }
}
