import { expect } from 'vitest'
import type { MeshCase } from '../suite.ts'
import { gateway, route, service } from './shop-documents.ts'

const split = (blue: number, green: number, more = ''): string =>
  route(
    'shop',
    `- backends: [{service: cart, version: blue, weight: ${blue}}, {service: cart, version: green, weight: ${green}}]${more}`,
  )

export const releaseCases: readonly MeshCase[] = [
  {
    rows: ['F21'],
    name: 'a canary of 1% gets 1% ± 0.3 of 20,000 requests over kept-alive connections',
    needs: ['http', 'weights'],
    async run(bed) {
      await bed.app('blue')
      await bed.app('green')
      await bed.write({ cart: service('cart', ['blue', 'green']), edge: gateway, shop: split(99, 1) })
      const proxy = await bed.proxy('edge')
      const { blue = 0, green = 0 } = await bed.send(await proxy.port('edge/http'), 20_000)
      expect(blue + green).toBe(20_000)
      const percent = (green / 20_000) * 100
      expect(percent).toBeGreaterThan(0.7)
      expect(percent).toBeLessThan(1.3)
    },
  },
  {
    rows: ['F21', 'F22'],
    name: 'a release goes from 1% over 10% and 50% to all without losing a request',
    needs: ['http', 'weights'],
    async run(bed) {
      await bed.app('blue')
      await bed.app('green')
      await bed.write({ cart: service('cart', ['blue', 'green']), edge: gateway, shop: split(100, 0) })
      const proxy = await bed.proxy('edge')
      const port = await proxy.port('edge/http')
      const load = bed.load({ port, rate: 100 })
      await load.next(20, { from: 'blue' })
      for (const percent of [1, 10, 50, 100]) {
        await bed.write({ shop: split(100 - percent, percent) })
        // The weights are in force when a share of what is sent shows them: five standard deviations are allowed.
        const slack = 5 * Math.sqrt((percent * (100 - percent)) / 1000)
        await expect
          .poll(
            async () => {
              const { green = 0 } = await bed.send(port, 1000)
              return Math.abs(green / 10 - percent)
            },
            { timeout: 20_000 },
          )
          .toBeLessThanOrEqual(slack)
      }
      expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
    },
  },
  {
    rows: ['F23'],
    name: 'from blue to green is one step: after the first answer of green there is none of blue',
    needs: ['http', 'weights'],
    async run(bed) {
      await bed.app('blue')
      await bed.app('green')
      await bed.write({ cart: service('cart', ['blue', 'green']), edge: gateway, shop: split(1, 0) })
      const proxy = await bed.proxy('edge')
      const port = await proxy.port('edge/http')
      expect((await bed.ask(port)).app).toBe('blue')
      await bed.write({ shop: split(0, 1) })
      const apps: (string | undefined)[] = []
      const deadline = performance.now() + 20_000
      while (apps.filter((app) => app === 'green').length < 200 && performance.now() < deadline) {
        apps.push((await bed.ask(port)).app)
      }
      const first = apps.indexOf('green')
      expect(first).toBeGreaterThanOrEqual(0)
      expect(new Set(apps.slice(0, first))).toEqual(new Set(first === 0 ? [] : ['blue']))
      expect(new Set(apps.slice(first))).toEqual(new Set(['green']))
    },
  },
  {
    rows: ['F24'],
    name: 'a version that only a header leads to gets nothing else',
    needs: ['http'],
    async run(bed) {
      await bed.app('blue')
      const green = await bed.app('green')
      const rules = `
- {match: {headers: {x-group: beta}}, backends: {service: cart, version: green}}
- {backends: {service: cart, version: blue}}`
      await bed.write({ cart: service('cart', ['blue', 'green']), edge: gateway, shop: route('shop', rules) })
      const proxy = await bed.proxy('edge')
      const port = await proxy.port('edge/http')
      expect(await bed.send(port, 200)).toEqual({ blue: 200 })
      expect(await bed.send(port, 50, { headers: { 'x-group': 'beta' } })).toEqual({ green: 50 })
      expect(green.requests).toHaveLength(50)
    },
  },
  {
    rows: ['F25'],
    name: 'a user stays in one arm of a test, and users are in both',
    needs: ['http', 'sticky'],
    async run(bed) {
      await bed.app('blue')
      await bed.app('green')
      const shop = split(50, 50, '\n  hash: {header: x-user}')
      await bed.write({ cart: service('cart', ['blue', 'green']), edge: gateway, shop })
      const proxy = await bed.proxy('edge')
      const port = await proxy.port('edge/http')
      const arms: Record<string, number> = {}
      for (let user = 0; user < 60; user++) {
        const byApp = await bed.send(port, 5, { headers: { 'x-user': `user-${user}` } }, 1)
        expect(Object.keys(byApp)).toHaveLength(1)
        const [arm = ''] = Object.keys(byApp)
        arms[arm] = (arms[arm] ?? 0) + 1
      }
      expect(Object.keys(arms).sort()).toEqual(['blue', 'green'])
      expect(Math.min(...Object.values(arms))).toBeGreaterThan(10)
    },
  },
  {
    rows: ['F79'],
    name: 'a mirror gets a copy of each request, and its answers are thrown away',
    needs: ['http', 'mirror'],
    async run(bed) {
      const blue = await bed.app('blue')
      const green = await bed.app('green', () => ({ status: 500 }))
      const shop = route(
        'shop',
        '- {backends: {service: cart, version: blue}, mirror: {service: cart, version: green}}',
      )
      await bed.write({ cart: service('cart', ['blue', 'green']), edge: gateway, shop })
      const proxy = await bed.proxy('edge')
      expect(await bed.send(await proxy.port('edge/http'), 50)).toEqual({ blue: 50 })
      await expect.poll(() => green.requests.length).toBe(50)
      expect(blue.requests).toHaveLength(50)
    },
  },
]
