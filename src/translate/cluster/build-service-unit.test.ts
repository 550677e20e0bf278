import { describe, expect, it } from 'vitest'
import type { KindDocument } from '../../config/kinds/kind-document.ts'
import type { KindForm } from '../../config/kinds/kind-form.ts'
import { noPlaces } from '../../config/kinds/places.ts'
import type { Endpoint, ServiceForm, ServicePolicy } from '../../config/kinds/service-form.ts'
import { loadEnvoyApi } from '../../resource/envoy-api.ts'
import { messageToJson } from '../../resource/json/codec.ts'
import { buildGenerated, type PlacedProblem } from '../build-generated.ts'
import type { ServiceOutput } from '../contract.ts'
import { buildServiceUnit, facetOf } from './build-service-unit.ts'

const api = loadEnvoyApi()

const documentOf = <F extends KindForm>(form: F): KindDocument<F> => ({
  key: `${form.kind}.yaml`,
  origin: { name: `${form.kind}.yaml` },
  form,
  places: noPlaces,
})

function service(rest: Partial<ServiceForm> = {}): KindDocument<ServiceForm> {
  const endpoints = [{ address: '10.0.0.1', port: 80 }]
  return documentOf({ kind: 'Service', name: 'cart', protocol: 'http', endpoints, ...rest })
}

interface Given {
  readonly mesh?: ServicePolicy
  readonly isFallbackMember?: boolean
  readonly failover?: readonly string[]
  readonly registered?: readonly { readonly address: string; readonly port: number; readonly weight?: number }[]
}

function build(
  form: Partial<ServiceForm>,
  { mesh, isFallbackMember = false, failover, registered = [] }: Given = {},
): ServiceOutput {
  return buildServiceUnit({
    service: service(form),
    instances: registered.map((endpoint, index) => ({
      kind: 'Instance',
      name: `cart/${index}`,
      service: 'cart',
      endpoint,
    })),
    defaults: mesh && {
      policy: mesh,
      from: { document: documentOf({ kind: 'Mesh', name: 'shop' }), path: 'defaults.service' },
    },
    secrets: { get: (name) => (name === 'nobody' ? undefined : { name, isCa: name === 'ca', dnsNames: [] }) },
    isFallbackMember,
    failover,
  })
}

// oxlint-disable-next-line typescript/no-explicit-any -- the tests look into Envoy's JSON by name
type Json = any

/** What a resource of the unit is, once it went through the door. */
function json(output: ServiceOutput, type: 'cluster' | 'endpoint' = 'cluster', name = 'cart'): Json {
  const found = output.resources.find((one) => one.type === type && one.name === name)
  if (found === undefined) return undefined
  const { resource, problems } = buildGenerated(api, found.type, found.json, found.from)
  expect(problems).toEqual([])
  return resource && messageToJson(api, resource.typeUrl, resource.bytes)
}

const told = ({ problems }: { readonly problems: readonly PlacedProblem[] }): string[] =>
  problems.map(({ severity, code, at }) => `${severity} ${code} ${at.key} ${at.path}`)

const policyOf = (form: Partial<ServiceForm>, mesh?: ServicePolicy): Json =>
  json(build(form, mesh && { mesh })).load_balancing_policy.policies[0].typed_extension_config

describe('the layers of a policy', () => {
  it('are asked field by field, the nearest first', () => {
    const pool = json(
      build(
        {
          connectionPool: { idleTimeout: 2000 },
          versions: [{ name: 'v1', labels: {}, policy: { connectionPool: { maxRequestsPerConnection: 3 } } }],
        },
        { mesh: { connectionPool: { idleTimeout: 1000, maxRequestsPerConnection: 1, connectTimeout: 1500 } } },
      ),
      'cluster',
      'cart/v1',
    )
    const options = pool.typed_extension_protocol_options['envoy.extensions.upstreams.http.v3.HttpProtocolOptions']
    expect(options.common_http_protocol_options).toEqual({ idle_timeout: '2s', max_requests_per_connection: 3 })
    expect(pool.connect_timeout).toBe('1.500s')
  })

  it.each<[string, ServicePolicy['outlierDetection'], ServicePolicy['outlierDetection'], string]>([
    ['nobody says anything', undefined, undefined, '5 30s 300s'],
    ['the Service switches off', 'off', { consecutive5xx: 9 }, 'off'],
    ['the Mesh switches off', undefined, 'off', 'off'],
    ['the Service switches on again', { consecutive5xx: 2 }, 'off', '2 30s 300s'],
    [
      'the Service says less than the Mesh',
      { consecutive5xx: 2 },
      { consecutive5xx: 9, ejectionTime: 1000 },
      '2 1s 300s',
    ],
    ['the first time is longer than the default of the longest', { ejectionTime: 600_000 }, undefined, '5 600s 600s'],
    [
      'the first time is longer than the longest of the Mesh',
      { ejectionTime: 5000 },
      { maxEjectionTime: 2000 },
      '5 5s 5s',
    ],
    ['the longest is shorter than the default of the first', { maxEjectionTime: 2000 }, undefined, '5 2s 2s'],
    ['the longest is shorter than the first of the Mesh', { maxEjectionTime: 2000 }, { ejectionTime: 5000 }, '5 2s 2s'],
  ])('outlier detection, where %s', (_, own, mesh, expected) => {
    const { outlier_detection: detection } = json(
      build({ ...(own && { outlierDetection: own }) }, mesh && { mesh: { outlierDetection: mesh } }),
    )
    const { consecutive_5xx, base_ejection_time, max_ejection_time } = detection ?? {}
    expect(detection === undefined ? 'off' : `${consecutive_5xx} ${base_ejection_time} ${max_ejection_time}`).toBe(
      expected,
    )
  })

  it.each<[string, ServicePolicy['circuitBreaker'], ServicePolicy['circuitBreaker'], object]>([
    ['nobody', undefined, undefined, { budget: 20, min: 10 }],
    ['the Service by number', { maxRetries: 4 }, { retryBudget: { percent: 50 } }, { retries: 4 }],
    ['the Service by budget', { retryBudget: { percent: 50 } }, { maxRetries: 4 }, { budget: 50, min: 10 }],
    ['the Mesh by number', {}, { maxRetries: 0 }, { retries: 0 }],
  ])('retries limited by %s', (_, own, mesh, expected) => {
    const { circuit_breakers: breakers } = json(
      build({ ...(own && { circuitBreaker: own }) }, mesh && { mesh: { circuitBreaker: mesh } }),
    )
    for (const { max_retries: retries, retry_budget: budget } of breakers.thresholds) {
      expect({
        ...(retries !== undefined && { retries }),
        ...(budget && { budget: budget.budget_percent.value, min: budget.min_retry_concurrency }),
      }).toEqual(expected)
    }
  })

  it.each<[ServiceForm['protocol'], string | undefined]>([
    ['http', 'http_health_check'],
    ['grpc', 'http_health_check'],
    ['tcp', undefined],
    ['tls', undefined],
  ])('give a Service of protocol %s the HTTP health check of the Mesh: %s', (protocol, expected) => {
    const checks = json(build({ protocol }, { mesh: { healthCheck: { http: { path: '/' } } } })).health_checks
    expect(Object.keys(checks?.[0] ?? {}).find((key) => key.endsWith('_check'))).toBe(expected)
  })

  it('give a gRPC health check of the Mesh to gRPC alone, and one by connection to all', () => {
    const grpc = { healthCheck: { grpc: {} } }
    expect(json(build({ protocol: 'http2' }, { mesh: grpc })).health_checks).toBeUndefined()
    expect(json(build({ protocol: 'grpc' }, { mesh: grpc })).health_checks).toHaveLength(1)
    expect(json(build({ protocol: 'tcp' }, { mesh: { healthCheck: { tcp: true } } })).health_checks).toHaveLength(1)
  })
})

describe('a load balancing policy', () => {
  it.each<[string, ServicePolicy['loadBalancing'], ServicePolicy['loadBalancing'], string]>([
    ['nobody says', undefined, undefined, 'least_request'],
    ['the Mesh says', {}, { policy: 'random' }, 'random'],
    ['the Service says', { policy: 'round-robin' }, { policy: 'random' }, 'round_robin'],
    ['a hash asks for', { hash: { header: 'x' } }, { policy: 'random' }, 'maglev'],
    ['a hash leaves to the Mesh', { hash: { header: 'x' } }, { policy: 'ring-hash' }, 'ring_hash'],
  ])('that %s', (_, own, mesh, expected) => {
    const found = policyOf({ ...(own && { loadBalancing: own }) }, mesh && { loadBalancing: mesh })
    expect(found.name).toBe(`envoy.load_balancing_policies.${expected}`)
  })

  it('leaves out what it inherits and cannot use, without a word', () => {
    const mesh = { loadBalancing: { slowStart: 1000, choices: 3, zoneAware: true } }
    const output = build({ loadBalancing: { policy: 'maglev' } }, { mesh })
    expect(output.problems).toEqual([])
    expect(policyOf({ loadBalancing: { policy: 'maglev' } }, mesh).typed_config).toEqual({
      '@type': expect.stringContaining('Maglev'),
    })
  })

  it('that the Mesh chooses is told to a Service whose settings it cannot use', () => {
    const output = build({ loadBalancing: { slowStart: 1000 } }, { mesh: { loadBalancing: { policy: 'maglev' } } })
    expect(told(output)).toEqual(['warning no-effect Service.yaml loadBalancing.slowStart'])
    expect(output.problems[0]?.message).toBe(
      '`slowStart` has no effect with the policy `maglev`, which the Mesh chooses.',
    )
  })

  it('of a version is told once, at the version', () => {
    const versions = [{ name: 'v1', labels: {}, policy: { loadBalancing: { choices: 3 } } }]
    const output = build({ loadBalancing: { policy: 'random' }, versions })
    expect(told(output)).toEqual(['warning no-effect Service.yaml versions[0].loadBalancing.choices'])
  })

  it('prefers the zone, or shares by weights, whichever is said nearer', () => {
    const zoneAware = { loadBalancing: { zoneAware: true } }
    const weights = { loadBalancing: { localityWeights: { a: 1 } } }
    const field = (own: Partial<ServiceForm>, mesh: ServicePolicy): string[] =>
      Object.keys(policyOf(own, mesh).typed_config.locality_lb_config)
    expect(field(zoneAware, weights)).toEqual(['zone_aware_lb_config'])
    expect(field(weights, zoneAware)).toEqual(['locality_weighted_lb_config'])
  })
})

describe('endpoints', () => {
  it('of the registry join those that are listed, each address once', () => {
    const registered = [
      { address: '10.0.0.1', port: 80, weight: 9 },
      { address: '10.0.0.2', port: 80 },
      { address: '10.0.0.2', port: 80 },
    ]
    const { endpoints } = json(build({ registry: { name: 'cart' } }, { registered }), 'endpoint')
    const found = endpoints[0].lb_endpoints
    expect(found.map((one: Json) => one.endpoint.address.socket_address.address)).toEqual(['10.0.0.1', '10.0.0.2'])
    expect(found[0].load_balancing_weight).toBeUndefined()
  })

  it('come by EDS only where all of them are addresses', () => {
    expect(json(build({})).type).toBe('EDS')
    const named = build({}, { registered: [{ address: 'cart-2.example', port: 80 }] })
    expect(json(named).type).toBe('STRICT_DNS')
    expect(json(named, 'endpoint')).toBeUndefined()
    expect(facetOf(service({ endpoints: [{ address: 'cart.example', port: 80 }] }), undefined).isDns).toBe(true)
  })

  it.each<[string, Partial<ServiceForm>, string[]]>([
    ['none', { endpoints: [] }, ['Add `endpoints`.']],
    [
      'none but in the registry',
      { endpoints: [], registry: { name: 'basket' } },
      ['Register an instance of basket, or add `endpoints`.'],
    ],
    [
      'only such of no weight',
      { endpoints: [{ address: '10.0.0.1', port: 80, weight: 0 }] },
      ['Give one of them a weight.'],
    ],
    ['a name to resolve', { endpoints: [], dns: { host: 'a.example', port: 80 } }, []],
  ])('%s: what is to do is told', (_, form, fixes) => {
    const output = build(form)
    expect(output.problems.map(({ severity, code, fix }) => `${severity} ${code} ${fix}`)).toEqual(
      fixes.map((fix) => `warning no-endpoints ${fix}`),
    )
  })

  it('in a zone that gets nothing by the weights are told at the weights, once for all versions', () => {
    const endpoints = [
      { address: '10.0.0.1', port: 80, zone: 'a' },
      { address: '10.0.0.2', port: 80 },
    ]
    const form = { endpoints, versions: [{ name: 'v1', labels: {} }] }
    const weights = { loadBalancing: { localityWeights: { a: 1 } } }
    expect(told(build({ ...form, ...weights }))).toEqual([
      'warning no-effect Service.yaml loadBalancing.localityWeights',
    ])
    expect(told(build(form, { mesh: weights }))).toEqual([
      'warning no-effect Mesh.yaml defaults.service.loadBalancing.localityWeights',
    ])
  })

  it('spill over to a fallback host by host, unless priorities do that', () => {
    const one = { address: '10.0.0.1', port: 80 }
    const policy = (endpoints: ServiceForm['endpoints'], isFallbackMember: boolean): Json =>
      json(build({ endpoints: endpoints ?? [] }, { isFallbackMember }), 'endpoint').policy
    expect(policy([one], false)).toBeUndefined()
    expect(policy([one], true)).toEqual({ overprovisioning_factor: 100_000 })
    expect(policy([one, { ...one, port: 81, priority: 1 }], true)).toBeUndefined()
  })

  it('are asked for their health at the port of the endpoint, or else of the health check', () => {
    const endpoints = [
      { address: '10.0.0.1', port: 80 },
      { address: '10.0.0.2', port: 80, healthPort: 82 },
    ]
    const checked = build({ endpoints, healthCheck: { tcp: true, port: 81 } })
    const found = json(checked, 'endpoint').endpoints[0].lb_endpoints
    expect(found.map((one: Json) => one.endpoint.health_check_config.port_value)).toEqual([81, 82])
  })

  it('inherit the port of a health check of their kind, and of no other', () => {
    const portOf = (own: ServicePolicy['healthCheck']): unknown =>
      json(
        build({ ...(own && { healthCheck: own }) }, { mesh: { healthCheck: { http: { path: '/' }, port: 81 } } }),
        'endpoint',
      ).endpoints[0].lb_endpoints[0].endpoint.health_check_config?.port_value
    expect(portOf(undefined)).toBe(81)
    expect(portOf({ http: { path: '/ready' } })).toBe(81)
    expect(portOf({ tcp: true })).toBeUndefined()
  })
})

describe('TLS to the endpoints', () => {
  const tlsOf = (form: Partial<ServiceForm>, mesh?: ServicePolicy): Json => {
    const cluster = json(build(form, mesh && { mesh }))
    const options = cluster.typed_extension_protocol_options?.['envoy.extensions.upstreams.http.v3.HttpProtocolOptions']
    const { typed_config: socket } = cluster.transport_socket ?? {}
    const { combined_validation_context: combined, validation_context_sds_secret_config: alone } =
      socket?.common_tls_context ?? {}
    return {
      sni: socket?.sni,
      ca: (combined?.validation_context_sds_secret_config ?? alone)?.name,
      names: combined?.default_validation_context.match_typed_subject_alt_names.map(
        (one: Json) => `${one.san_type} ${one.matcher.exact}`,
      ),
      certificate: socket?.common_tls_context.tls_certificate_sds_secret_configs?.[0].name,
      byRequest: Object.keys(options?.upstream_http_protocol_options ?? {}),
      negotiated: options?.auto_config !== undefined,
    }
  }

  it('asks for the host of each request, and takes no other certificate, where nothing is said', () => {
    expect(tlsOf({ tls: { ca: 'ca' } })).toEqual({
      ca: 'ca',
      byRequest: ['auto_sni', 'auto_san_validation'],
      negotiated: true,
    })
  })

  it.each<[string, Partial<ServiceForm>, object]>([
    [
      'the name asked for',
      { tls: { ca: 'ca', sni: 'a.example' } },
      { sni: 'a.example', names: ['DNS a.example'], byRequest: [] },
    ],
    [
      'other names',
      { tls: { ca: 'ca', sni: 'a.example', verify: ['b.example', '10.0.0.1', 'spiffe://shop/cart'] } },
      { sni: 'a.example', names: ['DNS b.example', 'IP_ADDRESS 10.0.0.1', 'URI spiffe://shop/cart'], byRequest: [] },
    ],
    [
      'other names than the request',
      { tls: { ca: 'ca', verify: ['b.example'] } },
      { names: ['DNS b.example'], byRequest: ['auto_sni'] },
    ],
    [
      'a name over TCP',
      { protocol: 'tcp', tls: { ca: 'ca', sni: 'db.example' } },
      { sni: 'db.example', names: ['DNS db.example'] },
    ],
    ['both ways', { protocol: 'grpc', tls: { ca: 'ca', secret: 'own' } }, { certificate: 'own', negotiated: false }],
  ])('by %s', (_, form, expected) => {
    expect(tlsOf(form)).toMatchObject(expected)
  })

  it('is not spoken for clients that speak it themselves', () => {
    expect(tlsOf({ protocol: 'tls' }, { tls: { ca: 'ca' } }).ca).toBeUndefined()
  })

  it('names the Secrets of all of its clusters, which its callers need', () => {
    const versions = [{ name: 'v2', labels: {}, policy: { tls: { secret: 'own' } } }]
    expect(build({ versions }, { mesh: { tls: { ca: 'ca' } } }).secrets).toEqual(['ca', 'own'])
    expect(build({}).secrets).toEqual([])
  })

  it.each<[string, Partial<ServiceForm>, ServicePolicy | undefined, string[]]>([
    ['without a CA', { tls: {} }, undefined, ['error rule-violation Service.yaml tls']],
    ['with a CA of the Mesh', { tls: { sni: 'a.example' } }, { tls: { ca: 'ca' } }, []],
    [
      'over TCP, with any certificate of the CA',
      { protocol: 'tcp', tls: { ca: 'ca' } },
      undefined,
      ['error rule-violation Service.yaml tls'],
    ],
    ['with a certificate for a CA', { tls: { ca: 'own' } }, undefined, ['error rule-violation Service.yaml tls.ca']],
    [
      'with a CA for a certificate',
      { tls: { ca: 'ca', secret: 'ca' } },
      undefined,
      ['error rule-violation Service.yaml tls.secret'],
    ],
    ['with a Secret that is not there yet', { tls: { ca: 'nobody' } }, undefined, []],
    [
      'of a version alone',
      { versions: [{ name: 'v1', labels: {}, policy: { tls: {} } }] },
      undefined,
      ['error rule-violation Service.yaml versions[0].tls'],
    ],
  ])('%s: what is wrong is told where it is asked for', (_, form, mesh, expected) => {
    const versions = form.versions ?? [{ name: 'v1', labels: {} }]
    expect(told(build({ ...form, versions }, mesh && { mesh }))).toEqual(expected)
  })
})

describe('an HTTP health check', () => {
  const statuses = (...written: string[]): Json => {
    const http = { path: '/', ...(written.length > 0 && { statuses: written }) }
    const [{ http_health_check: check }] = json(build({ healthCheck: { http } })).health_checks
    const text = (ranges: Json): string[] => ranges.map(({ start, end }: Json) => `${start}-${end}`)
    return { expected: text(check.expected_statuses), failing: text(check.retriable_statuses ?? []) }
  }

  it.each<[string[], string[], string[]]>([
    [[], ['200-201'], ['100-200', '201-600']],
    [
      ['404', '200-299'],
      ['404-405', '200-300'],
      ['100-200', '300-404', '405-600'],
    ],
    [['100-599'], ['100-600'], []],
    [
      ['200-299', '250', '210-350'],
      ['200-300', '250-251', '210-351'],
      ['100-200', '351-600'],
    ],
  ])('that expects %j counts every other status as one failure of several', (written, expected, failing) => {
    expect(statuses(...written)).toEqual({ expected, failing })
  })
})

describe('endpoints of several regions', () => {
  const at = (region: string | undefined, port: number, rest: Partial<Endpoint> = {}): Endpoint => ({
    address: '10.0.0.1',
    port,
    ...(region !== undefined && { region }),
    ...rest,
  })
  const three = [at('eu', 1), at('us', 2), at('asia', 3)]

  /** `<callers> <name>`: priorities, each with its ports. */
  const priorities = (output: ServiceOutput, type: 'cluster' | 'endpoint' = 'endpoint'): Record<string, string> =>
    Object.fromEntries(
      output.resources
        .filter((one) => one.type === type && one.isForPeers !== true)
        .map((one): [string, string] => {
          const { resource } = buildGenerated(api, one.type, one.json, one.from)
          const found: Json = resource && messageToJson(api, resource.typeUrl, resource.bytes)
          const { endpoints = [], policy } = type === 'endpoint' ? found : found.load_assignment
          const levels: string[][] = []
          for (const { priority = 0, lb_endpoints: members } of endpoints) {
            levels[priority] = [
              ...(levels[priority] ?? []),
              ...members.map(({ endpoint }: Json) => String(endpoint.address.socket_address.port_value)),
            ]
          }
          const factor = policy === undefined ? '' : ` ${policy.overprovisioning_factor}`
          const who = one.callers === undefined ? 'all' : 'region' in one.callers ? one.callers.region : 'others'
          return [`${who} ${one.name}`, levels.map((ports) => ports.sort().join('+')).join(' ') + factor]
        }),
    )

  it('are nearest first to the callers of each, and alike to those of none', () => {
    expect(priorities(build({ endpoints: three }))).toEqual({
      'asia cart': '3 1 2',
      'eu cart': '1 3 2',
      'us cart': '2 3 1',
      'others cart': '1+2+3',
    })
  })

  it('follow in the order that the version, the Service or the Mesh says', () => {
    const versions = [{ name: 'v1', labels: {}, policy: { loadBalancing: { failover: ['asia', 'us'] } } }]
    const form = { endpoints: three, versions, loadBalancing: { failover: ['us'] } }
    expect(priorities(build(form, { failover: ['asia'] }))).toMatchObject({
      'eu cart': '1 2 3',
      'eu cart/v1': '1 3 2',
      'others cart': '2 3 1',
      'others cart/v1': '3 2 1',
    })
    expect(priorities(build({ endpoints: three }, { failover: ['us', 'asia'] }))['eu cart']).toBe('1 2 3')
    const mesh = { loadBalancing: { failover: ['us', 'asia'] } }
    expect(priorities(build({ endpoints: three }, { mesh, failover: ['asia'] }))['eu cart']).toBe('1 2 3')
  })

  it('are the same to all where only one region is named, as they always were', () => {
    expect(priorities(build({ endpoints: [at('eu', 1), at(undefined, 2)] }))).toEqual({ 'all cart': '1+2' })
    expect(priorities(build({ dns: { host: 'a.example', port: 1 }, endpoints: [] }), 'cluster')).toEqual({
      'all cart': '1',
    })
  })

  it('stand behind what each says of its priority', () => {
    const endpoints = [at('eu', 1, { priority: 1 }), at('us', 2), at('us', 3, { priority: 1 })]
    expect(priorities(build({ endpoints }))).toEqual({ 'eu cart': '2 1 3', 'us cart': '2 3 1', 'others cart': '2 1+3' })
  })

  it('that are names stand in a cluster for each region', () => {
    const endpoints = [at('eu', 1), { ...at('us', 2), address: 'cart.example' }]
    const output = build({ endpoints, versions: [{ name: 'v1', labels: {} }] })
    expect(priorities(output, 'cluster')).toEqual({
      'eu cart': '1 2',
      'us cart': '2 1',
      'others cart': '1+2',
      'eu cart/v1': '1 2',
      'us cart/v1': '2 1',
      'others cart/v1': '1+2',
    })
    expect(priorities(output)).toEqual({})
  })

  it('of a Service that falls back spill over as usual, and without a second region at once', () => {
    const found = priorities(build({ endpoints: three }, { isFallbackMember: true }))
    expect(found).toMatchObject({ 'eu cart': '1 3 2', 'others cart': '1+2+3 100000' })
  })

  it.each<[string, Partial<ServiceForm>, string[]]>([
    ['that nobody is in', { loadBalancing: { failover: ['us', 'uk'] } }, ['loadBalancing.failover[1]']],
    [
      'that nobody of a version is in, told once',
      {
        loadBalancing: { failover: ['us', 'uk'] },
        versions: [
          { name: 'v1', labels: {}, policy: { loadBalancing: { slowStart: 1000 } } },
          { name: 'v2', labels: {}, policy: { loadBalancing: { failover: ['es'] } } },
        ],
      },
      ['loadBalancing.failover[1]', 'versions[1].loadBalancing.failover[0]'],
    ],
    ['that who registers may be in', { registry: { name: 'cart' }, loadBalancing: { failover: ['uk'] } }, []],
  ])('an order with a region %s', (_, form, paths) => {
    expect(told(build({ endpoints: three, ...form }))).toEqual(
      paths.map((path) => `warning no-effect Service.yaml ${path}`),
    )
  })

  it('are weighed by zone against those of their own priority', () => {
    const endpoints = [at('eu', 1, { zone: 'a' }), at('eu', 2, { zone: 'b' }), at('us', 3, { zone: 'c' })]
    const loadBalancing = { localityWeights: { a: 9, b: 1 } }
    expect(told(build({ endpoints, loadBalancing }))).toEqual([])
    expect(told(build({ endpoints: endpoints.slice(1), loadBalancing: { localityWeights: { c: 1 } } }))).toEqual([])
    expect(told(build({ endpoints, loadBalancing: { localityWeights: { a: 9 } } }))).toEqual([
      'warning no-effect Service.yaml loadBalancing.localityWeights',
    ])
  })
})

describe('the peers of a proxy', () => {
  const zoned = (zone: string, rest: Partial<Endpoint> = {}): Endpoint => ({
    address: '10.0.0.1',
    port: 1,
    zone,
    ...rest,
  })
  const peers = (form: Partial<ServiceForm>): string[] =>
    build(form).resources.flatMap(({ name, isForPeers, callers, json: made, type, from }) => {
      if (isForPeers !== true) return []
      const { resource } = buildGenerated(api, type, made, from)
      const found: Json = resource && messageToJson(api, resource.typeUrl, resource.bytes)
      const zones = (found.endpoints ?? []).map(
        ({ locality, priority = 0, lb_endpoints: { length } }: Json) => `${priority} ${locality.zone} ${length}`,
      )
      return [`${name} ${JSON.stringify(callers ?? 'all')}: ${zones.join(', ')}`]
    })

  it('are told by zone, without priorities', () => {
    expect(peers({ endpoints: [zoned('a', { priority: 5 }), zoned('a', { port: 2 }), zoned('b')] })).toEqual([
      'cart/local "all": 0 a 2, 0 b 1',
    ])
  })

  it('are those of its own region', () => {
    expect(peers({ endpoints: [zoned('a', { region: 'eu' }), zoned('b', { region: 'us' })] })).toEqual([
      'cart/local {"region":"eu"}: 0 a 1',
      'cart/local {"region":"us"}: 0 b 1',
      'cart/local {"notRegions":["eu","us"]}: 0 a 1, 0 b 1',
    ])
  })

  it('are told to be nobody where they may be some again: a change of an endpoint takes no assignment away', () => {
    expect(peers({ endpoints: [] })).toEqual(['cart/local "all": '])
    expect(peers({ endpoints: [{ address: '10.0.0.1', port: 1 }], registry: { name: 'cart' } })).toEqual([
      'cart/local "all": ',
    ])
    expect(peers({ endpoints: [zoned('a')], registry: { name: 'cart' } })).toEqual(['cart/local "all": 0 a 1'])
    const unzoned = { address: '10.0.0.2', port: 1, region: 'eu' }
    const regions = { endpoints: [unzoned, { ...unzoned, region: 'us' }], registry: { name: 'cart' } }
    expect(peers(regions)).toEqual([
      'cart/local {"region":"eu"}: ',
      'cart/local {"region":"us"}: ',
      'cart/local {"notRegions":["eu","us"]}: ',
    ])
  })

  it('are nobody where there are no zones, or names to resolve', () => {
    expect(peers({})).toEqual([])
    expect(peers({ endpoints: [zoned('a', { address: 'cart.example' })] })).toEqual([])
  })
})
