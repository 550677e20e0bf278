import { expect } from 'vitest'
import { eventually } from '../../../support/poll.ts'
import type { MeshCase } from '../suite.ts'
import { openEdge, openShop } from './open-shop.ts'
import { route, routeByPath, service } from './shop-documents.ts'

export const discoveryCases: readonly MeshCase[] = [
  {
    rows: ['F1', 'F2', 'Y40'],
    name: 'an endpoint that is added gets requests, one that is taken out gets none, and no request fails',
    needs: ['http'],
    isAboutSources: true,
    async run(bed) {
      await bed.app('two')
      const { proxy, port, apps } = await openShop(bed, { apps: ['one'] })
      const load = bed.load({ port })
      await load.next(50, { from: 'one' })
      await bed.write({ cart: service('cart', ['one', 'two']) })
      await load.next(50, { from: 'two' })
      await bed.write({ cart: service('cart', ['two']) })
      const reachOfOne = async (): Promise<number> => {
        const before = apps.one.requests.length
        await load.next(40)
        return apps.one.requests.length - before
      }
      await eventually(async () => (await reachOfOne()) === 0, { timeoutMs: 20_000 })
      expect(await reachOfOne()).toBe(0)
      expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
      expect(await proxy.count('rejections')).toBe(0)
    },
  },
  {
    rows: ['F2'],
    name: 'ten changes of endpoints under load lose no request and make no cluster anew',
    isLong: true,
    needs: ['http'],
    async run(bed) {
      await bed.app('two')
      const { proxy, port } = await openShop(bed, { apps: ['one'] })
      const load = bed.load({ port })
      await load.next(20, { from: 'one' })
      // `versions` stay as they are, so that only endpoints change.
      const only = (app: string): string =>
        service('cart', ['one', 'two']).replace(
          new RegExp(`^- .*version: ${app === 'one' ? 'two' : 'one'}}}\\n`, 'm'),
          '',
        )
      await bed.write({ cart: only('one') })
      await load.next(20, { from: 'one' })
      const changed = await proxy.count('clusters changed')
      for (let change = 0; change < 10; change++) {
        const app = change % 2 === 0 ? 'two' : 'one'
        await bed.write({ cart: only(app) })
        await load.next(20, { from: app })
      }
      expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
      expect((await proxy.count('clusters changed')) - changed).toBe(0)
    },
  },
  {
    rows: ['F1'],
    name: 'a Service without endpoints answers 503, and its requests go through when it has some',
    needs: ['http'],
    async run(bed) {
      await bed.app('one')
      const { port } = await openEdge(bed, {
        cart: 'kind: Service\nname: cart\n',
        shop: route('shop', '- {backends: cart}'),
      })
      await bed.waitForProblems(['no-endpoints'])
      expect(await bed.ask(port)).toMatchObject({ status: 503, app: undefined })
      const load = bed.load({ port, rate: 50 })
      await bed.write({ cart: service('cart', ['one']) })
      await load.next(20, { from: 'one' })
      await bed.waitForProblems([])
    },
  },
  {
    rows: ['F1'],
    name: 'an instance that registers gets requests, and is gone within its lease when it vanishes',
    needs: ['http'],
    source: 'etcd',
    async run(bed) {
      await bed.app('one')
      const two = await bed.app('two')
      const cart = 'kind: Service\nname: cart\nregistry: {}\nendpoints: {address: 127.0.0.1, port: ${one}}\n'
      const { proxy, port } = await openEdge(bed, { cart, shop: route('shop', '- {backends: cart}') })
      const load = bed.load({ port })
      await load.next(20, { from: 'one' })
      const leaseS = 2
      const instance = await bed.register('cart', two, leaseS)
      await load.next(20, { from: 'two' })
      const vanishedAt = performance.now()
      instance.vanish()
      await eventually(async () => (await proxy.count({ healthyOf: 'cart' })) === 1, { timeoutMs: 10_000 })
      // Renewed at most a third of it before; etcd looks for leases that are over twice a second; and the debounce.
      expect(performance.now() - vanishedAt).toBeLessThan(leaseS * 1_000 + 1_500)
      // What was under way when it left may still come.
      await load.next(20)
      const before = two.requests.length
      await load.next(20)
      expect(two.requests).toHaveLength(before)
      expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
    },
  },
  {
    rows: ['F2', 'Y17'],
    name: 'a Service that is a name follows what the name leads to',
    needs: ['http', 'dns'],
    async run(bed) {
      const one = await bed.app('one')
      await bed.app('two', undefined, { host: '127.0.0.2', port: one.port })
      const names = await bed.names()
      names.set('cart.test', '127.0.0.1')
      const { proxy, port } = await openEdge(bed, {
        strict: 'kind: Service\nname: strict\ndns: {hostname: cart.test, port: ${one}}\n',
        logical: 'kind: Service\nname: logical\ndns: {hostname: cart.test, port: ${one}, mode: logical}\n',
        // It is looked up every 5 s otherwise.
        soon: 'kind: Patch\nname: soon\ntarget: {type: cluster, name: strict}\nmerge: {dns_refresh_rate: 0.2s}\n',
        shop: routeByPath('strict', 'logical'),
      })
      const load = bed.load({ port, path: '/strict' })
      await load.next(20, { from: 'one' })
      expect((await bed.ask(port, { path: '/logical' })).app).toBe('one')
      names.set('cart.test', '127.0.0.1', '127.0.0.2')
      await load.next(20, { from: 'two' })
      names.set('cart.test', '127.0.0.2')
      await eventually(async () => (await proxy.count({ healthyOf: 'strict' })) === 1)
      // What was under way when it left may still come.
      await load.next(20, { from: 'two' })
      const before = one.requests.length
      await load.next(20, { from: 'two' })
      expect(one.requests).toHaveLength(before)
      expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
    },
  },
  {
    rows: ['F61', 'Y16'],
    name: 'endpoints of two platforms share requests, a header chooses one, and one that moves loses none',
    needs: ['http'],
    async run(bed) {
      for (const app of ['one', 'two', 'moving']) await bed.app(app)
      const endpoint = (app: string, platform: string): string =>
        `- {address: 127.0.0.1, port: \${${app}}, labels: {platform: ${platform}}}\n`
      const cart = (platform: string): string =>
        `kind: Service\nname: cart\nendpoints:\n${endpoint('one', 'vm')}${endpoint('two', 'container')}` +
        `${endpoint('moving', platform)}versions: {vm: {platform: vm}, container: {platform: container}}\n`
      const rules = ['vm', 'container']
        .map((name) => `- {match: {headers: {x-platform: ${name}}}, backends: {service: cart, version: ${name}}}\n`)
        .join('')
      const { port } = await openEdge(bed, {
        cart: cart('vm'),
        shop: route('shop', `${rules}- {backends: cart}`),
      })
      const reached = async (platform?: string): Promise<readonly string[]> => {
        const headers = platform === undefined ? {} : { 'x-platform': platform }
        return Object.keys(await bed.send(port, 60, { headers })).sort()
      }
      expect(await reached()).toEqual(['moving', 'one', 'two'])
      expect([await reached('vm'), await reached('container')]).toEqual([['moving', 'one'], ['two']])
      const load = bed.load({ port })
      await load.next(20)
      await bed.write({ cart: cart('container') })
      await eventually(async () => expect(await reached('container')).toEqual(['moving', 'two']))
      await eventually(async () => expect(await reached('vm')).toEqual(['one']))
      expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
    },
  },
]
