import { describe, expect, test } from 'vitest'
import { type BootstrapOptions, buildBootstrap } from './bootstrap-config.ts'

const plain: BootstrapOptions = { id: 'edge-1', cluster: 'edge', server: '127.0.0.1:18000', delta: false }

describe('the bootstrap', () => {
  test('says who the proxy is, and which names it holds itself', () => {
    expect(buildBootstrap({ ...plain, locality: { region: 'eu', zone: 'eu-1' } })).toMatchObject({
      node: {
        id: 'edge-1',
        cluster: 'edge',
        metadata: { fairlead: { static: { cluster: ['fairlead'] } } },
        locality: { region: 'eu', zone: 'eu-1' },
        client_features: ['xds.config.resource-in-sotw', 'xds.config.supports-resource-ttl'],
      },
    })
  })

  test('of a proxy in front of a Service has a cluster of its peers, which the server fills', () => {
    expect(buildBootstrap({ ...plain, service: 'cart', locality: { zone: 'a' } })).toMatchObject({
      node: {
        metadata: { fairlead: { service: 'cart', static: { cluster: ['fairlead', 'fairlead-local'] } } },
        locality: { zone: 'a' },
      },
      cluster_manager: { local_cluster_name: 'fairlead-local' },
      static_resources: {
        clusters: [
          { name: 'fairlead' },
          { name: 'fairlead-local', type: 'EDS', eds_cluster_config: { service_name: 'cart/local' } },
        ],
      },
    })
    expect(buildBootstrap(plain)).not.toHaveProperty('cluster_manager')
  })

  test('keeps the static names that the given metadata lists', () => {
    const metadata = { env: 'prod', fairlead: { static: { cluster: ['otel', 'fairlead'], secret: ['own'] } } }
    expect(buildBootstrap({ ...plain, metadata })).toMatchObject({
      node: { metadata: { env: 'prod', fairlead: { static: { cluster: ['otel', 'fairlead'], secret: ['own'] } } } },
    })
  })

  test.each([
    [false, 'GRPC'],
    [true, 'DELTA_GRPC'],
  ])('with delta %s asks by %s, and names the node on the first message only', (delta, api_type) => {
    expect(buildBootstrap({ ...plain, delta })).toMatchObject({
      dynamic_resources: {
        ads_config: { api_type, transport_api_version: 'V3', set_node_on_first_message_only: true },
        cds_config: { ads: {}, resource_api_version: 'V3' },
        lds_config: { ads: {}, resource_api_version: 'V3' },
      },
    })
  })

  test('tries again within 5 s when the server is lost', () => {
    const retry_policy = { retry_back_off: { base_interval: '0.5s', max_interval: '5s' } }
    expect(buildBootstrap(plain)).toMatchObject({
      dynamic_resources: { ads_config: { grpc_services: [{ envoy_grpc: { retry_policy } }] } },
    })
  })

  test.each([
    ['127.0.0.1:18000', { type: 'STATIC' }, '127.0.0.1', 18_000],
    ['[::1]:18000', { type: 'STATIC' }, '::1', 18_000],
    ['cp.example:443', { type: 'STRICT_DNS', dns_lookup_family: 'V4_PREFERRED' }, 'cp.example', 443],
  ])('reaches %s', (server, discovery, address, port_value) => {
    const lb_endpoints = [{ endpoint: { address: { socket_address: { address, port_value } } } }]
    expect(buildBootstrap({ ...plain, server })).toMatchObject({
      static_resources: {
        clusters: [{ name: 'fairlead', ...discovery, load_assignment: { endpoints: [{ lb_endpoints }] } }],
      },
    })
  })

  test.each([
    [['10.0.0.1:18000', '10.0.0.2:18001'], 'STATIC', ['10.0.0.1', '10.0.0.2']],
    [['cp-1.example:18000', 'cp-2.example:18001'], 'STRICT_DNS', ['cp-1.example', 'cp-2.example']],
    [['10.0.0.1:18000', 'cp-2.example:18001'], 'STRICT_DNS', ['10.0.0.1', 'cp-2.example']],
  ])('of the replicas %j gives up one that is not there after a second', (server, type, [first, second]) => {
    const at = (address: string | undefined, port_value: number): object => ({
      endpoint: { address: { socket_address: { address, port_value } } },
    })
    const lb_endpoints = [at(first, 18_000), at(second, 18_001)]
    expect(buildBootstrap({ ...plain, server })).toMatchObject({
      static_resources: {
        clusters: [{ type, connect_timeout: '1s', load_assignment: { endpoints: [{ lb_endpoints }] } }],
      },
    })
  })

  test('over TLS accepts the certificate of any of the replicas', () => {
    const server = ['10.0.0.1:18000', 'cp-1.example:18000', 'cp-2.example:18000']
    expect(buildBootstrap({ ...plain, server, tlsCa: '/etc/ca.pem' })).toMatchObject({
      static_resources: {
        clusters: [
          {
            transport_socket: {
              typed_config: {
                sni: 'cp-1.example',
                common_tls_context: {
                  validation_context: {
                    match_typed_subject_alt_names: [
                      { san_type: 'IP_ADDRESS', matcher: { exact: '10.0.0.1' } },
                      { san_type: 'DNS', matcher: { exact: 'cp-1.example' } },
                      { san_type: 'DNS', matcher: { exact: 'cp-2.example' } },
                    ],
                  },
                },
              },
            },
          },
        ],
      },
    })
  })

  test.each([
    ['10.0.0.1:18000', { san_type: 'IP_ADDRESS', matcher: { exact: '10.0.0.1' } }],
    ['cp.example:18000', { san_type: 'DNS', matcher: { exact: 'cp.example' } }],
  ])('over TLS accepts only the certificate of %s', (server, san) => {
    expect(buildBootstrap({ ...plain, server, tlsCa: '/etc/ca.pem' })).toMatchObject({
      static_resources: {
        clusters: [
          {
            transport_socket: {
              typed_config: {
                common_tls_context: {
                  validation_context: { trusted_ca: { filename: '/etc/ca.pem' }, match_typed_subject_alt_names: [san] },
                },
              },
            },
          },
        ],
      },
    })
  })

  test('without a CA speaks no TLS', () => {
    expect(JSON.stringify(buildBootstrap(plain))).not.toContain('transport_socket')
  })

  test.each([
    '',
    'cp.example',
    'cp.example:',
    'cp.example:0',
    'cp.example:70000',
    '::1:18000',
    '[cp.example]:1',
    'http://cp:1',
  ])('refuses %j as a server', (server) => {
    expect(() => buildBootstrap({ ...plain, server })).toThrow('is not host:port')
  })

  test.each([
    [{ tlsCa: 'ca.pem', tlsCert: 'a.pem' }, 'give both'],
    [{ tlsCa: 'ca.pem', tlsKey: 'a.key' }, 'give both'],
    [{ tlsCert: 'a.pem', tlsKey: 'a.key' }, 'needs the CA'],
  ])('refuses %j', (files, message) => {
    expect(() => buildBootstrap({ ...plain, ...files })).toThrow(message)
  })
})
