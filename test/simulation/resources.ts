import type { JsonObject } from '@bufbuild/protobuf'
import type { Resource } from '../../src/resource/resource.ts'
import { resource } from '../support/resource.ts'
import type { Spec } from './scenario.ts'

const rememberedAtMost = 50_000

const made = new Map<string, Resource>()

/** Remembered over scenarios, within bounds. Never called while one is played: what is equal must stay one object. */
export function forgetResources(): void {
  if (made.size > rememberedAtMost) made.clear()
}

/** The resource as the pipeline would make it of a document: real bytes, and the references found in them. */
export function resourceOf(spec: Spec): Resource {
  const key = JSON.stringify(spec)
  let found = made.get(key)
  if (found === undefined) {
    found = build(spec)
    made.set(key, found)
  }
  return found
}

function build(spec: Spec): Resource {
  const { name, revision } = spec
  switch (spec.kind) {
    case 'endpoint':
      return resource('endpoint', name, {
        endpoints: [
          {
            lb_endpoints: [
              { endpoint: { address: { socket_address: { address: '10.0.0.1', port_value: 8000 + revision } } } },
            ],
          },
        ],
      })
    case 'secret':
      return resource('secret', name, revision)
    case 'cluster':
      return resource('cluster', name, {
        connect_timeout: `${revision}s`,
        ...clusterKind(spec.eds, spec.of),
        ...(spec.secret !== undefined && { transport_socket: upstreamTls(spec.secret) }),
      })
    case 'route':
      return resource('route', name, {
        max_direct_response_body_size_bytes: revision,
        virtual_hosts: [{ name: 'all', domains: ['*'], routes: routesTo(spec.clusters, spec.mirror) }],
        ...(spec.isOnDemand === true && { vhds: { config_source: ours } }),
      })
    case 'virtualHost': {
      const domain = `${name.slice(name.indexOf('/') + 1)}.example`
      const fields = { domains: [domain], include_request_attempt_count: revision % 2 === 0 }
      const aliases = [`${name.slice(0, name.indexOf('/'))}/${domain}`]
      return resource('virtualHost', name, { ...fields, routes: routesTo(spec.clusters, undefined) }, { aliases })
    }
    case 'scopedRoute':
      return resource('scopedRoute', name, {
        on_demand: revision % 2 === 0,
        route_configuration_name: spec.route,
        key: { fragments: [{ string_key: name }] },
      })
    case 'extension':
      return resource('extension', name, {
        typed_config: {
          '@type': 'type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz',
          stat_prefix: `${revision}`,
          ...(spec.cluster !== undefined && { grpc_service: { envoy_grpc: { cluster_name: spec.cluster } } }),
        },
      })
    case 'listener':
      return resource('listener', name, {
        stat_prefix: `${revision}`,
        filter_chains: [
          {
            filters: [
              spec.routing.by === 'tcp' ? tcpProxy(spec.routing.clusters) : httpManager(spec.routing, spec.extension),
            ],
            ...(spec.secret !== undefined && { transport_socket: downstreamTls(spec.secret) }),
          },
        ],
      })
  }
}

const ours = { ads: {}, resource_api_version: 'V3' }

function clusterKind(eds: string | undefined, of: readonly string[] | undefined): JsonObject {
  if (of !== undefined) {
    const config = 'type.googleapis.com/envoy.extensions.clusters.aggregate.v3.ClusterConfig'
    return {
      lb_policy: 'CLUSTER_PROVIDED',
      cluster_type: { name: 'envoy.clusters.aggregate', typed_config: { '@type': config, clusters: [...of] } },
    }
  }
  return eds === undefined
    ? { type: 'STATIC' }
    : { type: 'EDS', eds_cluster_config: { eds_config: ours, service_name: eds } }
}

function routesTo(clusters: readonly string[], mirror: string | undefined): JsonObject[] {
  const match = { prefix: '/' }
  const [first, ...others] = clusters
  if (first === undefined) return [{ match, direct_response: { status: 404 } }]
  const action: JsonObject =
    others.length === 0
      ? { cluster: first }
      : { weighted_clusters: { clusters: clusters.map((name) => ({ name, weight: 1 })) } }
  if (mirror !== undefined) action['request_mirror_policies'] = [{ cluster: mirror }]
  return [{ match, route: action }]
}

const tls = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3'

function upstreamTls(secret: string): JsonObject {
  const context = { validation_context_sds_secret_config: { name: secret, sds_config: ours } }
  const config = { '@type': `${tls}.UpstreamTlsContext`, common_tls_context: context }
  return { name: 'envoy.transport_sockets.tls', typed_config: config }
}

function downstreamTls(secret: string): JsonObject {
  const context = { tls_certificate_sds_secret_configs: [{ name: secret, sds_config: ours }] }
  const config = { '@type': `${tls}.DownstreamTlsContext`, common_tls_context: context }
  return { name: 'envoy.transport_sockets.tls', typed_config: config }
}

function tcpProxy(clusters: readonly string[]): JsonObject {
  const [first = '', ...others] = clusters
  const to =
    others.length === 0
      ? { cluster: first }
      : { weighted_clusters: { clusters: clusters.map((name) => ({ name, weight: 1 })) } }
  return {
    name: 'envoy.filters.network.tcp_proxy',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy',
      stat_prefix: 'tcp',
      ...to,
    },
  }
}

type HttpRouting = Exclude<Extract<Spec, { kind: 'listener' }>['routing'], { by: 'tcp' }>

function httpManager(routing: HttpRouting, extension: string | undefined): JsonObject {
  const discovered =
    extension === undefined
      ? []
      : [
          {
            name: extension,
            config_discovery: {
              config_source: ours,
              type_urls: ['type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz'],
            },
          },
        ]
  const router = {
    name: 'envoy.filters.http.router',
    typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
  }
  return {
    name: 'envoy.filters.network.http_connection_manager',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
      stat_prefix: 'http',
      http_filters: [...discovered, router],
      ...routeSpecifier(routing),
    },
  }
}

function routeSpecifier(routing: HttpRouting): JsonObject {
  switch (routing.by) {
    case 'rds':
      return { rds: { route_config_name: routing.route, config_source: ours } }
    case 'inline':
      return {
        route_config: {
          name: 'inline',
          virtual_hosts: [{ name: 'all', domains: ['*'], routes: routesTo(routing.clusters, routing.mirror) }],
        },
      }
    case 'scopes':
      return {
        scoped_routes: {
          name: 'scopes',
          scope_key_builder: {
            fragments: [{ header_value_extractor: { name: 'x-scope', element_separator: ';', index: 0 } }],
          },
          rds_config_source: ours,
          scoped_rds: { scoped_rds_config_source: ours },
        },
      }
  }
}
