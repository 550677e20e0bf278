import { expect } from 'vitest'
import { eventually } from '../../../support/poll.ts'
import { createRandom, seedsOf } from '../../../support/random.ts'
import type { App } from '../bed.ts'
import type { MeshCase } from '../suite.ts'
import { calm, gateway, route } from './shop-documents.ts'

/** App to place: `eu/a`, a region and a zone; `eu`, `/a`. More of an endpoint may follow: `eu, health: unhealthy`. */
function placed(apps: Readonly<Record<string, string>>, more = ''): string {
  const endpoints = Object.entries(apps).map(([app, where]) => {
    const [, region = '', zone, rest = ''] = /^(\w*)(?:\/(\w+))?(.*)$/.exec(where) ?? []
    const place = `${region === '' ? '' : `, region: ${region}`}${zone === undefined ? '' : `, zone: ${zone}`}`
    return `- {address: 127.0.0.1, port: \${${app}}${place}${rest}}`
  })
  return `kind: Service\nname: cart\nendpoints:\n${endpoints.join('\n')}\n${more}`
}

/** A gateway of its own for each, so that several proxies stand side by side. */
const gateways = (...names: readonly string[]): Readonly<Record<string, string>> => ({
  ...Object.fromEntries(names.map((name) => [name, gateway.replaceAll('edge', name)])),
  shop: `kind: Route\nname: shop\ngateways: [${names.join(', ')}]\nrules:\n- backends: cart\n`,
})

export const failoverCases: readonly MeshCase[] = [
  {
    rows: ['F7', 'F62'],
    name: 'callers get the endpoints of their own region, and those of no region all of them',
    needs: ['http', 'regions'],
    async run(bed) {
      await bed.app('here')
      await bed.app('there')
      await bed.write({ cart: placed({ here: 'eu', there: 'us' }), ...gateways('east', 'west', 'nowhere') })
      const east = await bed.proxy('east', { locality: { region: 'eu' } })
      const west = await bed.proxy('west', { locality: { region: 'us' } })
      const nowhere = await bed.proxy('nowhere')
      expect(await bed.send(await east.port('east/http'), 100)).toEqual({ here: 100 })
      expect(await bed.send(await west.port('west/http'), 100)).toEqual({ there: 100 })
      expect(Object.keys(await bed.send(await nowhere.port('nowhere/http'), 100)).sort()).toEqual(['here', 'there'])
      for (const proxy of [east, west, nowhere]) expect(await proxy.count('rejections')).toBe(0)
    },
  },
  {
    rows: ['F7', 'F62'],
    name: "a region's death costs no more than the requests that were under way",
    isLong: true,
    needs: ['http', 'regions', 'retry', 'outliers'],
    async run(bed) {
      const dying = [await bed.app('one', slowly), await bed.app('two', slowly)]
      await bed.app('three', slowly)
      await bed.app('four', slowly)
      await bed.write({ cart: placed({ one: 'eu', two: 'eu', three: 'us', four: 'us' }), ...gateways('edge') })
      const proxy = await bed.proxy('edge', { locality: { region: 'eu' } })
      const load = bed.load({ port: await proxy.port('edge/http'), rate: 100 })
      await load.next(50, { from: 'one' })
      await load.next(50, { from: 'two' })
      const { sent, ok, failed, byBackend } = load.report()
      expect([failed, byBackend['three'], byBackend['four']]).toEqual([0, undefined, undefined])
      const underWay = sent - ok
      await Promise.all(dying.map((app) => app.close()))
      await load.next(100, { from: 'three' })
      await load.next(100, { from: 'four' })
      const after = await load.stop()
      expect(after.failed, JSON.stringify(after.failures)).toBeLessThanOrEqual(underWay)
    },
  },
  {
    rows: ['F62', 'Y18'],
    name: 'a region behind a gateway of its own is reached by that alone, while the near one is gone, and no longer when it is back',
    needs: ['http', 'tcp', 'regions', 'retry', 'outliers'],
    async run(bed) {
      const near = await bed.app('near')
      const far = await bed.app('far')
      const eastToWest = `kind: Gateway
name: west
nodes: {cluster: west}
listeners: [{name: cart, address: 127.0.0.1, port: \${west}, protocol: tcp, service: cart-far}]
---
kind: Service
name: cart-far
protocol: tcp
endpoints: {address: 127.0.0.1, port: \${far}}
`
      const cart = placed(
        { near: 'eu', west: 'us' },
        'outlierDetection: {interval: 500ms, ejectionTime: 500ms, maxEjected: 100%}\n',
      )
      await bed.write({ cart, eastToWest, ...gateways('edge') })
      const [edge, west] = await Promise.all([
        bed.proxy('edge', { locality: { region: 'eu' } }),
        bed.proxy('west', { locality: { region: 'us' } }),
      ])
      await west.port('west/cart')
      const port = await edge.port('edge/http')
      expect(await bed.send(port, 50)).toEqual({ near: 50 })
      expect(far.connections).toBe(0)
      await near.close()
      await eventually(async () => expect(await bed.send(port, 50)).toEqual({ far: 50 }), { timeoutMs: 15_000 })
      expect(far.connections).toBeGreaterThan(0)
      // Every connection that the far app has came from its own gateway.
      expect(await west.count({ connectionsTo: 'cart-far' })).toBe(far.connections)
      await bed.app('near', undefined, { port: near.port })
      await eventually(async () => expect(await bed.send(port, 50)).toEqual({ near: 50 }), { timeoutMs: 15_000 })
    },
  },
  {
    rows: ['F7', 'F62'],
    name: 'other regions stand in in the order that is given, and those that are left out behind them',
    needs: ['http', 'regions'],
    async run(bed) {
      for (const app of ['eu', 'us', 'asia']) await bed.app(app)
      const withIll = (ill: readonly string[]): string => {
        const apps = ['asia', 'eu', 'us'].map((one) => [one, ill.includes(one) ? `${one}, health: unhealthy` : one])
        return placed(Object.fromEntries(apps) as Record<string, string>, `loadBalancing: {failover: [us]}\n${calm}`)
      }
      await bed.write({ cart: withIll([]), ...gateways('edge') })
      const port = await (await bed.proxy('edge', { locality: { region: 'eu' } })).port('edge/http')
      expect(await bed.send(port, 50)).toEqual({ eu: 50 })
      await bed.write({ cart: withIll(['eu']) })
      await eventually(async () => expect(await bed.send(port, 50)).toEqual({ us: 50 }), { timeoutMs: 20_000 })
      await bed.write({ cart: withIll(['eu', 'us']) })
      await eventually(async () => expect(await bed.send(port, 50)).toEqual({ asia: 50 }), { timeoutMs: 20_000 })
      await bed.write({ cart: withIll([]) })
      await eventually(async () => expect(await bed.send(port, 50)).toEqual({ eu: 50 }), { timeoutMs: 20_000 })
    },
  },
  {
    rows: ['F7', 'F62'],
    name: 'of a region that is half down, what the rest of it cannot carry goes elsewhere',
    needs: ['http', 'regions'],
    async run(bed) {
      for (const app of ['one', 'two', 'three', 'four', 'far']) await bed.app(app)
      const ill = 'eu, health: unhealthy'
      const cart = placed({ one: 'eu', two: 'eu', three: ill, four: ill, far: 'us' }, calm)
      await bed.write({ cart, ...gateways('edge') })
      const port = await (await bed.proxy('edge', { locality: { region: 'eu' } })).port('edge/http')
      const { one = 0, two = 0, far = 0, ...others } = await bed.send(port, 2_000)
      expect(others).toEqual({})
      // Half of it is there, and each takes 1.4 of its share: 70%. Five standard deviations are 100.
      expect(Math.abs(one + two - 1_400)).toBeLessThan(100)
      expect(one + two + far).toBe(2_000)
    },
  },
  {
    rows: ['F7'],
    name: 'a proxy that knows its peers prefers its own zone, and sends elsewhere what that zone has not enough for',
    needs: ['http', 'zones'],
    // Its peers come by no cluster that it was sent: over both protocols.
    isAboutSources: true,
    async run(bed) {
      for (const app of ['a1', 'a2', 'b1', 'b2', 'b3']) await bed.app(app)
      const peers = 'kind: Service\nname: edge\nendpoints:\n'
      const edge = `${peers}- {address: 10.0.0.1, port: 80, zone: a}\n- {address: 10.0.0.2, port: 80, zone: b}\n`
      const even = placed({ a1: '/a', a2: '/a', b1: '/b', b2: '/b' }, calm)
      await bed.write({ cart: even, peers: edge, ...gateways('edge') })
      const proxy = await bed.proxy('edge', { locality: { zone: 'a' }, service: 'edge' })
      const port = await proxy.port('edge/http')
      const byZone = async (count: number): Promise<readonly number[]> => {
        const { a1 = 0, a2 = 0, b1 = 0, b2 = 0, b3 = 0 } = await bed.send(port, count)
        return [a1 + a2, b1 + b2 + b3]
      }
      await eventually(async () => expect(await byZone(200)).toEqual([200, 0]), { timeoutMs: 20_000 })
      // A quarter of the endpoints is here, and half of those who call: half of what they call stays.
      await bed.write({ cart: placed({ a1: '/a', b1: '/b', b2: '/b', b3: '/b' }, calm) })
      await eventually(
        async () => {
          const [near = 0, far = 0] = await byZone(1_000)
          expect(near + far).toBe(1_000)
          // Five standard deviations are 79.
          expect(Math.abs(near - 500)).toBeLessThan(79)
        },
        { timeoutMs: 20_000 },
      )
      // Without peers there is nothing to compare: its zone has its share, and no more.
      await bed.write({ peers: 'kind: Service\nname: edge\nendpoints: []\n' })
      await eventually(
        async () => {
          const [near = 0, far = 0] = await byZone(1_000)
          expect(near + far).toBe(1_000)
          // Five standard deviations are 68.
          expect(Math.abs(near - 250)).toBeLessThan(69)
        },
        { timeoutMs: 20_000 },
      )
    },
  },
  {
    rows: ['F7'],
    name: 'a proxy in front of a Service that nobody has heard of serves all the same',
    needs: ['http', 'zones'],
    async run(bed) {
      await bed.app('a')
      await bed.app('b')
      await bed.write({ cart: placed({ a: '/a', b: '/b' }, calm), ...gateways('edge') })
      const proxy = await bed.proxy('edge', { locality: { zone: 'a' }, service: 'nobody' })
      expect(Object.keys(await bed.send(await proxy.port('edge/http'), 100)).sort()).toEqual(['a', 'b'])
    },
  },
  {
    rows: ['F7', 'F18'],
    name: "a zone's death costs no more than the requests that were under way",
    isLong: true,
    needs: ['http', 'zones', 'retry', 'outliers'],
    async run(bed) {
      const dying = await bed.app('one', slowly)
      await bed.app('two', slowly)
      const edge = 'kind: Service\nname: edge\nendpoints:\n- {address: 10.0.0.1, port: 80, zone: a}\n'
      const peers = `${edge}- {address: 10.0.0.2, port: 80, zone: b}\n`
      await bed.write({ cart: placed({ one: '/a', two: '/b' }), peers, ...gateways('edge') })
      const proxy = await bed.proxy('edge', { locality: { zone: 'a' }, service: 'edge' })
      const port = await proxy.port('edge/http')
      await eventually(async () => expect(await bed.send(port, 50)).toEqual({ one: 50 }), { timeoutMs: 20_000 })
      const load = bed.load({ port, rate: 100 })
      await load.next(100, { from: 'one' })
      const { sent, ok } = load.report()
      const underWay = sent - ok
      await dying.close()
      await load.next(200, { from: 'two' })
      const after = await load.stop()
      expect(after.failed, JSON.stringify(after.failures)).toBeLessThanOrEqual(underWay)
    },
  },
  {
    rows: ['F10'],
    name: 'a rule falls back while its backend is ill, and comes back to it',
    needs: ['http', 'fallback'],
    async run(bed) {
      let isIll = false
      await bed.app('one', () => ({ status: isIll ? 503 : 200 }))
      await bed.app('spare')
      const check = 'healthCheck: {http: /health, interval: 100ms, unhealthyAfter: 1, healthyAfter: 1}\n'
      const spare = 'kind: Service\nname: spare\nendpoints: {address: 127.0.0.1, port: ${spare}}\n'
      const shop = route('shop', '- {backends: cart, fallback: spare}')
      await bed.write({ cart: placed({ one: '' }, `${check}${calm}`), spare, edge: gateway, shop })
      const port = await (await bed.proxy('edge')).port('edge/http')
      await eventually(async () => expect(await bed.send(port, 50)).toEqual({ one: 50 }), { timeoutMs: 20_000 })
      isIll = true
      await eventually(async () => expect(await bed.send(port, 50)).toEqual({ spare: 50 }), { timeoutMs: 20_000 })
      isIll = false
      await eventually(async () => expect(await bed.send(port, 50)).toEqual({ one: 50 }), { timeoutMs: 20_000 })
    },
  },
  {
    rows: ['F18'],
    name: 'while one host of three is killed again and again, 99.9% of GETs are answered',
    isLong: true,
    needs: ['http', 'retry', 'outliers'],
    async run(bed) {
      const names = ['one', 'two', 'three']
      const apps = new Map<string, App>()
      for (const name of names) apps.set(name, await bed.app(name))
      const shop = route('shop', '- {backends: cart, retry: {attempts: 3, retryOn: [5xx, reset, connect-failure]}}')
      const ejection = 'outlierDetection: {ejectionTime: 1s, maxEjectionTime: 1s, interval: 1s}\n'
      await bed.write({ cart: placed({ one: '', two: '', three: '' }, ejection), edge: gateway, shop })
      const port = await (await bed.proxy('edge')).port('edge/http')
      const load = bed.load({ port, rate: 200 })
      const random = createRandom(seedsOf(1)[0] as number)
      const until = performance.now() + (process.env['FAIRLEAD_TEST_LONG'] === '1' ? 60_000 : 10_000)
      while (performance.now() < until) {
        const name = random.pick(names)
        const app = apps.get(name) as App
        await app.close()
        await load.next(200)
        apps.set(name, await bed.app(name, undefined, { port: app.port }))
        // The next one is not killed before this one is trusted again: one of three is down at a time.
        await load.next(20, { from: name })
      }
      const { sent, ok, failures } = await load.stop()
      expect(ok / sent, JSON.stringify(failures)).toBeGreaterThanOrEqual(0.999)
    },
  },
]

/** So that there are always some under way. */
function slowly(): { readonly delayMs: number } {
  return { delayMs: 50 }
}
