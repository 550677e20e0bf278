/** The protocol's names as test clients have them: typed once more, so that a mistake in the server's own table shows. */

/** The messages of the resources' types, by a short word for each. */
export const messageNames: Readonly<Record<string, string>> = {
  cluster: 'envoy.config.cluster.v3.Cluster',
  endpoint: 'envoy.config.endpoint.v3.ClusterLoadAssignment',
  secret: 'envoy.extensions.transport_sockets.tls.v3.Secret',
  extension: 'envoy.config.core.v3.TypedExtensionConfig',
  runtime: 'envoy.service.runtime.v3.Runtime',
  listener: 'envoy.config.listener.v3.Listener',
  scopedRoute: 'envoy.config.route.v3.ScopedRouteConfiguration',
  route: 'envoy.config.route.v3.RouteConfiguration',
  virtualHost: 'envoy.config.route.v3.VirtualHost',
}

/** The services and methods by which a stream can be opened, ADS first. */
export const services: Readonly<
  Record<string, { readonly service: string; readonly sotw?: string; readonly delta: string }>
> = {
  ads: {
    service: 'envoy.service.discovery.v3.AggregatedDiscoveryService',
    sotw: 'StreamAggregatedResources',
    delta: 'DeltaAggregatedResources',
  },
  cluster: {
    service: 'envoy.service.cluster.v3.ClusterDiscoveryService',
    sotw: 'StreamClusters',
    delta: 'DeltaClusters',
  },
  endpoint: {
    service: 'envoy.service.endpoint.v3.EndpointDiscoveryService',
    sotw: 'StreamEndpoints',
    delta: 'DeltaEndpoints',
  },
  listener: {
    service: 'envoy.service.listener.v3.ListenerDiscoveryService',
    sotw: 'StreamListeners',
    delta: 'DeltaListeners',
  },
  route: { service: 'envoy.service.route.v3.RouteDiscoveryService', sotw: 'StreamRoutes', delta: 'DeltaRoutes' },
  scopedRoute: {
    service: 'envoy.service.route.v3.ScopedRoutesDiscoveryService',
    sotw: 'StreamScopedRoutes',
    delta: 'DeltaScopedRoutes',
  },
  virtualHost: { service: 'envoy.service.route.v3.VirtualHostDiscoveryService', delta: 'DeltaVirtualHosts' },
  secret: { service: 'envoy.service.secret.v3.SecretDiscoveryService', sotw: 'StreamSecrets', delta: 'DeltaSecrets' },
  runtime: {
    service: 'envoy.service.runtime.v3.RuntimeDiscoveryService',
    sotw: 'StreamRuntime',
    delta: 'DeltaRuntime',
  },
  extension: {
    service: 'envoy.service.extension.v3.ExtensionConfigDiscoveryService',
    sotw: 'StreamExtensionConfigs',
    delta: 'DeltaExtensionConfigs',
  },
}

/** Every resource type of Envoy's has its name in field 1, the first that is written: tag 0x0a, length, text. */
export function nameIn(bytes: Uint8Array): string {
  if (bytes[0] !== 0x0a) return ''
  let length = 0
  let at = 1
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++] ?? 0
    length |= (byte & 0x7f) << shift
    if (byte < 0x80) break
  }
  return Buffer.from(bytes.subarray(at, at + length)).toString('utf8')
}
