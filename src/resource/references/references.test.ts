import { fromJson, type JsonObject, ScalarType } from '@bufbuild/protobuf'
import { describe, expect, test } from 'vitest'
import { loadEnvoyApi } from '../envoy-api.ts'
import { wordOf } from '../type-url.ts'
import { clusterFields } from './cluster-fields.ts'
import { collectReferences } from './references.ts'

const api = loadEnvoyApi()

/** One line a reference: `cluster cart at routes[0].cluster`. */
function references(type: string, json: JsonObject): string[] {
  const desc = api.registry.getMessage(type)
  if (!desc) throw new Error(`no ${type}`)
  const message = fromJson(desc, json, { registry: api.registry })
  return collectReferences(api, desc, message).map(({ typeUrl, name, path }) => `${wordOf(typeUrl)} ${name} at ${path}`)
}

const core = 'envoy.config.core.v3'
const network = 'envoy.extensions.filters.network'
const http = 'envoy.extensions.filters.http'
const hcm = `${network}.http_connection_manager.v3.HttpConnectionManager`
const ads: JsonObject = { ads: {}, resource_api_version: 'V3' }
const self: JsonObject = { self: {} }
const file: JsonObject = { path_config_source: { path: '/a' } }

function any(type: string, json: JsonObject): JsonObject {
  return { '@type': `type.googleapis.com/${type}`, ...json }
}

const grpc = { envoy_grpc: { cluster_name: 'g' } }

interface Row {
  readonly what: string
  readonly type: string
  readonly json: JsonObject
  readonly expected: readonly string[]
}

const clusterRows: readonly Row[] = [
  {
    what: 'a route',
    type: 'envoy.config.route.v3.RouteConfiguration',
    json: { virtual_hosts: [{ routes: [{}, { route: { cluster: 'a' } }] }] },
    expected: ['cluster a at virtual_hosts[0].routes[1].route.cluster'],
  },
  {
    what: 'weighted clusters',
    type: 'envoy.config.route.v3.RouteAction',
    json: { weighted_clusters: { clusters: [{ name: 'a' }, { cluster_header: 'x' }, { name: 'b' }] } },
    expected: ['cluster a at weighted_clusters.clusters[0].name', 'cluster b at weighted_clusters.clusters[2].name'],
  },
  {
    what: 'mirrors of a route',
    type: 'envoy.config.route.v3.RouteAction',
    json: { cluster_header: 'x', request_mirror_policies: [{ cluster: 'a' }, { cluster_header: 'y' }] },
    expected: ['cluster a at request_mirror_policies[0].cluster'],
  },
  {
    what: 'mirrors of a virtual host',
    type: 'envoy.config.route.v3.VirtualHost',
    json: { request_mirror_policies: [{ cluster: 'a' }] },
    expected: ['cluster a at request_mirror_policies[0].cluster'],
  },
  {
    what: 'a TCP proxy',
    type: `${network}.tcp_proxy.v3.TcpProxy`,
    json: { cluster: 'a' },
    expected: ['cluster a at cluster'],
  },
  {
    what: 'a weighted TCP proxy',
    type: `${network}.tcp_proxy.v3.TcpProxy`,
    json: { weighted_clusters: { clusters: [{ name: 'a' }] } },
    expected: ['cluster a at weighted_clusters.clusters[0].name'],
  },
  {
    what: 'a UDP proxy',
    type: 'envoy.extensions.filters.udp.udp_proxy.v3.UdpProxyConfig',
    json: { cluster: 'a' },
    expected: ['cluster a at cluster'],
  },
  {
    what: 'the actions of a matcher of a UDP proxy',
    type: 'envoy.extensions.filters.udp.udp_proxy.v3.UdpProxyConfig',
    json: {
      matcher: {
        on_no_match: {
          action: { name: 'r', typed_config: any('envoy.extensions.filters.udp.udp_proxy.v3.Route', { cluster: 'a' }) },
        },
      },
    },
    expected: ['cluster a at matcher.on_no_match.action.typed_config.cluster'],
  },
  {
    what: 'a Redis proxy',
    type: `${network}.redis_proxy.v3.RedisProxy`,
    json: {
      prefix_routes: {
        routes: [{ cluster: 'a', request_mirror_policy: [{ cluster: 'm' }], read_command_policy: { cluster: 'r' } }],
        catch_all_route: { cluster: 'b' },
      },
    },
    expected: [
      'cluster a at prefix_routes.routes[0].cluster',
      'cluster m at prefix_routes.routes[0].request_mirror_policy[0].cluster',
      'cluster r at prefix_routes.routes[0].read_command_policy.cluster',
      'cluster b at prefix_routes.catch_all_route.cluster',
    ],
  },
  {
    what: 'a Thrift proxy',
    type: `${network}.thrift_proxy.v3.ThriftProxy`,
    json: {
      route_config: {
        routes: [
          { route: { cluster: 'a', request_mirror_policies: [{ cluster: 'm' }] } },
          { route: { weighted_clusters: { clusters: [{ name: 'b' }] } } },
          { route: { cluster_header: 'x' } },
        ],
      },
    },
    expected: [
      'cluster a at route_config.routes[0].route.cluster',
      'cluster m at route_config.routes[0].route.request_mirror_policies[0].cluster',
      'cluster b at route_config.routes[1].route.weighted_clusters.clusters[0].name',
    ],
  },
  {
    what: 'a Dubbo proxy',
    type: `${network}.dubbo_proxy.v3.DubboProxy`,
    json: {
      route_config: [
        { routes: [{ route: { cluster: 'a' } }, { route: { weighted_clusters: { clusters: [{ name: 'b' }] } } }] },
      ],
    },
    expected: [
      'cluster a at route_config[0].routes[0].route.cluster',
      'cluster b at route_config[0].routes[1].route.weighted_clusters.clusters[0].name',
    ],
  },
  {
    what: 'an aggregate cluster',
    type: 'envoy.config.cluster.v3.Cluster',
    json: {
      name: 'x',
      cluster_type: {
        name: 'envoy.clusters.aggregate',
        typed_config: any('envoy.extensions.clusters.aggregate.v3.ClusterConfig', { clusters: ['a', 'b'] }),
      },
    },
    expected: [
      'cluster a at cluster_type.typed_config.clusters[0]',
      'cluster b at cluster_type.typed_config.clusters[1]',
    ],
  },
  {
    what: 'ext_authz over gRPC',
    type: `${http}.ext_authz.v3.ExtAuthz`,
    json: { grpc_service: grpc },
    expected: ['cluster g at grpc_service.envoy_grpc.cluster_name'],
  },
  {
    what: 'ext_authz over HTTP',
    type: `${http}.ext_authz.v3.ExtAuthz`,
    json: { http_service: { server_uri: { uri: 'http://a', cluster: 'a' } } },
    expected: ['cluster a at http_service.server_uri.cluster'],
  },
  {
    what: 'ext_proc',
    type: `${http}.ext_proc.v3.ExternalProcessor`,
    json: { grpc_service: grpc },
    expected: ['cluster g at grpc_service.envoy_grpc.cluster_name'],
  },
  {
    what: 'the rate limit service',
    type: `${http}.ratelimit.v3.RateLimit`,
    json: { rate_limit_service: { grpc_service: grpc } },
    expected: ['cluster g at rate_limit_service.grpc_service.envoy_grpc.cluster_name'],
  },
  {
    what: 'rate limit quotas',
    type: `${http}.rate_limit_quota.v3.RateLimitQuotaFilterConfig`,
    json: { rlqs_server: grpc },
    expected: ['cluster g at rlqs_server.envoy_grpc.cluster_name'],
  },
  {
    what: 'a remote JWKS',
    type: `${http}.jwt_authn.v3.JwtAuthentication`,
    json: { providers: { p: { remote_jwks: { http_uri: { cluster: 'a' } } } } },
    expected: ['cluster a at providers.p.remote_jwks.http_uri.cluster'],
  },
  {
    what: 'OAuth2',
    type: `${http}.oauth2.v3.OAuth2`,
    json: { config: { token_endpoint: { cluster: 'a' } } },
    expected: ['cluster a at config.token_endpoint.cluster'],
  },
  {
    what: 'the credential injector',
    type: `${http}.credential_injector.v3.CredentialInjector`,
    json: {
      credential: {
        name: 'c',
        typed_config: any('envoy.extensions.http.injected_credentials.oauth2.v3.OAuth2', {
          token_endpoint: { cluster: 'a' },
          client_credentials: { client_id: 'i', client_secret: { name: 's', sds_config: ads } },
        }),
      },
    },
    expected: [
      'cluster a at credential.typed_config.token_endpoint.cluster',
      'secret s at credential.typed_config.client_credentials.client_secret.name',
    ],
  },
  {
    what: 'a remote Wasm module',
    type: `${http}.wasm.v3.Wasm`,
    json: { config: { vm_config: { code: { remote: { http_uri: { cluster: 'a' } } } } } },
    expected: ['cluster a at config.vm_config.code.remote.http_uri.cluster'],
  },
  {
    what: 'GCP authentication',
    type: `${http}.gcp_authn.v3.GcpAuthnFilterConfig`,
    json: { cluster: 'a' },
    expected: ['cluster a at cluster'],
  },
  {
    what: 'a health check filter',
    type: `${http}.health_check.v3.HealthCheck`,
    json: { cluster_min_healthy_percentages: { a: { value: 5 }, 'b.c': {} } },
    expected: [
      'cluster a at cluster_min_healthy_percentages.a',
      'cluster b.c at cluster_min_healthy_percentages["b.c"]',
    ],
  },
  {
    what: 'a Zipkin tracer',
    type: hcm,
    json: {
      tracing: {
        provider: { name: 't', typed_config: any('envoy.config.trace.v3.ZipkinConfig', { collector_cluster: 'a' }) },
      },
    },
    expected: ['cluster a at tracing.provider.typed_config.collector_cluster'],
  },
  {
    what: 'a Datadog tracer',
    type: 'envoy.config.trace.v3.DatadogConfig',
    json: { collector_cluster: 'a' },
    expected: ['cluster a at collector_cluster'],
  },
  {
    what: 'a Lightstep tracer',
    type: 'envoy.config.trace.v3.LightstepConfig',
    json: { collector_cluster: 'a' },
    expected: ['cluster a at collector_cluster'],
  },
  {
    what: 'a SkyWalking tracer',
    type: 'envoy.config.trace.v3.SkyWalkingConfig',
    json: { grpc_service: grpc },
    expected: ['cluster g at grpc_service.envoy_grpc.cluster_name'],
  },
  {
    what: 'an OpenTelemetry tracer',
    type: 'envoy.config.trace.v3.OpenTelemetryConfig',
    json: { http_service: { http_uri: { cluster: 'a' } } },
    expected: ['cluster a at http_service.http_uri.cluster'],
  },
  {
    what: 'a gRPC access log',
    type: 'envoy.config.listener.v3.Listener',
    json: {
      access_log: [
        {
          name: 'l',
          typed_config: any('envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig', {
            common_config: { grpc_service: grpc },
          }),
        },
      ],
    },
    expected: ['cluster g at access_log[0].typed_config.common_config.grpc_service.envoy_grpc.cluster_name'],
  },
  {
    what: 'a Fluentd access log',
    type: 'envoy.extensions.access_loggers.fluentd.v3.FluentdAccessLogConfig',
    json: { cluster: 'a' },
    expected: ['cluster a at cluster'],
  },
  {
    what: 'the source of other resources',
    type: `${core}.ConfigSource`,
    json: { api_config_source: { cluster_names: ['a'], grpc_services: [grpc] } },
    expected: [
      'cluster a at api_config_source.cluster_names[0]',
      'cluster g at api_config_source.grpc_services[0].envoy_grpc.cluster_name',
    ],
  },
  {
    what: 'the load report server of a cluster',
    type: 'envoy.config.cluster.v3.Cluster',
    json: { name: 'x', lrs_server: { api_config_source: { grpc_services: [grpc] } } },
    expected: ['cluster g at lrs_server.api_config_source.grpc_services[0].envoy_grpc.cluster_name'],
  },
  {
    what: 'the event service of a health check',
    type: `${core}.HealthCheck`,
    json: { event_service: { grpc_service: grpc } },
    expected: ['cluster g at event_service.grpc_service.envoy_grpc.cluster_name'],
  },
  {
    what: 'a DNS table',
    type: 'envoy.data.dns.v3.DnsTable',
    json: {
      virtual_domains: [
        { endpoint: { cluster_name: 'a' } },
        { endpoint: { service_list: { services: [{ targets: [{ cluster_name: 'b' }] }] } } },
      ],
    },
    expected: [
      'cluster a at virtual_domains[0].endpoint.cluster_name',
      'cluster b at virtual_domains[1].endpoint.service_list.services[0].targets[0].cluster_name',
    ],
  },
  {
    what: 'a Lua cluster specifier',
    type: 'envoy.extensions.router.cluster_specifiers.lua.v3.LuaConfig',
    json: { default_cluster: 'a' },
    expected: ['cluster a at default_cluster'],
  },
  {
    what: 'per-route configuration',
    type: 'envoy.config.route.v3.Route',
    json: {
      typed_per_filter_config: {
        'envoy.filters.http.ext_proc': any(`${http}.ext_proc.v3.ExtProcPerRoute`, {
          overrides: { grpc_service: grpc },
        }),
      },
    },
    expected: [
      'cluster g at typed_per_filter_config["envoy.filters.http.ext_proc"].overrides.grpc_service.envoy_grpc.cluster_name',
    ],
  },
]

const eds = (config: JsonObject): JsonObject => ({ name: 'c', type: 'EDS', eds_cluster_config: config })
const httpFilter = (config: JsonObject): JsonObject => ({ http_filters: [{ name: 'f', config_discovery: config }] })
const scope: JsonObject = { name: 's', route_configuration_name: 'r' }
const inlineScopes = (source: JsonObject): JsonObject => ({
  scoped_routes: {
    rds_config_source: source,
    scoped_route_configurations_list: { scoped_route_configurations: [scope] },
  },
})

const otherRows: readonly Row[] = [
  {
    what: 'an EDS cluster',
    type: 'envoy.config.cluster.v3.Cluster',
    json: eds({ eds_config: ads }),
    expected: ['endpoint c at name'],
  },
  {
    what: 'an EDS cluster by its service name',
    type: 'envoy.config.cluster.v3.Cluster',
    json: eds({ eds_config: self, service_name: 'xdstp://a/b/s' }),
    expected: ['endpoint xdstp://a/b/s at eds_cluster_config.service_name'],
  },
  {
    what: 'an EDS cluster that says no source',
    type: 'envoy.config.cluster.v3.Cluster',
    json: { name: 'c', type: 'EDS' },
    expected: ['endpoint c at name'],
  },
  {
    what: 'an EDS cluster whose endpoints are in a file',
    type: 'envoy.config.cluster.v3.Cluster',
    json: eds({ eds_config: file }),
    expected: [],
  },
  {
    what: 'an EDS cluster of another server',
    type: 'envoy.config.cluster.v3.Cluster',
    json: eds({ eds_config: { api_config_source: { grpc_services: [grpc] } } }),
    expected: ['cluster g at eds_cluster_config.eds_config.api_config_source.grpc_services[0].envoy_grpc.cluster_name'],
  },
  {
    what: 'an EDS cluster by the name of its factory',
    type: 'envoy.config.cluster.v3.Cluster',
    json: { name: 'c', cluster_type: { name: 'envoy.cluster.eds' }, eds_cluster_config: { eds_config: ads } },
    expected: ['endpoint c at name'],
  },
  {
    what: 'a cluster of another type',
    type: 'envoy.config.cluster.v3.Cluster',
    json: { name: 'c', type: 'STRICT_DNS' },
    expected: [],
  },
  {
    what: 'RDS',
    type: hcm,
    json: { rds: { route_config_name: 'r', config_source: ads } },
    expected: ['route r at rds.route_config_name'],
  },
  { what: 'RDS from a file', type: hcm, json: { rds: { route_config_name: 'r', config_source: file } }, expected: [] },
  {
    what: 'an inline route configuration',
    type: hcm,
    json: { route_config: { name: 'r', virtual_hosts: [{ routes: [{ route: { cluster: 'a' } }] }] } },
    expected: ['cluster a at route_config.virtual_hosts[0].routes[0].route.cluster'],
  },
  {
    what: 'VHDS, which names nothing',
    type: 'envoy.config.route.v3.RouteConfiguration',
    json: { vhds: { config_source: ads } },
    expected: [],
  },
  {
    what: 'SRDS, which is a wildcard',
    type: hcm,
    json: { scoped_routes: { name: 's', rds_config_source: ads, scoped_rds: { scoped_rds_config_source: ads } } },
    expected: [],
  },
  {
    what: 'a scope',
    type: 'envoy.config.route.v3.ScopedRouteConfiguration',
    json: scope,
    expected: ['route r at route_configuration_name'],
  },
  {
    what: 'scopes in a listener',
    type: hcm,
    json: inlineScopes(ads),
    expected: [
      'route r at scoped_routes.scoped_route_configurations_list.scoped_route_configurations[0].route_configuration_name',
    ],
  },
  { what: 'scopes in a listener with routes from a file', type: hcm, json: inlineScopes(file), expected: [] },
  {
    what: 'TRDS',
    type: `${network}.thrift_proxy.v3.ThriftProxy`,
    json: { trds: { route_config_name: 'r', config_source: ads } },
    expected: [`${network}.thrift_proxy.v3.RouteConfiguration r at trds.route_config_name`],
  },
  {
    what: 'DRDS',
    type: `${network}.dubbo_proxy.v3.DubboProxy`,
    json: { drds: { route_config_name: 'r', config_source: ads } },
    expected: [`${network}.dubbo_proxy.v3.MultipleRouteConfiguration r at drds.route_config_name`],
  },
  {
    what: 'secrets of a TLS context',
    type: 'envoy.config.cluster.v3.Cluster',
    json: {
      name: 'c',
      transport_socket: {
        name: 'tls',
        typed_config: any('envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext', {
          common_tls_context: {
            tls_certificate_sds_secret_configs: [
              { name: 'cert', sds_config: ads },
              { name: 'static' },
              { name: 'other', sds_config: file },
            ],
            validation_context_sds_secret_config: { name: 'ca', sds_config: self },
          },
        }),
      },
    },
    expected: [
      'secret cert at transport_socket.typed_config.common_tls_context.tls_certificate_sds_secret_configs[0].name',
      'secret ca at transport_socket.typed_config.common_tls_context.validation_context_sds_secret_config.name',
    ],
  },
  {
    what: 'an HTTP filter by ECDS',
    type: hcm,
    json: httpFilter({ config_source: ads, type_urls: ['t'] }),
    expected: ['extension f at http_filters[0].name'],
  },
  { what: 'an HTTP filter by ECDS from a file', type: hcm, json: httpFilter({ config_source: file }), expected: [] },
  {
    what: 'the default of a filter by ECDS',
    type: hcm,
    json: httpFilter({
      config_source: ads,
      default_config: any(`${http}.ext_authz.v3.ExtAuthz`, { grpc_service: grpc }),
    }),
    expected: [
      'extension f at http_filters[0].name',
      'cluster g at http_filters[0].config_discovery.default_config.grpc_service.envoy_grpc.cluster_name',
    ],
  },
  {
    what: 'network and listener filters by ECDS',
    type: 'envoy.config.listener.v3.Listener',
    json: {
      listener_filters: [{ name: 'l', config_discovery: { config_source: ads } }],
      filter_chains: [{ filters: [{ name: 'n', config_discovery: { config_source: self } }] }],
    },
    expected: ['extension n at filter_chains[0].filters[0].name', 'extension l at listener_filters[0].name'],
  },
  {
    what: 'an upstream network filter by ECDS',
    type: 'envoy.config.cluster.v3.Cluster',
    json: { name: 'c', filters: [{ name: 'n', config_discovery: { config_source: ads } }] },
    expected: ['extension n at filters[0].name'],
  },
  {
    what: 'a composite filter by ECDS',
    type: `${http}.composite.v3.ExecuteFilterAction`,
    json: { dynamic_config: { name: 'f', config_discovery: { config_source: ads } } },
    expected: ['extension f at dynamic_config.name'],
  },
  { what: 'an empty name', type: hcm, json: { rds: { route_config_name: '', config_source: ads } }, expected: [] },
  {
    what: 'what an unknown extension holds',
    type: 'envoy.config.core.v3.TypedExtensionConfig',
    json: { name: 'x', typed_config: any('xds.type.v3.TypedStruct', { type_url: 't', value: { cluster: 'a' } }) },
    expected: [],
  },
]

describe('references', () => {
  test.each(clusterRows)('to clusters: $what', ({ type, json, expected }) => {
    expect(references(type, json)).toEqual(expected)
  })

  test.each(otherRows)('to other resources: $what', ({ type, json, expected }) => {
    expect(references(type, json)).toEqual(expected)
  })
})

/** Fields that look like the name of a cluster, and why they are not a reference. */
const notReferences: Readonly<Record<string, string>> = {
  'envoy.admin.v3.CommandLineOptions.service_cluster': 'not configuration',
  'envoy.config.bootstrap.v3.ClusterManager.local_cluster_name': 'bootstrap',
  'envoy.config.core.v3.Node.cluster': 'the name of a group of nodes',
  'envoy.config.endpoint.v3.ClusterLoadAssignment.cluster_name': 'its own name',
  'envoy.config.endpoint.v3.ClusterStats.cluster_name': 'not configuration',
  'envoy.config.endpoint.v3.ClusterStats.cluster_service_name': 'not configuration',
  'envoy.config.metrics.v3.StatsdSink.tcp_cluster_name': 'bootstrap',
  'envoy.config.route.v3.RouteAction.RequestMirrorPolicy.cluster_header': 'the name of a header',
  'envoy.config.route.v3.RouteAction.cluster_header': 'the name of a header',
  'envoy.config.route.v3.RouteAction.cluster_specifier_plugin': 'the name of a plugin of the route configuration',
  'envoy.config.route.v3.WeightedCluster.ClusterWeight.cluster_header': 'the name of a header',
  'envoy.data.accesslog.v3.AccessLogCommon.upstream_cluster': 'not configuration',
  'envoy.data.cluster.v3.OutlierDetectionEvent.cluster_name': 'not configuration',
  'envoy.data.core.v3.HealthCheckEvent.cluster_name': 'not configuration',
  'envoy.extensions.filters.http.fault.v3.HTTPFault.upstream_cluster': 'a condition, which may well never hold',
  'envoy.extensions.filters.network.thrift_proxy.v3.RouteAction.cluster_header': 'the name of a header',
  'envoy.service.health.v3.ClusterEndpointsHealth.cluster_name': 'not configuration',
  'envoy.service.health.v3.ClusterHealthCheck.cluster_name': 'not configuration',
  'envoy.service.load_stats.v3.LoadStatsResponse.clusters': 'not configuration',
}

describe('the table of cluster fields', () => {
  const lookalikes: string[] = []
  for (const type of api.registry) {
    if (type.kind !== 'message' || type.typeName.startsWith('fairlead.')) continue
    for (const field of type.fields) {
      const isText =
        field.scalar === ScalarType.STRING ||
        field.message?.typeName === 'google.protobuf.StringValue' ||
        (field.fieldKind === 'map' && field.mapKey === ScalarType.STRING)
      if (isText && /cluster/.test(field.name)) lookalikes.push(`${type.typeName}.${field.name}`)
    }
  }
  const inTable = Object.entries(clusterFields).flatMap(([type, fields]) => fields.map((field) => `${type}.${field}`))

  test('every field that looks like the name of a cluster has been decided upon', () => {
    expect(lookalikes.length).toBeGreaterThan(30)
    expect(lookalikes.filter((field) => !inTable.includes(field) && !(field in notReferences))).toEqual([])
  })

  test('nothing is both, and nothing that is said to be none is gone', () => {
    expect(Object.keys(notReferences).filter((field) => inTable.includes(field))).toEqual([])
    expect(Object.keys(notReferences).filter((field) => !lookalikes.includes(field))).toEqual([])
  })

  test('every type of the table that the API has, has the field', () => {
    const isAbsent = (type: string, name: string): boolean => {
      const desc = api.registry.getMessage(type)
      return desc !== undefined && !desc.fields.some((field) => field.name === name)
    }
    const absent = Object.entries(clusterFields).flatMap(([type, names]) =>
      names.filter((name) => isAbsent(type, name)),
    )
    expect(absent).toEqual([])
  })
})
