const filters = 'envoy.extensions.filters'

/**
 * Where the API names clusters: message type -> the string fields (plain, repeated, or a map's keys) that do. The test
 * beside references.ts lists the fields that look alike and are none. Types that an older API lacks do no harm.
 */
export const clusterFields: Readonly<Record<string, readonly string[]>> = {
  'envoy.config.core.v3.ApiConfigSource': ['cluster_names'],
  'envoy.config.core.v3.GrpcService.EnvoyGrpc': ['cluster_name'],
  'envoy.config.core.v3.HttpUri': ['cluster'],
  'envoy.config.route.v3.RouteAction': ['cluster'],
  'envoy.config.route.v3.RouteAction.RequestMirrorPolicy': ['cluster'],
  'envoy.config.route.v3.WeightedCluster.ClusterWeight': ['name'],
  'envoy.config.trace.v3.DatadogConfig': ['collector_cluster'],
  'envoy.config.trace.v3.LightstepConfig': ['collector_cluster'],
  'envoy.config.trace.v3.ZipkinConfig': ['collector_cluster'],
  'envoy.data.dns.v3.DnsTable.DnsEndpoint': ['cluster_name'],
  'envoy.data.dns.v3.DnsTable.DnsServiceTarget': ['cluster_name'],
  'envoy.extensions.access_loggers.fluentd.v3.FluentdAccessLogConfig': ['cluster'],
  'envoy.extensions.clusters.aggregate.v3.ClusterConfig': ['clusters'],
  'envoy.extensions.clusters.composite.v3.ClusterConfig.ClusterEntry': ['name'],
  'envoy.extensions.clusters.mcp_multicluster.v3.ClusterConfig.McpCluster': ['cluster'],
  [`${filters}.http.cache_v2.v3.CacheV2Config`]: ['override_upstream_cluster'],
  [`${filters}.http.gcp_authn.v3.GcpAuthnFilterConfig`]: ['cluster'],
  [`${filters}.http.health_check.v3.HealthCheck`]: ['cluster_min_healthy_percentages'],
  [`${filters}.http.mcp_router.v3.McpRouter.McpCluster`]: ['cluster'],
  [`${filters}.network.dubbo_proxy.v3.RouteAction`]: ['cluster'],
  [`${filters}.network.generic_proxy.action.v3.RouteAction`]: ['cluster'],
  [`${filters}.network.redis_proxy.v3.RedisProxy.PrefixRoutes.Route`]: ['cluster'],
  [`${filters}.network.redis_proxy.v3.RedisProxy.PrefixRoutes.Route.ReadCommandPolicy`]: ['cluster'],
  [`${filters}.network.redis_proxy.v3.RedisProxy.PrefixRoutes.Route.RequestMirrorPolicy`]: ['cluster'],
  [`${filters}.network.tcp_proxy.v3.TcpProxy`]: ['cluster'],
  [`${filters}.network.tcp_proxy.v3.TcpProxy.WeightedCluster.ClusterWeight`]: ['name'],
  [`${filters}.network.thrift_proxy.v3.RouteAction`]: ['cluster'],
  [`${filters}.network.thrift_proxy.v3.RouteAction.RequestMirrorPolicy`]: ['cluster'],
  [`${filters}.network.thrift_proxy.v3.WeightedCluster.ClusterWeight`]: ['name'],
  [`${filters}.udp.udp_proxy.v3.Route`]: ['cluster'],
  [`${filters}.udp.udp_proxy.v3.UdpProxyConfig`]: ['cluster'],
  'envoy.extensions.router.cluster_specifiers.lua.v3.LuaConfig': ['default_cluster'],
  'envoy.extensions.router.cluster_specifiers.matcher.v3.ClusterAction': ['cluster'],
  'envoy.extensions.router.cluster_specifiers.priority_group.v3.ClusterWeight': ['cluster_name'],
  'envoy.extensions.tracers.fluentd.v3.FluentdConfig': ['cluster'],
}
