/** Raw Envoy resources as people write them, by the key of their document: what a `DocumentStore` is told to hold. */
import type { Backend } from './backend.ts'
import type { Certificate } from './certificates.ts'

export type Json = Readonly<Record<string, unknown>>

/** Documents by their key, `cluster/cart`; undefined deletes. Spread several into one for one change. */
export type Changes = Readonly<Record<string, Json | undefined>>

const type = (message: string): string => `type.googleapis.com/envoy.${message}`

/** A source of configuration that is the stream it came by. */
export const ads: Json = { ads: {}, resource_api_version: 'V3' }

/** Whatever resource, under the key `WORD/NAME`. */
export function document(word: string, message: string, name: string, fields: Json): Changes {
  return { [`${word}/${name}`]: { '@type': type(message), name, ...fields } }
}

export function removed(...keys: readonly string[]): Changes {
  return Object.fromEntries(keys.map((key) => [key, undefined]))
}

/** A cluster that takes its endpoints by EDS over ADS. */
export function cluster(name: string, fields: Json = {}): Changes {
  return document('cluster', 'config.cluster.v3.Cluster', name, {
    type: 'EDS',
    connect_timeout: '5s',
    eds_cluster_config: { eds_config: ads },
    ...fields,
  })
}

export function endpoints(name: string, ...backends: readonly Pick<Backend, 'host' | 'port'>[]): Changes {
  const lb_endpoints = backends.map((backend) => ({ endpoint: { address: socketAddress(backend) } }))
  const assignment = { cluster_name: name, endpoints: backends.length === 0 ? [] : [{ lb_endpoints }] }
  return { [`endpoint/${name}`]: { '@type': type('config.endpoint.v3.ClusterLoadAssignment'), ...assignment } }
}

export function socketAddress({ host, port }: Pick<Backend, 'host' | 'port'>): Json {
  return { socket_address: { address: host, port_value: port } }
}

/** The fields of a route configuration that sends everything to one cluster, or as `route` says. */
export function routesTo(route: string | Json): Json {
  const action = typeof route === 'string' ? { cluster: route } : route
  return { virtual_hosts: [{ name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: action }] }] }
}

export function routeConfiguration(name: string, fields: Json): Changes {
  return document('route', 'config.route.v3.RouteConfiguration', name, fields)
}

/** A route configuration of that name, by RDS over ADS: for `listener`. */
export function rds(name: string): Json {
  return { rds: { route_config_name: name, config_source: ads } }
}

export interface ListenerOptions {
  /** On loopback; a free one by default, which is good for one listener of an Envoy (see `lowPort`). */
  readonly port?: number
  /** Where the routes are: `rds(…)`, `{route_config: …}`, `{scoped_routes: …}`. */
  readonly routes: Json
  /** HTTP filters before the router. */
  readonly filters?: readonly Json[]
  /** A `common_tls_context`. */
  readonly tls?: Json
  /** Further fields of the listener. */
  readonly fields?: Json
}

/** An HTTP listener. Its name is the prefix of its stats, too. */
export function listener(name: string, { port = 0, routes, filters = [], tls, fields = {} }: ListenerOptions): Changes {
  const manager = {
    stat_prefix: name,
    ...routes,
    http_filters: [...filters, { name: 'envoy.filters.http.router', typed_config: httpFilter('router.v3.Router') }],
  }
  const chain = {
    filters: [
      {
        name: 'envoy.filters.network.http_connection_manager',
        typed_config: {
          '@type': type('extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'),
          ...manager,
        },
      },
    ],
    ...(tls && { transport_socket: tlsSocket('Downstream', { common_tls_context: tls }) }),
  }
  return document('listener', 'config.listener.v3.Listener', name, {
    address: socketAddress({ host: '127.0.0.1', port }),
    filter_chains: [chain],
    ...fields,
  })
}

/** `httpFilter('fault.v3.HTTPFault', { … })` */
export function httpFilter(message: string, fields: Json = {}): Json {
  return { '@type': type(`extensions.filters.http.${message}`), ...fields }
}

export function tlsSocket(side: 'Downstream' | 'Upstream', fields: Json): Json {
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: { '@type': type(`extensions.transport_sockets.tls.v3.${side}TlsContext`), ...fields },
  }
}

/** A `common_tls_context` whose certificate is a secret over ADS. */
export function tlsBySecret(name: string): Json {
  return { tls_certificate_sds_secret_configs: [{ name, sds_config: ads }] }
}

/** A `common_tls_context`, or the content of a secret, with the certificate itself. */
export function tlsCertificate({ certificate, key }: Certificate): Json {
  return { certificate_chain: { inline_string: certificate }, private_key: { inline_string: key } }
}

/** A secret: `{tls_certificate: …}` or `{validation_context: …}`. */
export function secret(name: string, fields: Json): Changes {
  return document('secret', 'extensions.transport_sockets.tls.v3.Secret', name, fields)
}
