import { expect } from 'vitest'
import type { MeshCase } from '../suite.ts'
import { gateway, route, service } from './shop-documents.ts'

export const discoveryCases: readonly MeshCase[] = [
  {
    rows: ['F1', 'F2'],
    name: 'an endpoint that is added gets requests, one that is taken out gets none, and no request fails',
    needs: ['http'],
    isAboutSources: true,
    async run(bed) {
      const one = await bed.app('one')
      await bed.app('two')
      await bed.write({ cart: service('cart', ['one']), edge: gateway, shop: route('shop', '- {backends: cart}') })
      const proxy = await bed.proxy('edge')
      const load = bed.load({ port: await proxy.port('edge/http') })
      await load.next(50, { from: 'one' })
      await bed.write({ cart: service('cart', ['one', 'two']) })
      await load.next(50, { from: 'two' })
      await bed.write({ cart: service('cart', ['two']) })
      const reachOfOne = async (): Promise<number> => {
        const before = one.requests.length
        await load.next(40)
        return one.requests.length - before
      }
      await expect.poll(reachOfOne, { timeout: 20_000 }).toBe(0)
      expect(await reachOfOne()).toBe(0)
      expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
      expect(await proxy.count('rejections')).toBe(0)
    },
  },
  {
    rows: ['Y40'],
    name: 'ten changes of endpoints under load lose no request and make no cluster anew',
    needs: ['http'],
    async run(bed) {
      await bed.app('one')
      await bed.app('two')
      await bed.write({ cart: service('cart', ['one']), edge: gateway, shop: route('shop', '- {backends: cart}') })
      const proxy = await bed.proxy('edge')
      const load = bed.load({ port: await proxy.port('edge/http') })
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
      await bed.write({ cart: 'kind: Service\nname: cart\n', edge: gateway, shop: route('shop', '- {backends: cart}') })
      const proxy = await bed.proxy('edge')
      const port = await proxy.port('edge/http')
      await bed.waitForProblems(['no-endpoints'])
      expect(await bed.ask(port)).toMatchObject({ status: 503, app: undefined })
      const load = bed.load({ port, rate: 50 })
      await bed.write({ cart: service('cart', ['one']) })
      await load.next(20, { from: 'one' })
      await bed.waitForProblems([])
    },
  },
]
