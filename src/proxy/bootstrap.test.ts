import { describe, expect, it } from 'vitest'
import { buildBootstrap } from '../cli/bootstrap-config.ts'
import { loadEnvoyApi } from '../resource/envoy-api.ts'
import { type Bootstrap, parseBootstrap } from './bootstrap.ts'

const api = loadEnvoyApi()

const printed = { id: 'edge-1', cluster: 'edge', server: '10.0.0.1:18000', delta: false }

describe('a bootstrap', () => {
  it('is taken as `fairlead bootstrap` prints it', () => {
    const source = buildBootstrap({
      ...printed,
      delta: true,
      metadata: { team: 'shop' },
      locality: { region: 'eu', zone: 'eu-1' },
      service: 'cart',
    })
    const bootstrap = parseBootstrap(api, JSON.stringify(source))
    expect(bootstrap).toMatchObject({
      identity: { id: 'edge-1', cluster: 'edge', locality: { region: 'eu', zone: 'eu-1', subZone: '' } },
      admin: { address: '127.0.0.1', port: 9901 },
      ads: {
        protocol: 'delta',
        cluster: 'fairlead',
        saysNodeOnce: true,
        pauses: { firstMs: 500, longestMs: 5_000 },
      },
      cds: { initialFetchTimeoutMs: 15_000 },
      lds: { initialFetchTimeoutMs: 15_000 },
      localCluster: 'fairlead-local',
    } satisfies Partial<Bootstrap>)
    expect(bootstrap.clusters.map(({ name }) => name)).toEqual(['fairlead', 'fairlead-local'])
    expect(bootstrap.node).toMatchObject({
      id: 'edge-1',
      userAgentName: 'fairlead-proxy',
      clientFeatures: expect.arrayContaining([expect.any(String)]),
    })
  })

  it('is taken as YAML, with layers of the runtime and a resolver', () => {
    const bootstrap = parseBootstrap(
      api,
      `
layered_runtime:
  layers:
  - name: fixed
    static_layer: {a: {b: 1}}
  - name: told
    rtds_layer: {name: other, rtds_config: {ads: {}, resource_api_version: V3, initial_fetch_timeout: 1.5s}}
  - name: admin
    admin_layer: {}
typed_dns_resolver_config:
  name: envoy.network.dns_resolver.cares
  typed_config:
    '@type': type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig
    resolvers: [{socket_address: {address: 127.0.0.1, port_value: 5353}}]
    dns_resolver_options: {no_default_search_domain: true}
static_resources:
  secrets:
  - name: own
    tls_certificate: {certificate_chain: {inline_string: a}, private_key: {inline_string: b}}
`,
    )
    expect(bootstrap.runtime).toEqual([
      { name: 'fixed', values: { a: { b: 1 } }, told: undefined },
      { name: 'told', values: {}, told: { name: 'other', source: { initialFetchTimeoutMs: 1500 } } },
      { name: 'admin', values: {}, told: undefined },
    ])
    expect(bootstrap.dns).toEqual({ servers: [{ address: '127.0.0.1', port: 5353 }] })
    expect(bootstrap.secrets).toMatchObject([{ name: 'own' }])
    expect(bootstrap).toMatchObject({ clusters: [], listeners: [], ads: undefined, cds: undefined, admin: undefined })
  })

  it.each([
    ['{cluster_name: x}', { firstMs: 500, longestMs: 30_000 }],
    ['{cluster_name: x, retry_policy: {}}', { firstMs: 500, longestMs: 30_000 }],
    ['{cluster_name: x, retry_policy: {retry_back_off: {base_interval: 0.2s}}}', { firstMs: 200, longestMs: 2_000 }],
    [
      '{cluster_name: x, retry_policy: {retry_back_off: {base_interval: 1s, max_interval: 3s}}}',
      { firstMs: 1_000, longestMs: 3_000 },
    ],
  ])('%s pauses as Envoy does between tries to reach the control plane', (service, pauses) => {
    const ads = `{api_type: GRPC, transport_api_version: V3, grpc_services: [{envoy_grpc: ${service}}]}`
    const source = `{node: {id: a, cluster: b}, dynamic_resources: {ads_config: ${ads}}}`
    expect(parseBootstrap(api, source).ads?.pauses).toEqual(pauses)
  })

  it.each([
    [
      'a longest pause below the first',
      '{dynamic_resources: {ads_config: {api_type: GRPC, transport_api_version: V3, grpc_services: [{envoy_grpc: {cluster_name: x, retry_policy: {retry_back_off: {base_interval: 2s, max_interval: 1s}}}}]}}}',
      'dynamic_resources.ads_config.grpc_services[0].envoy_grpc.retry_policy.retry_back_off.max_interval: must not be less than base_interval',
    ],
    ['no YAML', 'a: [', 'Flow sequence'],
    ['a field that Envoy does not have', '{noode: {}}', 'noode: '],
    [
      'what breaks a rule of the API',
      '{static_resources: {clusters: [{name: ""}]}}',
      'static_resources.clusters[0].name: ',
    ],
    [
      'a field that this proxy does not know',
      '{flags_path: /x, hds_config: {}}',
      '\n  hds_config: the reference proxy does not know this field',
    ],
    [
      'another way to ask',
      '{dynamic_resources: {ads_config: {api_type: REST, transport_api_version: V3}}}',
      'dynamic_resources.ads_config.api_type: REST is not supported',
    ],
    [
      'nobody who asks a control plane',
      '{dynamic_resources: {ads_config: {api_type: GRPC, transport_api_version: V3, grpc_services: [{envoy_grpc: {cluster_name: x}}]}}}',
      "node: 'id' and 'cluster' are required",
    ],
    [
      'the old protocol',
      '{dynamic_resources: {ads_config: {api_type: GRPC, grpc_services: [{envoy_grpc: {cluster_name: x}}]}}}',
      'dynamic_resources.ads_config.transport_api_version: only V3 is spoken',
    ],
  ])('is refused with the place where it is %s', (_, source, message) => {
    expect(() => parseBootstrap(api, source)).toThrow(message)
  })
})
