import { describe, expect, it } from 'vitest'
import { kindUnit, routeForm, serviceForm } from '../../../test/support/kind-unit.ts'
import { type KindDocument, kindOf } from '../../config/kinds/kind-document.ts'
import type { KindForm } from '../../config/kinds/kind-form.ts'
import type { RouteForm, Rule } from '../../config/kinds/route-form.ts'
import type { ServiceForm } from '../../config/kinds/service-form.ts'
import { loadEnvoyApi } from '../../resource/envoy-api.ts'
import { messageToJson } from '../../resource/json/codec.ts'
import { buildGenerated } from '../build-generated.ts'
import { facetOf } from '../cluster/build-service-unit.ts'
import type { RouteConfigurationInput, RouteConfigurationOutput, ServiceFacet } from '../contract.ts'
import type { SourcePlace } from '../envoy-json.ts'
import { buildRouteConfiguration } from './build-route-configuration.ts'

const api = loadEnvoyApi()

function document<F extends KindForm>(form: F): KindDocument<F> {
  const [resource] = kindUnit(form).resources
  if (resource === undefined) throw new Error('a unit of a kind has one resource')
  return kindOf(resource) as KindDocument<F>
}

const facet = (name: string, rest: Partial<ServiceForm> = {}): ServiceFacet =>
  facetOf(document({ ...serviceForm(name), ...rest }), undefined)

const from: SourcePlace = { document: document(serviceForm('place')), path: '' }

function build(rest: Partial<RouteConfigurationInput>, ...services: readonly ServiceFacet[]): RouteConfigurationOutput {
  return buildRouteConfiguration({
    name: 'mesh/outbound',
    hosts: [],
    routes: [],
    services: { get: (name) => services.find((one) => one.name === name) },
    defaults: {},
    side: 'sidecar',
    implicit: [],
    from,
    ...rest,
  })
}

interface ShownRetry {
  readonly per_try_timeout?: string
}

interface Shown {
  readonly virtual_hosts: readonly {
    readonly name: string
    readonly domains: readonly string[]
    readonly routes: readonly {
      readonly name: string
      readonly route?: { readonly cluster?: string; readonly retry_policy?: ShownRetry }
    }[]
    readonly retry_policy?: ShownRetry
  }[]
  readonly max_direct_response_body_size_bytes?: number
}

/** As Envoy gets it; there is nothing to tell of it. */
function shown(output: RouteConfigurationOutput): Shown {
  const { resource, problems } = buildGenerated(api, 'route', output.json, from)
  expect(problems).toEqual([])
  if (resource === undefined) throw new Error('what has no problems is a resource')
  return messageToJson(api, resource.typeUrl, resource.bytes) as unknown as Shown
}

const hostsOf = (output: RouteConfigurationOutput): readonly string[] =>
  shown(output).virtual_hosts.map(
    ({ domains, routes }) => `${domains.join(' ')}: ${routes.map(({ name }) => name).join(' ')}`,
  )

const withRule = (rule: Partial<Rule>): KindDocument<RouteForm> =>
  document({
    kind: 'Route',
    name: 'r',
    hosts: ['*'],
    rules: [{ match: [], action: { kind: 'forward', backends: [{ service: 'cart' }] }, ...rule }],
  })

describe('hosts', () => {
  it('with the same Routes share a table', () => {
    const routes = [
      routeForm('b', [], ['y', 'x'], [['/b', 'cart']]),
      routeForm('a', [], ['x', 'z', 'y'], [['/a', 'cart']]),
    ]
    expect(hostsOf(build({ routes: routes.map(document) }, facet('cart')))).toEqual(['x y: a/0 b/0', 'z: a/0'])
  })

  it('of Services without a Route lead to the Service, and those of others where they are said to', () => {
    const implicit = [facet('prices', { hosts: ['prices.shop'] }), facet('cart')]
    const others = [
      { hosts: ['*', 'cart'], routes: [{ name: 'denied', match: { prefix: '/' }, direct_response: { status: 403 } }] },
    ]
    const routes = [document(routeForm('own', [], ['cart'], [['/x', 'cart']]))]
    const output = build({ routes, implicit, others }, ...implicit)
    expect(hostsOf(output)).toEqual(['cart: own/0', 'prices: prices', 'prices.shop: prices', '*: denied'])
    expect(output.clusters).toEqual(['cart', 'prices'])
    expect(output.problems).toEqual([])
  })

  it('that two Services go by are the first one’s, and that is told', () => {
    const output = build({ implicit: [facet('b', { hosts: ['shop'] }), facet('a', { hosts: ['shop'] })] })
    expect(hostsOf(output)).toEqual(['a: a', 'shop: a', 'b: b'])
    expect(output.problems.map(({ code, message }) => `${code} ${message}`)).toEqual([
      'conflict The Services a and b both go by shop, and a gets the requests.',
    ])
    expect(output.problems.map(({ at }) => at)).toEqual([{ key: 'file:Service-b.yaml', path: 'hosts' }])
  })

  it('that a Service lists though they are its name are told to nobody', () => {
    const output = build({ implicit: [facet('a', { hosts: ['a'] })] })
    expect(hostsOf(output)).toEqual(['a: a'])
    expect(output.problems).toEqual([])
  })
})

describe('a rule', () => {
  it.each(['tcp', 'tls'] as const)('to a Service of %s is an error at its name', (protocol) => {
    const { problems } = build({ routes: [withRule({})] }, facet('cart', { protocol }))
    expect(problems).toMatchObject([
      { severity: 'error', code: 'rule-violation', at: { path: 'rules[0].backends[0].service' } },
    ])
  })

  it('to a Service that chooses by hash is told that nothing is hashed', () => {
    const hashing = { loadBalancing: { policy: 'maglev' } } as const
    const told = (rule: Partial<Rule>, rest: Partial<ServiceForm>): unknown =>
      build({ routes: [withRule(rule)] }, facet('cart', rest)).problems.map(({ code, at }) => `${code} ${at.path}`)
    expect(told({}, hashing)).toEqual(['no-effect rules[0].backends[0].service'])
    expect(told({ hash: { header: 'x' } }, hashing)).toEqual([])
    expect(told({}, { loadBalancing: { hash: { header: 'x' } } })).toEqual([])
    expect(told({}, {})).toEqual([])
  })

  it('for calls of gRPC is told that methods have no say in their retries', () => {
    const { problems } = build(
      { routes: [withRule({ retry: { methods: ['GET'] } })] },
      facet('cart', { protocol: 'grpc' }),
    )
    expect(problems).toMatchObject([{ severity: 'warning', code: 'no-effect', at: { path: 'rules[0].retry.methods' } }])
  })

  it.each<readonly [string, Partial<Rule>, readonly string[]]>([
    ['mirrors', { mirror: [{ service: 'copy' }] }, ['cart', 'copy']],
    ['mirrors to a version', { mirror: [{ service: 'cart', version: 'v2' }] }, ['cart', 'cart/v2']],
    ['falls back', { fallback: { service: 'static' } }, ['cart', 'static']],
    ['falls back to a version', { fallback: { service: 'static', version: 'v1' } }, ['cart', 'static/v1']],
    [
      'gives one of its backends no requests',
      { action: { kind: 'forward', backends: [{ service: 'cart' }, { service: 'new', weight: 0 }] } },
      ['cart', 'new'],
    ],
  ])('that %s needs the clusters of all that it names', (_, rule, clusters) => {
    expect(build({ routes: [withRule(rule)] }, facet('cart')).clusters).toEqual(clusters)
  })

  it.each<readonly [string, Partial<Rule>, string | undefined]>([
    ['what it says', { timeout: 300 }, '0.300s'],
    ['the time of each try, where that is less', { timeout: 300, retry: { perTryTimeout: 100 } }, '0.100s'],
    ['no more than the whole', { timeout: 300, retry: { perTryTimeout: 1000 } }, '0.300s'],
    ['what the workload says', {}, undefined],
    ['what the workload says, where it says the same', { timeout: 400 }, undefined],
    ['no time', { timeout: 0 }, 'none'],
    ['no time but that of each try', { timeout: 0, retry: { perTryTimeout: 100 } }, '0.100s'],
    ['what it says, without retries', { timeout: 300, retry: { attempts: 0 } }, '0.300s'],
    ['no time, where a slow try is tried again', { timeout: 300, retry: { retryOn: ['5xx'] } }, 'none'],
    ['no time as a call of gRPC', { timeout: 300, match: [{ grpc: {} }] }, 'none'],
  ])('of a sidecar gives a try, whatever its caller would wait, %s', (_, rule, expected) => {
    const of = (side: 'gateway' | 'sidecar') =>
      shown(build({ side, routes: [withRule(rule)], defaults: { timeout: 400 } }, facet('cart'))).virtual_hosts[0]
    const policy = of('sidecar')?.routes[0]?.route?.retry_policy
    expect(policy && (policy.per_try_timeout ?? 'none')).toBe(expected)
    expect(of('sidecar')?.retry_policy?.per_try_timeout).toBe('0.400s')
    expect(of('gateway')?.retry_policy?.per_try_timeout).toBeUndefined()
  })

  it('that answers with a long text has its length allowed', () => {
    const body = 'ü'.repeat(3000)
    const output = build({ routes: [withRule({ action: { kind: 'respond', respond: { status: 200, body } } })] })
    expect(shown(output).max_direct_response_body_size_bytes).toBe(6000)
  })

  it('has each fallback cluster once, however many of its paths lead there', () => {
    const match = [{ path: [{ exact: '/a' }, { exact: '/b' }] }]
    const { fallbacks } = build({ routes: [withRule({ match, fallback: { service: 'static' } })] }, facet('cart'))
    expect(fallbacks.map(({ name, members }) => [name, members])).toEqual([['cart+static', ['cart', 'static']]])
  })
})
