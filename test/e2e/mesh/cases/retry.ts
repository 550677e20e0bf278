import { expect } from 'vitest'
import type { MeshCase } from '../suite.ts'
import { gateway, route, service } from './shop-documents.ts'

/** Outliers would be ejected in the middle of what is counted. */
const calm = 'outlierDetection: off\n'

export const retryCases: readonly MeshCase[] = [
  {
    rows: ['F11', 'F12'],
    name: 'a POST that fails reaches the app exactly once, and a GET as often as the rule says',
    needs: ['http', 'retry'],
    async run(bed) {
      const app = await bed.app('one', () => ({ status: 503 }))
      const shop = route('shop', '- {backends: cart, retry: {attempts: 2, retryOn: [5xx]}}')
      await bed.write({ cart: service('cart', ['one'], calm), edge: gateway, shop })
      const proxy = await bed.proxy('edge')
      const port = await proxy.port('edge/http')
      expect((await bed.ask(port, { method: 'POST', path: '/pay', body: Buffer.from('1') })).status).toBe(503)
      expect(app.requests.filter(({ method }) => method === 'POST')).toHaveLength(1)
      // What a client writes into headers of the proxy's own changes nothing of that.
      const headers = { 'x-envoy-retry-on': '5xx', 'x-envoy-max-retries': '5' }
      await bed.ask(port, { method: 'POST', path: '/pay', headers, body: Buffer.from('1') })
      expect(app.requests.filter(({ method }) => method === 'POST')).toHaveLength(2)
      expect((await bed.ask(port)).status).toBe(503)
      expect(app.requests.filter(({ method }) => method === 'GET')).toHaveLength(3)
      expect(await proxy.count({ retriesTo: 'cart' })).toBe(2)
    },
  },
  {
    rows: ['F11'],
    name: 'what is tried again goes to another endpoint',
    needs: ['http', 'retry'],
    async run(bed) {
      const bad = await bed.app('bad', () => ({ status: 503 }))
      await bed.app('good')
      const shop = route('shop', '- {backends: cart, retry: {attempts: 3, retryOn: [5xx]}}')
      await bed.write({ cart: service('cart', ['bad', 'good'], calm), edge: gateway, shop })
      const proxy = await bed.proxy('edge')
      expect(await bed.send(await proxy.port('edge/http'), 100, {}, 1)).toEqual({ good: 100 })
      // Half of all begin there; of their retries next to none come back, for the choice is made anew up to six times.
      expect(bad.requests.length).toBeGreaterThan(10)
      expect(bad.requests.length).toBeLessThan(80)
    },
  },
  {
    rows: ['F13'],
    name: 'a request that takes longer than its timeout is answered with 504, then and not later',
    needs: ['http'],
    async run(bed) {
      await bed.app('one', () => ({ delayMs: 3_000 }))
      const shop = route('shop', '- {backends: cart, timeout: 300ms, retry: {attempts: 0}}')
      await bed.write({ cart: service('cart', ['one'], calm), edge: gateway, shop })
      const proxy = await bed.proxy('edge')
      const port = await proxy.port('edge/http')
      const began = performance.now()
      expect((await bed.ask(port)).status).toBe(504)
      const tookMs = performance.now() - began
      expect(tookMs).toBeGreaterThan(290)
      // 50 ms on a quiet machine; the tests beside this one are not quiet.
      expect(tookMs).toBeLessThan(1_000)
    },
  },
]
