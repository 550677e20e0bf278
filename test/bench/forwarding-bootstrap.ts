const address = (port: number): object => ({ socket_address: { address: '127.0.0.1', port_value: port } })

const type = (name: string): string => `type.googleapis.com/envoy.extensions.filters.${name}`

/** Everything that comes in by the listener `http` goes to the app at a port of 127.0.0.1. */
export function forwardingBootstrap(upstream: number): object {
  return {
    node: { id: 'bench', cluster: 'bench' },
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
        },
      ],
      listeners: [
        {
          name: 'http',
          address: address(0),
          filter_chains: [
            {
              filters: [
                {
                  name: 'http',
                  typed_config: {
                    '@type': type('network.http_connection_manager.v3.HttpConnectionManager'),
                    stat_prefix: 'http',
                    route_config: {
                      name: 'all',
                      virtual_hosts: [
                        {
                          name: 'all',
                          domains: ['*'],
                          routes: [{ match: { prefix: '/' }, route: { cluster: 'app' } }],
                        },
                      ],
                    },
                    http_filters: [{ name: 'router', typed_config: { '@type': type('http.router.v3.Router') } }],
                  },
                },
              ],
            },
          ],
        },
      ],
    },
  }
}
