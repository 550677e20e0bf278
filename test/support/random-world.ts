/** What one Envoy serves, as the random transitions know it: small enough to say what each request must be answered with. */
import type { Backend } from './backend.ts'
import type { Certificate } from './certificates.ts'
import {
  type Changes,
  cluster,
  document,
  endpoints,
  type Json,
  listener,
  rds,
  routeConfiguration,
  secret,
  socketAddress,
  tlsBySecret,
  tlsCertificate,
  tlsSocket,
} from './documents.ts'

/** How a cluster trusts its backends: by a secret of that name, or with that bundle in itself. */
export type Trust = { readonly by: 'secret'; name: string } | { readonly by: 'inline'; bundle: number }

export interface ClusterSpec {
  /** `eds`: of `service`. `static`: `backends` in itself. `aggregate`: `members`, the first that is healthy. */
  kind: 'eds' | 'static' | 'aggregate'
  service: string
  backends: number[]
  members: string[]
  /** Undefined: plain text. An assignment is for clusters of one sort only: a change of both would not be one step. */
  trust: Trust | undefined
  timeout: number
}

export interface Target {
  /** One, or several by weight. */
  clusters: string[]
  mirror: string | undefined
}

/** By host. */
export type Table = Record<string, Target>

export type Routes = { readonly by: 'rds'; name: string } | { readonly by: 'inline'; table: Table }

export interface ListenerSpec {
  port: number
  /** A TCP proxy to these clusters instead of `routes`. */
  tcp: string[] | undefined
  routes: Routes
  tls: { readonly by: 'secret'; name: string } | { readonly by: 'inline'; certificate: number } | undefined
  isStrict: boolean
  /** Differs in a field of the listener: Envoy makes it anew. */
  buffer: number
  /** Differs in its filter chain only: Envoy changes it in place. */
  idleMinutes: number
}

/** Everything by its name. A plain object, so that `structuredClone` copies it. */
export interface World {
  /** Assignments: numbers of backends. */
  services: Record<string, number[]>
  clusters: Record<string, ClusterSpec>
  tables: Record<string, Table>
  listeners: Record<string, ListenerSpec>
  /** Numbers of certificates. */
  secrets: Record<string, number>
  /** Numbers of bundles. */
  trusts: Record<string, number>
}

/** What the worlds of one run have in common. */
export interface Ground {
  readonly plainBackends: readonly Backend[]
  readonly tlsBackends: readonly Backend[]
  readonly certificates: readonly Certificate[]
  /** PEM. Each vouches for the backends. */
  readonly bundles: readonly string[]
  /** The first two are those of listeners that are always there: of plain text and of TLS. */
  readonly ports: readonly number[]
}

/** Always routed to, wherever there are routes. */
export const constantHost = 'a.test'
export const hosts: readonly string[] = [constantHost, 'b.test', 'c.test', 'd.test']

export function documentsOf(world: World, ground: Ground): Record<string, Json> {
  // What is named comes before what names it, for a busy machine may look at the files while they are being written.
  const changes: Changes = Object.assign(
    {},
    ...Object.entries(world.services).map(([name, backends]) =>
      endpoints(name, ...backends.map((number) => backendsOf(isTlsService(name), ground)[number] as Backend)),
    ),
    ...Object.entries(world.secrets).map(([name, number]) =>
      secret(name, { tls_certificate: tlsCertificate(ground.certificates[number] as Certificate) }),
    ),
    ...Object.entries(world.trusts).map(([name, number]) =>
      secret(name, { validation_context: bundle(number, ground) }),
    ),
    ...Object.entries(world.clusters).map(([name, spec]) => clusterDocument(name, spec, ground)),
    ...Object.entries(world.tables).map(([name, table]) => routeConfiguration(name, routesOf(table))),
    ...Object.entries(world.listeners).map(([name, spec]) => listenerDocument(name, spec, ground)),
  )
  return changes as Record<string, Json>
}

/** The change of documents that leads from one to the other. */
export function changesBetween(before: Record<string, Json>, after: Record<string, Json>): Changes {
  const changed = Object.entries(after).filter(([key, json]) => JSON.stringify(before[key]) !== JSON.stringify(json))
  const removed = Object.keys(before).filter((key) => !(key in after))
  return Object.fromEntries([...changed, ...removed.map((key) => [key, undefined])])
}

/** By its name, so that clusters which share an assignment speak alike. */
export function isTlsService(name: string): boolean {
  return name.startsWith('tls-')
}

export function backendsOf(isTls: boolean, { plainBackends, tlsBackends }: Ground): readonly Backend[] {
  return isTls ? tlsBackends : plainBackends
}

function bundle(number: number, { bundles }: Ground): Json {
  return { trusted_ca: { inline_string: bundles[number] } }
}

const backendTls = (trust: Trust, ground: Ground): Json =>
  tlsSocket('Upstream', {
    sni: 'localhost',
    common_tls_context:
      trust.by === 'inline'
        ? { validation_context: bundle(trust.bundle, ground) }
        : {
            validation_context_sds_secret_config: {
              name: trust.name,
              sds_config: { ads: {}, resource_api_version: 'V3' },
            },
          },
  })

function clusterDocument(name: string, spec: ClusterSpec, ground: Ground): Changes {
  const common = {
    connect_timeout: `${spec.timeout}s`,
    circuit_breakers: { thresholds: [{ max_connections: 10_000, max_pending_requests: 10_000, max_requests: 10_000 }] },
    ...(spec.trust && { transport_socket: backendTls(spec.trust, ground) }),
  }
  switch (spec.kind) {
    case 'eds': {
      const eds_config = { ads: {}, resource_api_version: 'V3' }
      return cluster(name, { ...common, eds_cluster_config: { eds_config, service_name: spec.service } })
    }
    case 'static': {
      const all = backendsOf(spec.trust !== undefined, ground)
      const lb_endpoints = spec.backends.map((number) => ({
        endpoint: { address: socketAddress(all[number] as Backend) },
      }))
      const load_assignment = { cluster_name: name, endpoints: [{ lb_endpoints }] }
      return document('cluster', 'config.cluster.v3.Cluster', name, { type: 'STATIC', ...common, load_assignment })
    }
    case 'aggregate':
      return document('cluster', 'config.cluster.v3.Cluster', name, {
        ...common,
        lb_policy: 'CLUSTER_PROVIDED',
        cluster_type: {
          name: 'envoy.clusters.aggregate',
          typed_config: {
            '@type': 'type.googleapis.com/envoy.extensions.clusters.aggregate.v3.ClusterConfig',
            clusters: spec.members,
          },
        },
      })
  }
}

function weighted(clusters: readonly string[]): Json {
  const [only] = clusters
  if (clusters.length === 1) return { cluster: only }
  return { weighted_clusters: { clusters: clusters.map((name) => ({ name, weight: 10 })) } }
}

function routesOf(table: Table): Json {
  const virtual_hosts = Object.entries(table).map(([host, { clusters, mirror }]) => {
    const mirrors = mirror === undefined ? {} : { request_mirror_policies: [{ cluster: mirror }] }
    const routes = [{ match: { prefix: '/' }, route: { ...weighted(clusters), ...mirrors } }]
    return { name: host, domains: [host], routes }
  })
  return { virtual_hosts }
}

function listenerDocument(name: string, spec: ListenerSpec, ground: Ground): Changes {
  const { port, tcp, routes, tls, isStrict, buffer, idleMinutes } = spec
  const context = tls && {
    ...(tls.by === 'secret'
      ? tlsBySecret(tls.name)
      : { tls_certificates: [tlsCertificate(ground.certificates[tls.certificate] as Certificate)] }),
    ...(isStrict && { tls_params: { tls_minimum_protocol_version: 'TLSv1_2' } }),
  }
  const fields = { per_connection_buffer_limit_bytes: 32_768 + buffer }
  if (tcp === undefined) {
    return listener(name, {
      port,
      routes: {
        ...(routes.by === 'rds'
          ? rds(routes.name)
          : { route_config: { name: `${name}-inline`, ...routesOf(routes.table) } }),
        common_http_protocol_options: { idle_timeout: `${idleMinutes * 60}s` },
      },
      ...(context && { tls: context }),
      fields,
    })
  }
  const proxy = {
    name: 'envoy.filters.network.tcp_proxy',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy',
      stat_prefix: name,
      idle_timeout: `${idleMinutes * 60}s`,
      ...weighted(tcp),
    },
  }
  const transport_socket = context && tlsSocket('Downstream', { common_tls_context: context })
  return document('listener', 'config.listener.v3.Listener', name, {
    address: socketAddress({ host: '127.0.0.1', port }),
    filter_chains: [{ filters: [proxy], ...(transport_socket && { transport_socket }) }],
    ...fields,
  })
}

/** What is promised of one address while several worlds may be in force: who may answer. */
export interface Promised {
  readonly isTls: boolean
  /** A connection is one to a backend: what comes later does not move it. */
  readonly isTcp: boolean
  /** Names of backends. */
  readonly backends: ReadonlySet<string>
}

/**
 * Undefined: one of the worlds has no answer to a request there. Routes, clusters and endpoints come one after the other, so
 * the routes of one world may meet the clusters of another: all that these name may answer.
 */
export function promisedAt(worlds: readonly World[], ground: Ground, port: number, host: string): Promised | undefined {
  const listeners = worlds.map((world) => listenerAt(world, port)?.[1])
  const [first] = listeners
  const clusters = new Set<string>()
  for (const [index, spec] of listeners.entries()) {
    const named = spec && clustersAt(worlds[index] as World, spec, host)
    if (named === undefined || (spec?.tls === undefined) !== (first?.tls === undefined)) return undefined
    for (const name of named) clusters.add(name)
    for (const name of clustersOfTable(worlds, spec, host)) clusters.add(name)
  }
  return {
    isTls: first?.tls !== undefined,
    isTcp: listeners.some((spec) => spec?.tcp !== undefined),
    backends: new Set([...clusters].flatMap((name) => backendNames(worlds, ground, name))),
  }
}

/**
 * True when whatever listener a connection came to there, in any of these worlds, answers the host in all others: one that
 * drains asks for its routes by their name, and finds what has that name now.
 */
export function isKnownWhileDraining(worlds: readonly World[], port: number, host: string): boolean {
  return worlds.every((world) => {
    const routes = listenerAt(world, port)?.[1].routes
    if (routes?.by !== 'rds') return true
    const { name } = routes
    return worlds.every(({ tables }) => tables[name] === undefined || tables[name][host] !== undefined)
  })
}

/** What may answer there on a connection that came to the listener of any of these worlds. */
export function backendsWhileDraining(
  worlds: readonly World[],
  ground: Ground,
  port: number,
  host: string,
): ReadonlySet<string> {
  const clusters = worlds.flatMap((world) => {
    const spec = listenerAt(world, port)?.[1]
    const own = spec === undefined ? [] : (clustersAt(world, spec, host) ?? [])
    return [...own, ...clustersOfTable(worlds, spec, host)]
  })
  return new Set([...new Set(clusters)].flatMap((name) => backendNames(worlds, ground, name)))
}

/** On the way from one of these worlds to another, a listener comes there from elsewhere: it may have to leave that before. */
export function isMovedTo(worlds: readonly World[], port: number): boolean {
  return worlds.some((world) => {
    const name = listenerAt(world, port)?.[0]
    return name !== undefined && worlds.some(({ listeners }) => (listeners[name]?.port ?? port) !== port)
  })
}

function listenerAt({ listeners }: World, port: number): [name: string, ListenerSpec] | undefined {
  return Object.entries(listeners).find(([, spec]) => spec.port === port)
}

function clustersAt(world: World, { tcp, routes }: ListenerSpec, host: string): readonly string[] | undefined {
  if (tcp !== undefined) return tcp
  const table = routes.by === 'rds' ? world.tables[routes.name] : routes.table
  return table?.[host]?.clusters
}

/** A connection that drains keeps its listener's old configuration, but follows what is new in the routes that this names. */
function clustersOfTable(worlds: readonly World[], spec: ListenerSpec | undefined, host: string): readonly string[] {
  const routes = spec?.routes
  if (routes?.by !== 'rds') return []
  return worlds.flatMap(({ tables }) => tables[routes.name]?.[host]?.clusters ?? [])
}

function backendNames(worlds: readonly World[], ground: Ground, clusterName: string): string[] {
  return worlds.flatMap(({ clusters }) => {
    const spec = clusters[clusterName]
    if (spec === undefined) return []
    if (spec.kind === 'aggregate') return spec.members.flatMap((member) => backendNames(worlds, ground, member))
    const numbers = spec.kind === 'eds' ? worlds.flatMap(({ services }) => services[spec.service] ?? []) : spec.backends
    return numbers.map((number) => (backendsOf(spec.trust !== undefined, ground)[number] as Backend).name)
  })
}
