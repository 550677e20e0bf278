import { describe, expect, it } from 'vitest'
import {
  fallingBack,
  gatewayForm,
  kindUnit,
  routeForm,
  serviceForm,
  sidecarForm,
} from '../../test/support/kind-unit.ts'
import { createRandom, seedsOf } from '../../test/support/random.ts'
import type { Egress } from '../config/kinds/common-form.ts'
import type { GatewayListener } from '../config/kinds/gateway-form.ts'
import type { NamedMatch, RouteForm, Rule } from '../config/kinds/route-form.ts'
import type { ServiceForm } from '../config/kinds/service-form.ts'
import { loadEnvoyApi } from '../resource/envoy-api.ts'
import { type NodeSelector, selectorKey } from '../resource/node-selector.ts'
import { buildResource, type Resource } from '../resource/resource.ts'
import { type ResourceWord, resourceTypes, wordOf } from '../resource/type-url.ts'
import { createWorld, type Unit, type UnitChange, type World, type WorldStep } from '../snapshot/world.ts'
import { createMesh, type Mesh } from './mesh.ts'

const api = loadEnvoyApi()

interface Bed {
  readonly world: World
  readonly mesh: Mesh
  readonly apply: (...changes: (Unit | string)[]) => WorldStep
}

/** A unit is new or changed, a key deleted. */
function bed(...first: readonly Unit[]): Bed {
  const mesh = createMesh(api)
  const world = createWorld({ staticNames: {}, allowPartial: true, judge: (candidate) => mesh.try(candidate) })
  const apply = (...changes: readonly (Unit | string)[]): WorldStep =>
    world.apply(
      changes.map(
        (change): UnitChange =>
          typeof change === 'string' ? { kind: 'deleted', key: change } : { kind: 'valid', unit: change },
      ),
      { isFirst: false },
    )
  apply(...first)
  return { world, mesh, apply }
}

/** A raw document with resources of these names, the first of which refers to others. */
function raw(
  key: string,
  names: readonly `${ResourceWord}:${string}`[],
  selectors: readonly NodeSelector[] = [],
  uses: readonly string[] = [],
): Unit {
  const resources = names.map((name, index): Resource => {
    const [word, short] = name.split(':') as [ResourceWord, string]
    return buildResource({
      typeUrl: resourceTypes[word].typeUrl,
      name: short,
      bytes: Buffer.from(`${name} ${index > 0 ? '' : uses.join()}`),
      origin: { name: `${key}.yaml`, line: index + 1, column: 1 },
      references:
        index > 0 ? [] : uses.map((use) => ({ typeUrl: resourceTypes.cluster.typeUrl, name: use, path: 'x' })),
    })
  })
  return { key, origin: { name: `${key}.yaml` }, selectors, resources }
}

/** What is generated, as text: the unit, whom it is for, and each resource with its version. */
const contents = ({ world }: Pick<Bed, 'world'>): Record<string, string> =>
  Object.fromEntries(
    [...world.generated.values()]
      .map(({ key, selectors, resources }): [string, string] => [
        key,
        `${selectors.map(selectorKey).sort().join(' ')} ${resources
          .map(({ typeUrl, name, version }) => `${wordOf(typeUrl)} ${name} ${version}`)
          .join(', ')}`,
      ])
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  )
const names = ({ world }: Bed): string[] =>
  [...world.generated.values()]
    .flatMap(({ selectors, resources }) =>
      resources.map(({ typeUrl, name }) => `${wordOf(typeUrl)} ${name} for ${selectors.map(selectorKey).join(' ')}`),
    )
    .sort()
const told = ({ problems }: WorldStep): string[] =>
  problems.map(({ code, origin, path }) => `${code} ${origin.name}:${origin.line ?? 0} ${path}`)

/** Its endpoints in these regions, in turn. */
function inRegions(form: ServiceForm, regions: readonly (string | undefined)[], zone?: string): ServiceForm {
  const endpoints = (form.endpoints ?? []).map((endpoint, index) => {
    const region = regions[index % Math.max(1, regions.length)]
    return { ...endpoint, ...(region !== undefined && { region }), ...(zone !== undefined && { zone }) }
  })
  return { ...form, endpoints }
}

const cart = kindUnit(serviceForm('cart', [1, 2], ['v1', 'v2']))
const edge = kindUnit(gatewayForm('edge', ['edge']))
const toCart = kindUnit(routeForm('shop', ['edge'], ['shop.example'], [['/', 'cart/v1', 'cart/v2']]))
const toWhole = kindUnit(routeForm('whole', ['edge'], ['all.example'], [['/', 'cart']]))
const toForm = (name: string, gateway: string, ...backends: readonly string[]): RouteForm =>
  routeForm(name, [gateway], ['shop.example'], [['/', ...backends]])
const toSome = (...args: Parameters<typeof toForm>): Unit => kindUnit(toForm(...args))
const core = gatewayForm('core', ['core'])
const toV2: GatewayListener = { name: 'c', port: 1, protocol: 'tcp', backends: [{ service: 'cart', version: 'v2' }] }
/** To one, with two others for what goes wrong and for looking on. */
const spread: Rule = {
  match: [],
  action: { kind: 'forward', backends: [{ service: 'spare' }] },
  mirror: [{ service: 'cart', version: 'v1' }],
  fallback: { service: 'cart', version: 'v2' },
}

describe('what documents become', () => {
  it('is a cluster and an assignment for a Service and each of its versions, a listener and its routes for a Gateway', () => {
    const nodes = '{"cluster":"edge"}'
    expect(names(bed(cart, edge, toCart, toWhole))).toEqual(
      [
        'cluster cart',
        'cluster cart/v1',
        'cluster cart/v2',
        'endpoint cart',
        'endpoint cart/v1',
        'endpoint cart/v2',
        'listener edge/http',
        'route edge/http',
      ].map((name) => `${name} for ${nodes}`),
    )
  })

  it.each<[string, readonly Unit[], Readonly<Record<string, string>>]>([
    ['one version', [toSome('a', 'edge', 'cart/v2')], { 'cart/v2': 'edge' }],
    ['all but one', [toSome('a', 'edge', 'cart/v1'), toSome('b', 'edge', 'cart')], { cart: 'edge', 'cart/v1': 'edge' }],
    [
      'what each of two Gateways names',
      [toSome('a', 'edge', 'cart/v1'), toSome('b', 'core', 'cart/v1', 'cart/v2')],
      { 'cart/v1': 'core edge', 'cart/v2': 'core' },
    ],
    [
      'what it mirrors to and falls back to',
      [kindUnit({ ...toForm('a', 'edge'), rules: [spread] })],
      { 'cart/v1': 'edge', 'cart/v2': 'edge', spare: 'edge', 'spare+cart/v2': 'edge' },
    ],
    ['what its connections go to', [kindUnit({ ...core, listeners: [toV2] })], { 'cart/v2': 'core' }],
    [
      'the Service of all sidecars, and the versions that their Routes name',
      [
        kindUnit(sidecarForm('s', ['web'], undefined)),
        kindUnit(sidecarForm('t', ['app'], undefined, { outbound: { unknown: 'allow' } })),
        toSome('a', 'mesh', 'cart/v2'),
      ],
      { cart: 'app web', 'cart/v2': 'app web', spare: 'app web', 't/passthrough': 'app' },
    ],
    [
      'those of a sidecar that calls some, and what its Routes name beside them',
      [
        kindUnit(sidecarForm('s', ['web'], undefined, { outbound: { services: ['spare'] } })),
        kindUnit(routeForm('a', [], ['spare'], [['/', 'cart/v1', 'spare']])),
      ],
      { 'cart/v1': 'web', spare: 'web' },
    ],
  ])('is for a proxy of the clusters only %s', (_, units, expected) => {
    const spare = kindUnit(serviceForm('spare'))
    const one = bed(cart, spare, edge, kindUnit(core), ...units)
    const found = [...one.world.generated.values()].flatMap(({ selectors, resources }) =>
      resources.flatMap(({ typeUrl, name }) =>
        wordOf(typeUrl) === 'cluster' ? [[name, selectors.map(({ cluster }) => cluster).join(' ')] as const] : [],
      ),
    )
    expect(Object.fromEntries(found)).toEqual(expected)
    const assigned = names(one).filter((name) => name.startsWith('endpoint'))
    const clusters = names(one).filter((name) => name.startsWith('cluster') && !/[+]|passthrough/.test(name))
    expect(assigned.map((name) => name.slice('endpoint '.length))).toEqual(
      clusters.map((name) => name.slice('cluster '.length)),
    )
  })

  it('is nothing for a Service that nobody calls', () => {
    expect([...bed(cart, edge).world.generated.keys()]).toEqual(['+Gateway/edge'])
  })

  it('is served to those for whom a raw document names a cluster of the Service, too', () => {
    const listener = raw('l', ['listener:l'], [{ id: 'old' }], ['cart/v2'])
    const { world, apply } = bed(cart, edge, toCart, toWhole, listener)
    expect(world.generated.get('+Service/cart#v2')?.selectors).toEqual([{ cluster: 'edge' }, { id: 'old' }])
    expect(world.generated.get('+Service/cart')?.selectors).toEqual([{ cluster: 'edge' }])
    apply('l')
    expect(world.generated.get('+Service/cart#v2')?.selectors).toEqual([{ cluster: 'edge' }])
  })

  it('names nothing that is not there', () => {
    const { world } = bed(cart, edge, toCart)
    const again = createWorld({ staticNames: {}, allowPartial: false })
    const units = [...world.generated.values()].map((unit): UnitChange => ({ kind: 'valid', unit }))
    expect(again.apply(units, { isFirst: true })).toMatchObject({ problems: [], withheld: [] })
  })
})

describe('a change', () => {
  it('of an endpoint alters the assignments that hold it, and no other resource', () => {
    const one = bed(cart, edge, toCart, toWhole)
    const ofCart = (): readonly Resource[] =>
      ['+Service/cart', '+Service/cart#v1', '+Service/cart#v2'].flatMap(
        (key) => one.world.generated.get(key)?.resources ?? [],
      )
    const listener = one.world.generated.get('+Gateway/edge')
    const clusters = ofCart()
    const step = one.apply(kindUnit(serviceForm('cart', [1, 3], ['v1', 'v2'])))
    expect(step.generated.upserted.map(({ key }) => key)).toEqual(['+Service/cart', '+Service/cart#v2'])
    const altered = ofCart().filter(({ version }, index) => version !== clusters[index]?.version)
    expect(altered.map(({ typeUrl, name }) => `${wordOf(typeUrl)} ${name}`)).toEqual([
      'endpoint cart',
      'endpoint cart/v2',
    ])
    expect(one.world.generated.get('+Gateway/edge')).toBe(listener)
  })

  it('of a Route alters the route configuration, and not the listener', () => {
    const one = bed(cart, edge, toCart)
    const [listener, routes] = one.world.generated.get('+Gateway/edge')?.resources ?? []
    const step = one.apply(kindUnit(routeForm('shop', ['edge'], ['shop.example'], [['/api', 'cart/v1']])))
    expect(step.generated.upserted.map(({ key }) => key)).toEqual(['+Gateway/edge'])
    const after = one.world.generated.get('+Gateway/edge')?.resources ?? []
    expect(after[0]?.version).toBe(listener?.version)
    expect(after[1]?.version).not.toBe(routes?.version)
  })

  it('to a Route that falls back alters how the hosts of its Services count, and back again', () => {
    const spare = kindUnit(serviceForm('spare'))
    const one = bed(cart, spare, edge, toCart)
    const before = contents(one)
    const form = routeForm('shop', ['edge'], ['shop.example'], [['/', 'cart/v1', 'cart/v2']])
    const step = one.apply(kindUnit(fallingBack(form, 'spare')))
    expect(step.generated.upserted.map(({ key }) => key).sort()).toEqual([
      '+Gateway/edge',
      '+Service/cart#v1',
      '+Service/cart#v2',
      '+Service/spare',
    ])
    const members = names(one).filter((name) => name.includes('+'))
    expect(members).toEqual([
      'cluster cart/v1+cart/v2+spare for {"cluster":"edge"}',
      'cluster cart/v2+cart/v1+spare for {"cluster":"edge"}',
    ])
    one.apply(toCart)
    expect(contents(one)).toEqual(before)
  })

  it('of where a document stands alters nothing, but where its problems are told', () => {
    const lost = routeForm('lost', ['egde'], ['a'], [['/', 'cart']])
    const one = bed(cart, edge, kindUnit(lost))
    const step = one.apply(kindUnit(lost, undefined, 40))
    expect(step.generated).toEqual({ upserted: [], removed: [] })
    expect(told(step)).toEqual(['unattached Route-lost.yaml:51 gateways[0]'])
    expect(step.problems[0]?.fix).toBe('Did you mean `edge`?')
    expect(told(one.apply(kindUnit(gatewayForm('egde', ['x']))))).toEqual([])
  })

  const lost = (gateways: readonly string[] | undefined, hosts: readonly string[] = ['a.example']): Unit => {
    const { gateways: _, ...form } = routeForm('lost', [], hosts, [['/', 'cart']])
    return kindUnit({ ...form, ...(gateways && { gateways }) })
  }
  const [listener, aSidecar] = [
    gatewayForm('edge', ['edge'], ['*.b.example', 'c.example']),
    sidecarForm('web', ['web'], undefined),
  ]

  it.each<[string, Unit, string, Unit]>([
    ['whose hosts no listener has', lost(['edge']), '12 gateways[0]', lost(['edge'], ['c.example'])],
    ['whose hosts are only above those of a listener', lost(['edge'], ['b.example']), '12 gateways[0]', edge],
    ['of the sidecars, where there are none', lost(undefined), '1 ', kindUnit(aSidecar)],
    [
      'of the mesh, where it has no sidecar',
      lost(['edge', 'mesh'], ['c.example']),
      '12 gateways[1]',
      kindUnit(aSidecar),
    ],
  ])('to a Route %s is told, until it is of use', (_, route, place, mended) => {
    const one = bed(cart, kindUnit(listener))
    expect(told(one.apply(route))).toEqual([`unattached Route-lost.yaml:${place}`])
    expect(told(one.apply(mended))).toEqual([])
  })

  it('is told at its line when Envoy could not take it, and what was before stays', () => {
    const one = bed(cart, edge, toCart)
    const before = contents(one)
    const form = gatewayForm('edge', ['edge'], undefined, 70_000)
    const step = one.apply(kindUnit(form), kindUnit(serviceForm('other')))
    expect(told(step)).toEqual(['rule-violation Gateway-edge.yaml:18 listeners[0].port'])
    expect(contents(one)).toEqual(before)
    expect(one.world.inForce.has('file:Service-other.yaml')).toBe(true)
  })
})

describe('two proxies that a node gets both', () => {
  const [a, b] = [kindUnit(serviceForm('a')), kindUnit(serviceForm('b'))]
  const beside = (name: string, nodes: readonly NodeSelector[], service: string, port = 15_006): Unit =>
    kindUnit({
      ...sidecarForm(name, [], service, { outbound: { services: [] } }),
      nodes,
      inbound: [{ port, app: { host: '127.0.0.1', port: 8080 }, service }],
    })

  it.each<[readonly NodeSelector[], readonly NodeSelector[], string[]]>([
    [[{ cluster: 'x' }], [{ cluster: 'x' }], ['conflict Sidecar-t.yaml:16 inbound[0].port']],
    [[{ cluster: 'x' }], [{ cluster: '*' }], ['conflict Sidecar-t.yaml:16 inbound[0].port']],
    [[], [{ id: 'n' }], ['conflict Sidecar-t.yaml:16 inbound[0].port']],
    [[{ cluster: 'y' }, { cluster: 'x' }], [{ cluster: 'x', id: 'n' }], ['conflict Sidecar-t.yaml:16 inbound[0].port']],
    [[{ cluster: 'x' }], [{ cluster: 'y' }], []],
    [[{ cluster: 'x', id: 'n' }], [{ cluster: 'x', id: 'm' }], []],
    [[{ id: 'n' }], [{ id: 'm' }], []],
    [[{ id: 'n' }], [{ id: 'n' }], ['conflict Sidecar-t.yaml:16 inbound[0].port']],
    [[{ id: 'n-*' }], [{ cluster: 'x', id: 'n-1' }], ['conflict Sidecar-t.yaml:16 inbound[0].port']],
  ])('cannot listen on one address: %j and %j', (first, second, expected) => {
    const one = bed(a, b, beside('s', first, 'a'))
    expect(told(one.apply(beside('t', second, 'b'))).filter((line) => line.startsWith('conflict'))).toEqual(expected)
    expect(one.world.inForce.has('file:Sidecar-t.yaml')).toBe(expected.length === 0)
    expect(told(one.apply(beside('t', second, 'b', 15_007)))).toEqual([])
  })
})

describe('two proxies that a node may get both', () => {
  const [a, b] = [kindUnit(serviceForm('a')), kindUnit(serviceForm('b'))]

  it.each<[NodeSelector, NodeSelector]>([
    [{ cluster: 'x' }, { id: 'n' }],
    [{ id: 'n-1' }, { cluster: 'x', id: 'n-*' }],
    [{ id: 'n' }, { cluster: 'x*' }],
  ])('are told of one address, and serve: %j and %j', (first, second) => {
    const beside = (name: string, selector: NodeSelector, service: string): Unit =>
      kindUnit({
        ...sidecarForm(name, [], service, { outbound: { services: [] } }),
        nodes: [selector],
        inbound: [{ port: 15_006, app: { host: '127.0.0.1', port: 8080 }, service }],
      })
    for (const [one, other] of [[first, second] as const, [second, first] as const]) {
      const both = bed(a, b, beside('s', one, 'a'))
      expect(told(both.apply(beside('t', other, 'b')))).toEqual(['conflict Sidecar-t.yaml:16 inbound[0].port'])
      expect(both.world.inForce.has('file:Sidecar-t.yaml')).toBe(true)
    }
  })
})

describe('services that sidecars cannot tell apart', () => {
  const tcp = (name: string, rest: object = {}): Unit =>
    kindUnit({ ...serviceForm(name), protocol: 'tcp', port: 5432, ...rest })

  it('keep out the one that comes later, once for all sidecars', () => {
    const one = bed(
      tcp('db'),
      kindUnit(sidecarForm('s', ['x'], undefined)),
      kindUnit(sidecarForm('t', ['y'], undefined)),
    )
    expect(told(one.apply(tcp('events')))).toEqual(['conflict Service-events.yaml:5 port'])
    expect(one.world.inForce.has('file:Service-events.yaml')).toBe(false)
    expect(told(one.apply(tcp('events', { address: '127.0.0.2' })))).toEqual([])
    expect(names(one)).toContain('listener s/outbound/127.0.0.2:5432 for {"cluster":"x"}')
  })

  it('are none for who is captured, or calls one of them', () => {
    const captured = kindUnit(sidecarForm('s', ['x'], undefined, { capture: 'iptables' }))
    const trimmed = kindUnit(sidecarForm('t', ['y'], undefined, { outbound: { services: ['db'] } }))
    expect(told(bed(tcp('db'), tcp('events'), captured, trimmed).apply())).toEqual([])
  })
})

describe('a Route that comes to a sidecar because a host is no Service’s any more', () => {
  const b = kindUnit({ ...serviceForm('b'), hosts: ['other'] })
  const shop = (host: string): Bed =>
    bed(
      b,
      kindUnit(serviceForm('a')),
      kindUnit({ ...serviceForm('c'), protocol: 'tcp', port: 90 }),
      kindUnit(routeForm('r', [], [host], [['/', 'c', 'a']])),
      kindUnit(sidecarForm('t', ['x'], undefined, { outbound: { services: ['a'] } })),
    )

  it.each<[string, string, Unit | string]>([
    ['deletion', 'b', b.key],
    ['change', 'other', kindUnit(serviceForm('b'))],
  ])('keeps that %s out where the sidecar cannot have the Route', (_, host, change) => {
    const one = shop(host)
    expect(told(one.apply(change)).filter((line) => !line.startsWith('unattached'))).toEqual([
      'rule-violation Route-r.yaml:29 rules[0].backends[0].service',
      'rule-violation Service-b.yaml:1 ',
    ])
    expect(one.world.inForce.get(b.key)).toBe(b)
    expect(contents(one)).toEqual(contents(bed(...one.world.inForce.values())))
  })
})

describe('services that captured connections cannot be told apart by', () => {
  const captured = (name: string, rest: object = {}): Unit =>
    kindUnit(sidecarForm(name, [name], undefined, { capture: 'iptables', ...rest }))
  const at = (name: string, protocol: 'tcp' | 'tls' | 'http', rest: object): Unit =>
    kindUnit({ ...serviceForm(name), protocol, port: 5432, ...rest })

  it.each<[string, Unit, Unit, string[]]>([
    [
      'an address and port',
      at('a', 'tcp', { address: '10.96.0.5' }),
      at('b', 'tls', { address: '10.96.0.5' }),
      ['conflict Service-b.yaml:8 address'],
    ],
    [
      'those, though one speaks HTTP',
      at('a', 'http', { address: '10.96.0.5' }),
      at('b', 'tcp', { address: '10.96.0.5' }),
      ['conflict Service-b.yaml:8 address'],
    ],
    [
      'a name',
      at('a', 'tls', { hosts: ['db'] }),
      at('b', 'tls', { hosts: ['db'] }),
      ['conflict Service-b.yaml:6 hosts'],
    ],
    ['a name of HTTP', at('a', 'tls', { hosts: ['db'] }), at('b', 'http', { hosts: ['db'] }), []],
    [
      'a name, where they have addresses',
      at('a', 'tls', { hosts: ['db'], address: '10.96.0.5' }),
      at('b', 'tls', { hosts: ['db'], address: '10.96.0.6' }),
      [],
    ],
  ])('keep out the one that comes later: by %s', (_, first, second, expected) => {
    const shared = bed(first, captured('s'), captured('t'))
    expect(told(shared.apply(second))).toEqual(expected)
    expect(shared.world.inForce.has(second.key)).toBe(expected.length === 0)
  })

  it('keep out a sidecar that would call both', () => {
    const [a, b] = [at('a', 'tls', { hosts: ['db'] }), at('b', 'tls', { hosts: ['db'] })]
    const one = bed(a, b, captured('s', { outbound: { services: ['a'] } }))
    const step = one.apply(captured('s', { outbound: { services: ['a', 'b'] } }))
    expect(told(step)).toEqual(['conflict Service-b.yaml:6 hosts', 'conflict Sidecar-s.yaml:1 '])
  })
})

describe('a sidecar that is called by ports', () => {
  const at80 = kindUnit({ ...serviceForm('a'), port: 80 })
  const beside = (port: number, app: number, rest: Parameters<typeof sidecarForm>[3] = {}): Unit =>
    kindUnit(
      sidecarForm('s', ['x'], undefined, {
        inbound: [{ port, app: { host: 'localhost', port: app }, service: 'a' }],
        ...rest,
      }),
    )

  it.each([
    [80, 8080, ['conflict Sidecar-s.yaml:16 inbound[0].port']],
    [15_006, 80, ['conflict Sidecar-s.yaml:15 inbound[0].app']],
    [15_006, 8080, []],
  ])('cannot listen where its workload does: in by %i, to %i', (port, app, expected) => {
    expect(told(bed(at80).apply(beside(port, app)))).toEqual(expected)
    expect(told(bed(at80).apply(beside(port, app, { capture: 'iptables' })))).toEqual([])
  })

  it('keeps out a Service that would be called where the workload listens', () => {
    const one = bed(at80, beside(15_006, 8080))
    const changed = kindUnit({ ...serviceForm('a'), port: 8080 })
    expect(told(one.apply(changed))).toEqual([
      'conflict Service-a.yaml:1 ',
      'conflict Sidecar-s.yaml:15 inbound[0].app',
    ])
    expect(one.world.inForce.get('file:Service-a.yaml')).toBe(at80)
  })
})

describe('hosts outside that sidecars may reach', () => {
  const mesh = (egress: Egress | undefined): Unit => kindUnit({ kind: 'Mesh', name: 'shop', ...(egress && { egress }) })
  const hosts = ['a.example']
  const [web, batch] = [
    kindUnit(sidecarForm('web', ['x'], undefined)),
    kindUnit(sidecarForm('batch', ['y'], undefined, { outbound: { egress: { hosts, ports: [8443] } } })),
  ]

  it('have a listener for each of their ports, and one cluster for all who share the routes', () => {
    const one = bed(mesh({ hosts }), web, batch)
    expect(names(one)).toEqual(
      expect.arrayContaining([
        'cluster mesh/egress for {"cluster":"x"}',
        'cluster batch/egress for {"cluster":"y"}',
        ...[80, 443].map((port) => `listener web/outbound/${port} for {"cluster":"x"}`),
        ...[80, 443, 8443].map((port) => `listener batch/outbound/${port} for {"cluster":"y"}`),
      ]),
    )
    one.apply(mesh(undefined))
    expect(names(one)).not.toContainEqual(expect.stringMatching(/mesh\/egress|web\/outbound/))
    expect(names(one)).toContain('listener batch/outbound/8443 for {"cluster":"y"}')
    expect(names(one)).not.toContain('listener batch/outbound/443 for {"cluster":"y"}')
  })

  it('keep out a Service that cannot be told from them', () => {
    const vault = (rest: object = {}): Unit =>
      kindUnit({ ...serviceForm('vault'), protocol: 'tls', port: 443, ...rest })
    const one = bed(mesh({ hosts }), web)
    expect(told(one.apply(vault()))).toEqual(['conflict Service-vault.yaml:5 port'])
    expect(told(one.apply(vault({ address: '127.0.0.2' })))).toEqual([])
    const captured = kindUnit(sidecarForm('web', ['x'], undefined, { capture: 'iptables' }))
    expect(told(bed(mesh({ hosts }), captured, vault()).apply())).toEqual([])
  })

  it('are kept out by a Service, and by a workload, that was there before', () => {
    const db = kindUnit({ ...serviceForm('db'), protocol: 'tcp', port: 443 })
    const one = bed(db, web, mesh(undefined))
    expect(told(one.apply(mesh({ hosts })))).toEqual(['conflict Mesh-shop.yaml:1 ', 'conflict Service-db.yaml:5 port'])
    expect(told(one.apply(mesh({ hosts, ports: [80] })))).toEqual([])
    const own = sidecarForm('s', ['x'], undefined, {
      inbound: [{ port: 15_006, app: { host: '127.0.0.1', port: 80 }, service: 'a' }],
    })
    const two = bed(kindUnit(serviceForm('a')), mesh(undefined), kindUnit(own))
    expect(told(two.apply(mesh({ hosts })))).toEqual([
      'conflict Mesh-shop.yaml:1 ',
      'conflict Sidecar-s.yaml:15 inbound[0].app',
    ])
  })
})

describe('a builder that fails', () => {
  it('costs the change of its document, and no other', () => {
    const one = bed(cart, edge, toCart)
    const before = contents(one)
    const [rule] = routeForm('shop', ['edge'], ['a'], [['/', 'cart']]).rules
    const unknown = { ...(rule as Rule), match: [{ headers: [{ name: 'x' } as NamedMatch] }] }
    const broken = kindUnit({ ...routeForm('shop', ['edge'], ['a'], []), rules: [unknown] })
    expect(told(one.apply(broken, kindUnit(serviceForm('other'))))).toEqual([
      'unreadable Gateway-edge.yaml:1 ',
      'unreadable Route-shop.yaml:1 ',
    ])
    expect(contents(one)).toEqual(before)
    expect(one.world.inForce.has('file:Service-other.yaml')).toBe(true)
    expect(told(one.apply(toCart))).toEqual([])
  })

  it('costs that change alone also where all sidecars share what it becomes', () => {
    const own = routeForm('own', [], ['a'], [['/', 'cart']])
    const one = bed(cart, kindUnit(sidecarForm('s', ['x'], undefined)), kindUnit(own))
    const before = contents(one)
    const [rule] = own.rules
    const unknown = { ...(rule as Rule), match: [{ headers: [{ name: 'x' } as NamedMatch] }] }
    expect(told(one.apply(kindUnit({ ...own, rules: [unknown] })))).toEqual([
      'unreadable Route-own.yaml:1 ',
      'unreadable Sidecar-s.yaml:1 ',
    ])
    expect(contents(one)).toEqual(before)
    expect(told(one.apply(kindUnit(own)))).toEqual([])
  })
})

describe('a raw resource with the type and name of a generated one', () => {
  const rawCart = raw('raw', ['cluster:cart/v1'], [{ cluster: 'edge' }])

  it('falls back when it is the newer one, and both are told', () => {
    const one = bed(cart, edge, toCart)
    const step = one.apply(rawCart)
    expect(told(step)).toEqual(['duplicate Service-cart.yaml:1 ', 'duplicate raw.yaml:1 '])
    expect(one.world.inForce.has('raw')).toBe(false)
    expect(told(one.apply('raw'))).toEqual([])
  })

  it('keeps the Service out when that is the newer one, and its Route with it', () => {
    const one = bed(rawCart, edge)
    const step = one.apply(cart, toCart)
    expect(one.world.inForce.size).toBe(2)
    expect(step.problems.map(({ code }) => code)).toContain('duplicate')
    expect([...one.world.generated.keys()]).toEqual(['+Gateway/edge'])
  })

  it('keeps out the Route by which the Service would meet it', () => {
    const one = bed(rawCart, edge, cart)
    expect(told(one.apply(toCart))).toEqual([
      'duplicate Route-shop.yaml:1 ',
      'duplicate Service-cart.yaml:1 ',
      'duplicate raw.yaml:1 ',
    ])
    expect(one.world.inForce.has(toCart.key)).toBe(false)
    expect(one.world.inForce.has(cart.key)).toBe(true)
  })

  it('of what all sidecars share is told of the document that it is told at', () => {
    const one = bed(cart, kindUnit(sidecarForm('s', ['edge'], undefined)))
    const shared = one.world.generated.get('+mesh/outbound')?.resources[0] as Resource
    expect(one.mesh.originOf(shared)?.name).toBe('Sidecar-s.yaml')
    const { problems } = one.apply(raw('raw', ['route:mesh/outbound'], [{ cluster: 'edge' }]))
    expect(problems.map(({ origin, message }) => `${origin.name}: ${message}`)).toEqual([
      'Sidecar-s.yaml: route "mesh/outbound", which this becomes, is also defined in raw.yaml:1:1, and some node would get both.',
      'raw.yaml: route "mesh/outbound" is also what the Sidecar s in Sidecar-s.yaml:1:1 becomes, and some node would get both.',
    ])
  })

  it('is none where no node gets both', () => {
    const one = bed(cart, edge, toCart)
    expect(told(one.apply(raw('raw', ['cluster:cart/v1'], [{ cluster: 'core' }])))).toEqual([])
    expect(one.world.inForce.has('raw')).toBe(true)
  })

  it('is none where nothing that the node gets names it', () => {
    const one = bed(cart, edge, toCart)
    expect(told(one.apply(raw('raw', ['cluster:cart'], [{ cluster: 'edge' }])))).toEqual([])
    expect(told(one.apply(toWhole))).toContain('duplicate Route-whole.yaml:1 ')
  })

  it('takes its place when the document is deleted in the same change', () => {
    const one = bed(cart, edge, kindUnit(routeForm('shop', ['edge'], ['a'], [['/', 'cart/v1']])))
    expect(told(one.apply('file:Route-shop.yaml', cart.key, rawCart))).toEqual([])
    expect([...one.world.inForce.keys()].sort()).toEqual(['file:Gateway-edge.yaml', 'raw'])
  })
})

describe('a Service in several regions', () => {
  const regional = kindUnit(inRegions(serviceForm('cart', [1, 2]), ['eu', 'us']))
  const toAll = kindUnit(routeForm('shop', ['edge'], ['shop.example'], [['/', 'cart']]))
  const unitsOf = ({ world }: Bed): Record<string, string> =>
    Object.fromEntries(
      [...world.generated.values()]
        .filter(({ key }) => key.startsWith('+Service/'))
        .map(({ key, selectors, resources }): [string, string] => [
          key,
          `${resources.map(({ typeUrl, name }) => `${wordOf(typeUrl)} ${name}`).join()} for ${selectors.map(selectorKey).join()}`,
        ]),
    )

  it('has one cluster for all, and assignments for the callers of each region', () => {
    expect(unitsOf(bed(regional, edge, toAll))).toEqual({
      '+Service/cart': 'cluster cart for {"cluster":"edge"}',
      '+Service/cart@eu': 'endpoint cart for {"cluster":"edge","region":"eu"}',
      '+Service/cart@us': 'endpoint cart for {"cluster":"edge","region":"us"}',
      '+Service/cart@': 'endpoint cart for {"cluster":"edge","notRegions":["eu","us"]}',
    })
  })

  it('whose endpoints change has other assignments, and nothing else', () => {
    const one = bed(regional, edge, toAll)
    const step = one.apply(kindUnit(inRegions(serviceForm('cart', [1, 2, 3]), ['eu', 'us'])))
    expect(step.generated.upserted.map(({ key }) => key)).toEqual([
      '+Service/cart@eu',
      '+Service/cart@us',
      '+Service/cart@',
    ])
    expect(step.generated.removed).toEqual([])
  })

  it('follows the regions that there are, and is alike for all when there is one left', () => {
    const one = bed(regional, edge, toAll)
    const toAsia = one.apply(kindUnit(inRegions(serviceForm('cart', [1, 2]), ['eu', 'asia'])))
    expect(toAsia.generated.removed).toEqual(['+Service/cart@us'])
    expect(Object.keys(unitsOf(one))).toHaveLength(4)
    const toOne = one.apply(kindUnit(inRegions(serviceForm('cart', [1, 2]), ['eu'])))
    expect([...toOne.generated.removed].sort()).toEqual(['+Service/cart@', '+Service/cart@asia', '+Service/cart@eu'])
    expect(unitsOf(one)).toEqual({ '+Service/cart': 'cluster cart,endpoint cart for {"cluster":"edge"}' })
    const gone = bed(regional, edge, toAll).apply('file:Service-cart.yaml', 'file:Route-shop.yaml')
    expect([...gone.generated.removed].sort()).toEqual([
      '+Service/cart',
      '+Service/cart@',
      '+Service/cart@eu',
      '+Service/cart@us',
    ])
  })

  it('takes the order of the Mesh', () => {
    const one = bed(regional, edge, toAll)
    const step = one.apply(kindUnit({ kind: 'Mesh', name: 'shop', failover: ['us', 'eu'] }))
    expect(step.generated.upserted.map(({ key }) => key)).toEqual(['+Service/cart@'])
  })

  it('is known by every form of its assignment, and is told once who else has it', () => {
    const one = bed(regional, edge, toAll)
    for (const { resources } of [...one.world.generated.values()].filter(({ key }) => key.startsWith('+Service/'))) {
      for (const resource of resources) expect(one.mesh.originOf(resource)?.name).toBe('Service-cart.yaml')
    }
    const step = one.apply(raw('l', ['endpoint:cart'], [{ cluster: 'edge' }]))
    expect(told(step)).toEqual(['duplicate Service-cart.yaml:1 ', 'duplicate l.yaml:1 '])
    expect(told(one.apply('l', raw('m', ['endpoint:cart'], [{ cluster: 'core' }])))).toEqual([])
  })

  it('keeps what its regions had when a later version cannot translate it', () => {
    const before = bed(regional, edge, toAll).world.generated
    const form = { ...serviceForm('cart', [1, 2]), protocol: 'tcp' as const, tls: {} }
    const mesh = createMesh(api, before.values())
    const restored = [kindUnit(form), edge, toAll]
    const world = createWorld({ staticNames: {}, allowPartial: false, restored, judge: (one) => mesh.try(one) })
    const keys = [...world.generated.keys()].filter((key) => key.startsWith('+Service/'))
    expect(keys.sort()).toEqual(['+Service/cart', '+Service/cart@', '+Service/cart@eu', '+Service/cart@us'])
    for (const key of keys) expect(world.generated.get(key)).toBe(before.get(key))
  })

  it('with zones tells the proxies in front of it who their peers are, whoever calls it', () => {
    const zoned = kindUnit(inRegions(serviceForm('cart', [1, 2]), ['eu', 'us'], 'a'))
    const own = '{"metadata":{"fairlead":{"service":"cart"}}'
    expect(unitsOf(bed(zoned))).toEqual({
      '+Service/cart~local@eu': `endpoint cart/local for ${own},"region":"eu"}`,
      '+Service/cart~local@us': `endpoint cart/local for ${own},"region":"us"}`,
      '+Service/cart~local@': `endpoint cart/local for ${own},"notRegions":["eu","us"]}`,
    })
    const alike = kindUnit(inRegions(serviceForm('cart', [1, 2]), [], 'a'))
    expect(unitsOf(bed(alike))).toEqual({ '+Service/cart~local': `endpoint cart/local for ${own}}` })
  })
})

describe('restored documents', () => {
  it('are translated before their sources are read, and nothing is new when they are', () => {
    const mesh = createMesh(api)
    const restored = [cart, edge, toCart]
    const world = createWorld({ staticNames: {}, allowPartial: false, restored, judge: (one) => mesh.try(one) })
    expect(contents({ world })).toEqual(contents(bed(cart, edge, toCart)))
    const step = world.apply(
      restored.map((unit): UnitChange => ({ kind: 'valid', unit })),
      { isFirst: true },
    )
    expect(step).toMatchObject({ upserted: [], removed: [], problems: [], generated: { upserted: [], removed: [] } })
  })

  it('keep what they were translated to last when this version cannot translate them', () => {
    const bad = kindUnit(gatewayForm('edge', ['edge'], undefined, 70_000))
    const last = { key: '+Gateway/edge', origin: { name: 'x' }, selectors: [], resources: [] }
    const mesh = createMesh(api, [last])
    const world = createWorld({ staticNames: {}, allowPartial: false, restored: [bad], judge: (one) => mesh.try(one) })
    expect(world.generated.get('+Gateway/edge')).toBe(last)
    expect(told(world.apply([{ kind: 'valid', unit: bad }], { isFirst: true }))).toEqual([
      'rule-violation Gateway-edge.yaml:18 listeners[0].port',
    ])
  })
})

describe('after any edits', () => {
  it.each(seedsOf(process.env['FAIRLEAD_TEST_LONG'] === '1' ? 200 : 6))(
    'what is generated is what translating everything anew gives (seed %i)',
    (seed) => {
      const one = bed()
      const edits = editor(seed)
      for (let round = 0; round < 60; round++) {
        const step = one.apply(...edits())
        const anew = bed(...one.world.inForce.values())
        expect(contents(one)).toEqual(contents(anew))
        expect([...anew.world.inForce.keys()].sort()).toEqual([...one.world.inForce.keys()].sort())
        // A document whose change is not in force is told of that, and not of the form before.
        const waiting = new Set(
          step.problems
            .filter(({ code }) => code !== 'no-endpoints' && code !== 'unattached')
            .map(({ origin }) => origin.name),
        )
        const standing = (all: WorldStep): string[] =>
          told({ ...all, problems: all.problems.filter(({ origin }) => !waiting.has(origin.name)) })
        expect(standing(step)).toEqual(standing(anew.apply()))
        expect(contents({ world: { ...one.world, generated: one.mesh.inForce } })).toEqual(contents(one))
      }
    },
  )
})

/** The Route with a copy of its requests for one that is told as `b/v2`. */
function mirroring(form: RouteForm, backend: string): RouteForm {
  const [service = '', version] = backend.split('/')
  const mirror = [{ service, ...(version !== undefined && { version }) }]
  return { ...form, rules: form.rules.map((rule) => ({ ...rule, mirror })) }
}

/** Random changes of a small world, in which names meet. */
function editor(seed: number): () => readonly (Unit | string)[] {
  const random = createRandom(seed)
  const below = (limit: number): number => random.below(limit)
  const pick = <T>(items: readonly T[]): T => random.pick(items)
  const services = ['a', 'b', 'c']
  const gateways = ['edge', 'core']
  const outside = (): Egress => ({ hosts: pick([['a.example'], ['*.example', 'b'], ['*']]), ports: [pick([80, 90])] })
  const edit = (): Unit | string => {
    const service = pick(services)
    const gateway = pick(gateways)
    const route = pick(['r', 's', 't'])
    switch (below(12)) {
      case 10:
        return kindUnit({
          kind: 'Mesh',
          name: 'shop',
          ...pick([{}, { egress: outside(), outbound: 'allow' as const }]),
        })
      case 0:
      case 1:
        return kindUnit({
          ...inRegions(
            serviceForm(service, [1, 2, 3].slice(below(4)), ['v1', 'v2'].slice(below(3))),
            pick([[], [], ['eu'], ['eu', 'us'], ['us', 'asia', undefined]]),
            pick([undefined, 'a']),
          ),
          ...pick([{}, { port: 80 }, { port: 80, hosts: ['a.example'] }, { port: 90, protocol: 'tcp' as const }]),
          ...pick([{}, {}, { address: '127.0.0.2' }]),
        })
      case 2:
        return kindUnit(
          gatewayForm(
            gateway,
            pick([['x'], ['y'], ['x', 'y']]),
            pick([undefined, ['*.example'], ['a.example']]),
            pick([80, 8080, 70_000]),
          ),
        )
      case 3:
      case 4: {
        const backends = Array.from({ length: 1 + below(2) }, () => pick([...services, 'a/v1', 'b/v2']))
        const form = routeForm(
          route,
          pick([['edge'], ['core'], gateways, ['lost'], [], ['mesh', 'edge']]),
          pick([['a.example'], ['*'], ['b'], ['a', 'b']]),
          [[pick(['/', '/x']), ...backends]],
        )
        return kindUnit(pick([form, form, form, fallingBack(form, service), mirroring(form, 'b/v2')]))
      }
      case 5:
        return raw(
          pick(['p', 'q']),
          [pick(['cluster:a', 'cluster:b/v1', 'route:edge/http', 'route:mesh/outbound'])],
          pick([[], [{ cluster: 'x' }], [{ cluster: 'y' }]]),
          pick([[], ['a'], ['b'], ['a/v1'], ['b/v2', 'c']]),
        )
      case 6:
        return pick([`file:Service-${service}.yaml`, `file:Gateway-${gateway}.yaml`])
      case 7:
        return `file:Route-${route}.yaml`
      case 8:
        return kindUnit(
          sidecarForm(pick(['s', 't']), pick([['x'], ['y'], ['x', 'z']]), pick([undefined, service]), {
            ...pick([{}, { capture: 'iptables' as const }, { defaults: { timeout: 1000 } }]),
            ...pick([
              {},
              { outbound: { services: [service] } },
              { outbound: { unknown: 'allow' as const } },
              { outbound: { egress: outside() } },
            ]),
          }),
        )
      case 9:
        return pick(['file:Sidecar-s.yaml', 'file:Sidecar-t.yaml', 'file:Mesh-shop.yaml'])
      default:
        return pick(['p', 'q'])
    }
  }
  return () => {
    const changes = new Map<string, Unit | string>()
    for (let count = 1 + below(4); count > 0; count--) {
      const change = edit()
      changes.set(typeof change === 'string' ? change : change.key, change)
    }
    return [...changes.values()]
  }
}
