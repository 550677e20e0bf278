import { describe, expect, test } from 'vitest'
import { resource } from '../../../test/support/resource.ts'
import { awaitedByWarming, isInParts, isReadyAtOnce } from './cluster-warming.ts'

const ads = { ads: {}, resource_api_version: 'V3' }
const eds = { type: 'EDS', eds_cluster_config: { eds_config: ads } }
const file = { path_config_source: { path: '/run/secrets.yaml' } }

const awaited = (fields: object): readonly string[] | undefined =>
  awaitedByWarming(resource('cluster', 'c', fields as never))?.map(({ typeUrl, name }) => {
    const word = typeUrl.slice(typeUrl.lastIndexOf('.') + 1)
    return `${word} ${name}`
  })

const socket = (type: string, fields: object): object => ({
  name: 'socket',
  typed_config: { '@type': `type.googleapis.com/envoy.extensions.transport_sockets.${type}`, ...fields },
})
const tls = (context: object): object => socket('tls.v3.UpstreamTlsContext', { common_tls_context: context })
const options = (fields: object): object => ({
  typed_extension_protocol_options: {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
      '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
      explicit_http_config: { http2_protocol_options: {} },
      ...fields,
    },
  },
})
const router = {
  name: 'envoy.filters.http.upstream_codec',
  typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec' },
}

describe('a cluster waits for just', () => {
  test.each<[string, object, readonly string[]]>([
    ['its assignment', eds, ['ClusterLoadAssignment c']],
    [
      'the assignment of its service, whatever fields have nothing to do with it',
      {
        ...eds,
        eds_cluster_config: { eds_config: ads, service_name: 's' },
        connect_timeout: '1s',
        lb_policy: 'LEAST_REQUEST',
        outlier_detection: { consecutive_5xx: 3 },
        circuit_breakers: { thresholds: [{ max_requests: 7 }] },
        common_lb_config: { healthy_panic_threshold: { value: 0 } },
        ...options({}),
      },
      ['ClusterLoadAssignment s'],
    ],
    [
      'its assignment, where its certificates are in itself',
      { ...eds, transport_socket: tls({ alpn_protocols: ['h2'], validation_context: {} }) },
      ['ClusterLoadAssignment c'],
    ],
    [
      'its assignment and its secrets',
      {
        ...eds,
        transport_socket: tls({
          tls_certificate_sds_secret_configs: [{ name: 'own', sds_config: ads }],
          combined_validation_context: {
            default_validation_context: {},
            validation_context_sds_secret_config: { name: 'ca', sds_config: ads },
          },
        }),
      },
      ['ClusterLoadAssignment c', 'Secret own', 'Secret ca'],
    ],
    [
      'the secrets of each of its sockets',
      {
        ...eds,
        transport_socket_matches: [
          { name: 'm', transport_socket: socket('raw_buffer.v3.RawBuffer', {}) },
          {
            name: 'n',
            transport_socket: tls({ validation_context_sds_secret_config: { name: 'ca', sds_config: ads } }),
          },
        ],
      },
      ['ClusterLoadAssignment c', 'Secret ca'],
    ],
  ])('%s', (_, fields, expected) => {
    expect(awaited(fields)?.toSorted()).toEqual([...expected].sort())
  })
})

const check = { timeout: '1s', interval: '1s', unhealthy_threshold: 1, healthy_threshold: 1, tcp_health_check: {} }

describe('nothing says what a cluster waits for', () => {
  test.each<[string, object]>([
    ['that is static', { type: 'STATIC' }],
    ['whose names are to be resolved', { type: 'STRICT_DNS' }],
    ['of a type of its own', { cluster_type: { name: 'envoy.cluster.eds' }, eds_cluster_config: { eds_config: ads } }],
    ['whose assignment comes from elsewhere', { type: 'EDS', eds_cluster_config: { eds_config: file } }],
    ['that checks the health of its hosts', { ...eds, health_checks: [check] }],
    [
      'with a secret from elsewhere',
      { ...eds, transport_socket: tls({ validation_context_sds_secret_config: { name: 'ca', sds_config: file } }) },
    ],
    [
      'with a socket of another kind',
      {
        ...eds,
        transport_socket: socket('proxy_protocol.v3.ProxyProtocolUpstreamTransport', {
          transport_socket: socket('raw_buffer.v3.RawBuffer', {}),
        }),
      },
    ],
    ['with HTTP filters', { ...eds, ...options({ http_filters: [router] }) }],
    ['with network filters', { ...eds, filters: [{ name: 'f' }] }],
  ])('%s', (_, fields) => {
    expect(awaited(fields)).toBeUndefined()
  })
})

test('An assignment is in parts where it leaves a locality to others', () => {
  const locality = { locality: { zone: 'a' } }
  const leds_cluster_locality_config = { leds_config: ads, leds_collection_name: 'xdstp://a/b/c/*' }
  expect(isInParts(resource('endpoint', 'e', { endpoints: [locality] }))).toBe(false)
  expect(isInParts(resource('endpoint', 'e', { endpoints: [locality, { leds_cluster_locality_config }] }))).toBe(true)
})

test.each<[string, object, boolean]>([
  ['is static', { type: 'STATIC', transport_socket: tls({ validation_context: {} }) }, true],
  ['is static by default', { load_assignment: { cluster_name: 'c' } }, true],
  ['has its hosts from connections', { type: 'ORIGINAL_DST', lb_policy: 'CLUSTER_PROVIDED' }, true],
  ['resolves names', { type: 'STRICT_DNS' }, false],
  ['resolves a name', { type: 'LOGICAL_DNS' }, false],
  ['has an assignment', eds, false],
  ['is of a type of its own', { cluster_type: { name: 'envoy.clusters.aggregate' } }, false],
  ['checks the health of its hosts', { type: 'STATIC', health_checks: [check] }, false],
  [
    'has a secret, wherever from',
    {
      type: 'STATIC',
      transport_socket: tls({ validation_context_sds_secret_config: { name: 'ca', sds_config: file } }),
    },
    false,
  ],
])('Of a cluster it is known whether it is ready at once: one that %s', (_, fields, expected) => {
  expect(isReadyAtOnce(resource('cluster', 'c', fields as never))).toBe(expected)
})
