/** What a forwarding bootstrap has besides, or in another way. */
export interface BootstrapParts {
  readonly listenerFilters?: readonly object[]
  readonly networkFilters?: readonly object[]
  /** Before the router. */
  readonly httpFilters?: readonly object[]
  /** Laid over the connection manager. */
  readonly manager?: object
  /** Laid over the listener. */
  readonly listener?: object
  /** Laid over the cluster. */
  readonly cluster?: object
}

/** A filter, or another extension, by the name of its message. */
export const typed = (name: string, config: object = {}): object => ({
  name,
  typed_config: { '@type': `type.googleapis.com/${name}`, ...config },
})

const address = (port: number): object => ({ socket_address: { address: '127.0.0.1', port_value: port } })

/** Everything that comes in by the listener `http` goes to the app at a port of 127.0.0.1. */
export function forwardingBootstrap(upstream: number, parts: BootstrapParts = {}): object {
  const router = typed('envoy.extensions.filters.http.router.v3.Router')
  const manager = typed('envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', {
    stat_prefix: 'http',
    route_config: {
      name: 'all',
      virtual_hosts: [{ name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'app' } }] }],
    },
    http_filters: [...(parts.httpFilters ?? []), router],
    ...parts.manager,
  })
  return {
    node: { id: 'one', cluster: 'one' },
    admin: { address: address(0) },
    static_resources: {
      clusters: [
        {
          name: 'app',
          connect_timeout: '1s',
          load_assignment: {
            cluster_name: 'app',
            endpoints: [{ lb_endpoints: [{ endpoint: { address: address(upstream) } }] }],
          },
          ...parts.cluster,
        },
      ],
      listeners: [
        {
          name: 'http',
          address: address(0),
          ...(parts.listenerFilters && { listener_filters: parts.listenerFilters }),
          filter_chains: [{ filters: parts.networkFilters ?? [manager] }],
          ...parts.listener,
        },
      ],
    },
  }
}
