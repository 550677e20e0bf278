import { expect } from 'vitest'
import type { MeshCase } from '../suite.ts'
import { openShop } from './open-shop.ts'
import { calm, loggingGateway } from './shop-documents.ts'

export const retryCases: readonly MeshCase[] = [
  {
    rows: ['F11', 'F12'],
    name: 'a POST that fails reaches the app exactly once, and a GET as often as the rule says',
    needs: ['http', 'retry'],
    async run(bed) {
      const { proxy, port, apps } = await openShop(bed, {
        apps: ['one'],
        answer: () => ({ status: 503 }),
        policy: calm,
        rules: '- {backends: cart, retry: {attempts: 2, retryOn: [5xx]}}',
      })
      const app = apps.one
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
      const { port, apps } = await openShop(bed, {
        apps: ['bad', 'good'],
        answer: (app) => ({ status: app === 'bad' ? 503 : 200 }),
        policy: calm,
        rules: '- {backends: cart, retry: {attempts: 3, retryOn: [5xx]}}',
      })
      expect(await bed.send(port, 100, {}, 1)).toEqual({ good: 100 })
      // Half of all begin there; of their retries next to none come back, for the choice is made anew up to six times.
      expect(apps.bad.requests.length).toBeGreaterThan(10)
      expect(apps.bad.requests.length).toBeLessThan(80)
    },
  },
  {
    rows: ['F11', 'F13'],
    name: 'a try that takes too long is given up, and the next one goes to another endpoint',
    needs: ['http', 'retry'],
    async run(bed) {
      const { proxy, port, apps } = await openShop(bed, {
        apps: ['slow', 'quick'],
        answer: (app) => ({ delayMs: app === 'slow' ? 3_000 : 0 }),
        policy: calm,
        rules: '- {backends: cart, retry: {attempts: 2, perTryTimeout: 200ms, retryOn: [gateway-error]}}',
      })
      const began = performance.now()
      expect(await bed.send(port, 20, {}, 4)).toEqual({ quick: 20 })
      expect(performance.now() - began).toBeLessThan(15_000)
      expect(apps.slow.requests.length).toBeGreaterThan(0)
      expect(await proxy.count({ retriesTo: 'cart' })).toBe(apps.slow.requests.length)
    },
  },
  {
    rows: ['F11'],
    name: 'no more tries are under way at a time than there may be, however many requests fail',
    needs: ['http', 'retry', 'limits'],
    async run(bed) {
      const { proxy, port, apps } = await openShop(bed, {
        apps: ['one'],
        answer: () => ({ status: 503, delayMs: 500 }),
        policy: 'circuitBreaker: {maxRetries: 1}\noutlierDetection: off\n',
        rules: '- {backends: cart, retry: {attempts: 1, retryOn: [5xx]}}',
      })
      expect(await bed.send(port, 10, {}, 10)).toEqual({ 503: 10 })
      const retries = await proxy.count({ retriesTo: 'cart' })
      // All fail in the same moment; a slow machine may make it two or three.
      expect(retries).toBeGreaterThan(0)
      expect(retries).toBeLessThan(5)
      expect(apps.one.requests.length).toBe(10 + retries)
    },
  },
  {
    rows: ['F13'],
    name: 'a request that takes longer than its timeout is answered with 504, then and not later',
    needs: ['http', 'access log'],
    async run(bed) {
      const { port } = await openShop(bed, {
        apps: ['one'],
        answer: () => ({ delayMs: 3_000 }),
        policy: calm,
        rules: '- {backends: cart, timeout: 300ms, retry: {attempts: 0}}',
        edge: loggingGateway,
      })
      const asked = await Promise.all(
        Array.from({ length: 5 }, async () => {
          const began = performance.now()
          const { status } = await bed.ask(port)
          return { status, tookMs: performance.now() - began }
        }),
      )
      for (const { status, tookMs } of asked) {
        expect(status).toBe(504)
        expect(tookMs).toBeGreaterThan(290)
        // The tests beside this one keep this process busy; what the proxy says of itself is sharper.
        expect(tookMs).toBeLessThan(1_000)
      }
      const lines = await bed.logged(asked.length)
      for (const { status, flags } of lines) expect({ status, flags }).toEqual({ status: 504, flags: 'UT' })
      const took = lines.map(({ tookMs }) => Number(tookMs)).sort((a, b) => a - b)
      expect(took[0]).toBeGreaterThan(250)
      // Of five the quickest: a machine that is busy for a moment makes no timeout late.
      expect(took[0]).toBeLessThan(350)
    },
  },
]
