import { describe, expect, it } from 'vitest'
import { edsCluster, staticCluster } from '../../../test/support/cluster-json.ts'
import type { JsonObject } from '../config/field-reader.ts'
import { type ClusterConfig, parseClusterConfig } from './cluster-config.ts'

const type = (name: string): string => `type.googleapis.com/envoy.extensions.${name}`

const policies = (...typed: readonly JsonObject[]): JsonObject => ({
  load_balancing_policy: {
    policies: typed.map((typed_config, index) => ({
      typed_extension_config: { name: `policy-${index}`, typed_config },
    })),
  },
})

const roundRobin = { '@type': type('load_balancing_policies.round_robin.v3.RoundRobin') }
const read = (fields: JsonObject): ClusterConfig =>
  parseClusterConfig(staticCluster('cart', [{ at: '10.0.0.1:80' }], fields))

describe('a cluster', () => {
  it('that says nothing has what Envoy has by default', () => {
    const config = read({})
    expect(config).toMatchObject({
      name: 'cart',
      statName: 'cart',
      connectTimeoutMs: 5000,
      balance: { policy: 'round robin', locality: { by: 'zone', routingEnabledPercent: 100, minClusterSize: 6 } },
      common: { panicThreshold: 50, updateMergeWindowMs: 1000 },
      healthChecks: [],
      isWaitedForOnInit: true,
    })
    expect(config.outlier).toBeUndefined()
    const { circuits, maxConnectionsPerHost } = config.breakers
    expect(circuits.high).toEqual(circuits.default)
    expect(circuits.default).toMatchObject({
      maxConnections: 1024,
      maxPendingRequests: 1024,
      maxRequests: 1024,
      maxRetries: 3,
    })
    expect(maxConnectionsPerHost).toBe(Number.POSITIVE_INFINITY)
  })

  it('is read once, however often it is sent', () => {
    const json = staticCluster('cart', [])
    expect(parseClusterConfig(json)).toBe(parseClusterConfig(json))
  })

  it.each<readonly [name: string, fields: JsonObject, config: object]>([
    [
      'a panic threshold of zero',
      { common_lb_config: { healthy_panic_threshold: {} } },
      { common: { panicThreshold: 0 } },
    ],
    [
      'a panic threshold with a fraction, which is rounded',
      { common_lb_config: { healthy_panic_threshold: { value: 33.6 } } },
      { common: { panicThreshold: 34 } },
    ],
    ['another name for its stats', { alt_stat_name: 'shop' }, { name: 'cart', statName: 'shop' }],
    [
      'circuit breakers of both priorities',
      { circuit_breakers: { thresholds: [{ max_requests: 5 }, { priority: 'HIGH', max_requests: 7 }] } },
      { breakers: { circuits: { default: { maxRequests: 5 }, high: { maxRequests: 7 } } } },
    ],
    [
      'a retry budget',
      { circuit_breakers: { thresholds: [{ retry_budget: { budget_percent: { value: 25 } } }] } },
      { breakers: { circuits: { default: { retryBudget: { share: 0.25, minConcurrency: 3 } } } } },
    ],
    [
      'least request in the older form',
      { lb_policy: 'LEAST_REQUEST', least_request_lb_config: { choice_count: 4 } },
      { balance: { policy: 'least request', choices: 4, activeRequestBias: { byDefault: 1 } } },
    ],
    [
      'a ring in the older form, with localities that count by weight',
      { lb_policy: 'RING_HASH', common_lb_config: { locality_weighted_lb_config: {} } },
      {
        balance: { policy: 'ring hash', minimumRingSize: 1024, hash: 'xxHash', hashing: { isLocalityWeighted: true } },
      },
    ],
    [
      'subsets of least request',
      {
        lb_policy: 'LEAST_REQUEST',
        lb_subset_config: { fallback_policy: 'ANY_ENDPOINT', subset_selectors: [{ keys: ['version', 'stage'] }] },
      },
      {
        balance: {
          policy: 'subset',
          fallback: 'any endpoint',
          selectors: [{ keys: ['stage', 'version'] }],
          inner: { policy: 'least request' },
        },
      },
    ],
    [
      'subsets without selectors, which are none',
      { lb_subset_config: { fallback_policy: 'ANY_ENDPOINT' } },
      { balance: { policy: 'round robin' } },
    ],
    [
      'a typed policy in place of the older one',
      { lb_policy: 'RANDOM', ...policies({ ...roundRobin, slow_start_config: { slow_start_window: '10s' } }) },
      { balance: { policy: 'round robin', slowStart: { windowMs: 10_000, minWeight: 0.1 } } },
    ],
    [
      'the first typed policy that is known',
      policies({ '@type': type('load_balancing_policies.unknown.v3.Unknown'), x: 1 }, roundRobin),
      { balance: { policy: 'round robin' } },
    ],
    [
      'outlier detection with a long first time outside',
      { outlier_detection: { base_ejection_time: '400s' } },
      { outlier: { baseEjectionTimeMs: 400_000, maxEjectionTimeMs: 400_000, consecutive5xx: 5 } },
    ],
  ])('has %s', (_, fields, config) => {
    expect(read(fields)).toMatchObject(config)
  })

  const check = { timeout: '1s', interval: '1s', unhealthy_threshold: 1, healthy_threshold: 1 }

  it.each<readonly [name: string, json: JsonObject, why: string]>([
    ['ORIGINAL_DST', { name: 'cart', type: 'ORIGINAL_DST' }, 'type: ORIGINAL_DST is not supported'],
    [
      'EDS from somewhere else',
      edsCluster('cart', { eds_cluster_config: { eds_config: { api_config_source: { api_type: 'GRPC' } } } }),
      'eds_cluster_config.eds_config.ads: only the aggregated stream (ads) and files (path_config_source) are supported; eds_cluster_config.eds_config.api_config_source: the reference proxy does not know this field',
    ],
    ['EDS from nowhere', { name: 'cart', type: 'EDS' }, 'cannot create an EDS cluster without an EDS config'],
    [
      'a logical host with two names',
      staticCluster('cart', [{ at: 'a.test:80' }, { at: 'b.test:80' }], { type: 'LOGICAL_DNS' }),
      'LOGICAL_DNS clusters must have a single locality_lb_endpoint and a single lb_endpoint',
    ],
    [
      'a pipe for an address',
      {
        name: 'cart',
        load_assignment: { endpoints: [{ lb_endpoints: [{ endpoint: { address: { pipe: { path: '/a' } } } }] }] },
      },
      'load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.pipe: the reference proxy does not know this field',
    ],
    [
      'a name for an address',
      staticCluster('cart', [{ at: 'a.test:80' }]),
      "malformed IP address: a.test. Consider setting resolver_name or setting cluster type to 'STRICT_DNS' or 'LOGICAL_DNS'",
    ],
    [
      'a balancer of its own that its kind has not',
      staticCluster('cart', [], { lb_policy: 'CLUSTER_PROVIDED' }),
      "cluster manager: cluster provided LB specified but cluster 'cart' did not provide one. Check cluster documentation.",
    ],
    [
      'another balancer than that of its kind',
      {
        name: 'cart',
        cluster_type: { typed_config: { '@type': type('clusters.aggregate.v3.ClusterConfig'), clusters: ['shop'] } },
      },
      "cluster manager: cluster provided LB not specified but cluster 'cart' provided one. Check cluster documentation.",
    ],
    [
      'a policy that is not known',
      staticCluster('cart', [], policies({ '@type': type('load_balancing_policies.unknown.v3.Unknown') })),
      "cluster: didn't find a registered load balancer factory implementation for cluster: 'cart' with names from [policy-0]",
    ],
    [
      'a policy of which a field is not known',
      staticCluster('cart', [], policies({ ...roundRobin, unknown: 1 })),
      'load_balancing_policy.policies[0].typed_extension_config.typed_config.unknown: the reference proxy does not know this field',
    ],
    [
      'no typed policy though it says so',
      staticCluster('cart', [], { lb_policy: 'LOAD_BALANCING_POLICY_CONFIG' }),
      'cluster: field load_balancing_policy need to be set',
    ],
    [
      'subsets beside a typed policy',
      staticCluster('cart', [], { ...policies(roundRobin), lb_subset_config: {} }),
      'cluster: load_balancing_policy cannot be combined with lb_subset_config',
    ],
    [
      'a ring that would have to be larger than it may be',
      staticCluster('cart', [], {
        lb_policy: 'RING_HASH',
        ring_hash_lb_config: { minimum_ring_size: '9', maximum_ring_size: '5' },
      }),
      'ring hash: minimum_ring_size (9) > maximum_ring_size (5)',
    ],
    [
      'a Maglev table whose size is no prime number',
      staticCluster('cart', [], { lb_policy: 'MAGLEV', maglev_lb_config: { table_size: '9' } }),
      'The table size of maglev must be prime number',
    ],
    [
      'fallback keys that are all of them',
      staticCluster('cart', [], {
        lb_subset_config: {
          subset_selectors: [{ keys: ['a'], fallback_policy: 'KEYS_SUBSET', fallback_keys_subset: ['a'] }],
        },
      }),
      'fallback_keys_subset cannot be equal to keys',
    ],
    [
      'a longest time outside that is shorter than the first',
      staticCluster('cart', [], { outlier_detection: { base_ejection_time: '30s', max_ejection_time: '20s' } }),
      "outlier detector's max_ejection_time cannot be smaller than base_ejection_time",
    ],
    [
      'two health checks',
      staticCluster('cart', [], {
        health_checks: [
          { ...check, tcp_health_check: {} },
          { ...check, tcp_health_check: {} },
        ],
      }),
      'health_checks: more than one is not supported',
    ],
    [
      'a check that expects no status',
      staticCluster('cart', [], {
        health_checks: [
          { ...check, http_health_check: { path: '/', expected_statuses: [{ start: '300', end: '200' }] } },
        ],
      }),
      'Invalid http expected status range: expecting start < end, but found start=300 and end=200',
    ],
    [
      'a check by something else',
      staticCluster('cart', [], { health_checks: [{ ...check, custom_health_check: { name: 'redis' } }] }),
      'health_checks[0].custom_health_check: the reference proxy does not know this field',
    ],
  ])('is refused with %s', (_, json, why) => {
    expect(() => parseClusterConfig(json)).toThrow(
      expect.objectContaining({ name: 'ConfigRejection', message: why }) as Error,
    )
  })
})
