import { expect } from 'vitest'
import { eventually } from '../../../support/poll.ts'
import type { MeshCase } from '../suite.ts'
import { openShop } from './open-shop.ts'
import { route, service } from './shop-documents.ts'

const isLong = process.env['FAIRLEAD_TEST_LONG'] === '1'
const pushes = isLong ? 1_000 : 50

export const convergenceCases: readonly MeshCase[] = [
  {
    rows: ['F3', 'Y40'],
    name: 'proxies go on serving without the control plane, and take up what changed when it is back',
    needs: ['http'],
    isAboutSources: true,
    async run(bed) {
      await bed.app('two')
      const { proxy, port } = await openShop(bed, { apps: ['one'] })
      const load = bed.load({ port })
      await load.next(50, { from: 'one' })
      const changed = [await proxy.count('clusters changed'), await proxy.count('listeners changed')]
      await bed.withoutServer(async () => {
        await bed.write({ cart: service('cart', ['two']) })
        await load.next(isLong ? 12_000 : 200, { from: 'one', timeoutMs: 90_000 })
      })
      await load.next(50, { from: 'two', timeoutMs: 40_000 })
      expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
      expect([await proxy.count('clusters changed'), await proxy.count('listeners changed')]).toEqual(changed)
      expect(await proxy.count('rejections')).toBe(0)
    },
  },
  {
    rows: ['F58'],
    name: 'a route to a Service that comes with it never leads to nothing',
    needs: ['http'],
    isAboutSources: true,
    async run(bed) {
      const { port } = await openShop(bed, { apps: ['one'] })
      const load = bed.load({ port })
      await load.next(20)
      for (let round = 0; round < 5; round++) {
        const name = `pay-${round}`
        await bed.app(name)
        await bed.write({
          [name]: service(name, [name]),
          shop: route('shop', `- {match: {path: {prefix: /pay}}, backends: ${name}}\n- {backends: cart}`),
        })
        const apps: (string | undefined)[] = []
        while (apps.at(-1) !== name && apps.length < 10_000) {
          const { status, app } = await bed.ask(port, { path: '/pay' })
          expect([round, status]).toEqual([round, 200])
          apps.push(app)
        }
        // Until the new route is there, it is the old one that answers.
        expect(new Set(apps.slice(0, -1)).size).toBeLessThanOrEqual(1)
        await bed.write({ [`pay-${round - 1}`]: undefined })
      }
      expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
    },
  },
  {
    rows: ['Y5'],
    name: 'a proxy with nothing but a bootstrap goes by every resource at its version, also after a change',
    needs: ['http'],
    // Which come over delta: over SotW a proxy goes by versions of whole sets.
    source: 'files',
    async run(bed) {
      const each = '{service: cart, version: one, weight: 1}, {service: cart, version: two, weight: 1}'
      const rules = `- {match: {path: /each}, backends: [${each}]}\n- {backends: cart}`
      const { proxy, port } = await openShop(bed, { apps: ['one', 'two'], rules })
      const isUpToDate = async (): Promise<void> => expect(await proxy.versions()).toEqual(await bed.served('edge'))
      const before = await bed.served('edge')
      expect(Object.keys(before).sort()).toEqual(
        ['cart', 'cart/one', 'cart/two']
          .map((name) => `cluster ${name}`)
          .concat('listener edge/http', 'route edge/http'),
      )
      await eventually(isUpToDate)
      await bed.write({ shop: route('shop', '- {backends: {service: cart, version: two}}') })
      await eventually(async () => expect(await bed.served('edge')).not.toEqual(before))
      await eventually(isUpToDate)
      expect(await bed.send(port, 20)).toEqual({ two: 20 })
      expect(await proxy.count('connected')).toBe(1)
      expect(await proxy.count('rejections')).toBe(0)
    },
  },
  {
    rows: ['F65'],
    name: `${pushes} changes one after the other lose no request, are all taken, and drain no listener`,
    needs: ['http', 'weights'],
    async run(bed) {
      const rules = (change: number): string =>
        `- {match: {path: /change-${change}}, backends: cart}\n` +
        `- backends: [{service: cart, version: one, weight: ${change + 1}}, {service: cart, version: two, weight: 1}]`
      const { proxy, port } = await openShop(bed, { apps: ['one', 'two'], rules: rules(0) })
      const load = bed.load({ port })
      await load.next(20)
      const changed = await proxy.count('listeners changed')
      for (let change = 1; change <= pushes; change++) {
        await bed.write({ shop: route('shop', rules(change)) })
        await load.next(2)
      }
      await load.next(100)
      expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
      expect(await proxy.count('listeners changed')).toBe(changed)
      expect(await proxy.count('rejections')).toBe(0)
      expect(await bed.problems()).toEqual([])
    },
  },
]
