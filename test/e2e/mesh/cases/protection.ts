import { expect } from 'vitest'
import { eventually } from '../../../support/poll.ts'
import type { MeshCase } from '../suite.ts'
import { openEdge, openShop } from './open-shop.ts'
import { loggingGateway, routeByPath, service } from './shop-documents.ts'

export const protectionCases: readonly MeshCase[] = [
  {
    rows: ['F8'],
    name: 'what is more than a Service may have under way is refused, and what comes later is answered',
    needs: ['http', 'limits', 'access log'],
    async run(bed) {
      const { proxy, port } = await openShop(bed, {
        apps: ['slow'],
        answer: () => ({ delayMs: 300 }),
        policy: 'circuitBreaker: {maxConnections: 1, maxPendingRequests: 1}\n',
        edge: loggingGateway,
      })
      const answers = await Promise.all(Array.from({ length: 6 }, () => bed.ask(port)))
      const refused = answers.filter(({ status }) => status === 503)
      // The one that is under way, and the one that waits: unless it came while the first one waited for its connection.
      const answered = answers.filter(({ status }) => status === 200).length
      expect([1, 2]).toContain(answered)
      expect(refused).toHaveLength(6 - answered)
      for (const { headers } of refused) expect(headers['x-envoy-overloaded']).toBe('true')
      expect(await proxy.count({ refusedTo: 'cart' })).toBe(refused.length)
      const flags = (await bed.logged(6)).map((line) => line['flags'])
      expect(flags.filter((flag) => flag === 'UO')).toHaveLength(refused.length)
      // Both were needed: a request at a time is answered.
      expect(await bed.send(port, 2, {}, 1)).toEqual({ slow: 2 })
    },
  },
  {
    rows: ['F9'],
    name: 'an endpoint that fails requests gets none for a while, and no more of them than may be out are',
    needs: ['http', 'outliers'],
    async run(bed) {
      const failing = new Set<string>()
      const apps = ['a', 'b', 'c', 'd']
      for (const app of apps) await bed.app(app, () => ({ status: failing.has(app) ? 503 : 200 }))
      const detection = 'consecutive5xx: 3, interval: 100ms'
      const turns = 'loadBalancing: {policy: round-robin}\n'
      const { proxy, port } = await openEdge(bed, {
        pair: service('pair', ['a', 'b'], `${turns}outlierDetection: {${detection}, ejectionTime: 2s}\n`),
        most: service('most', apps, `${turns}outlierDetection: {${detection}, maxEjected: 50%}\n`),
        shop: routeByPath('pair', 'most'),
      })
      failing.add('b')
      const ejected = (name: string): Promise<number> => proxy.count({ ejectedOf: name })
      const send = (name: string, requests: number) => bed.send(port, requests, { path: `/${name}` }, 1)
      await eventually(async () => {
        await send('pair', 10)
        return (await ejected('pair')) === 1
      })
      failing.clear()
      await eventually(async () => expect(await send('pair', 10)).toEqual({ a: 10 }), { timeoutMs: 1_500 })
      await eventually(async () => Object.keys(await send('pair', 4)).length === 2)
      expect(await ejected('pair')).toBe(0)

      for (const app of ['b', 'c', 'd']) failing.add(app)
      await eventually(async () => {
        await send('most', 12)
        return (await ejected('most')) === 2
      })
      // The third that fails goes on getting its turns.
      await eventually(async () => expect(await send('most', 20)).toEqual({ a: 10, 503: 10 }))
      expect(await ejected('most')).toBe(2)
    },
  },
  {
    rows: ['F78'],
    name: 'one in ten requests is answered with the error that is to be made, and each waits as long as it is to',
    needs: ['http', 'faults', 'access log'],
    async run(bed) {
      const rules = `
- {match: {path: /abort}, backends: cart, fault: {abort: {status: 418, percent: 10}}}
- {match: {path: /delay}, backends: cart, fault: {delay: {duration: 200ms, percent: 100}}}`
      const { port } = await openShop(bed, { apps: ['one'], rules, edge: loggingGateway })
      expect(await bed.send(port, 5, { path: '/delay' }, 5)).toEqual({ one: 5 })
      const took = (await bed.logged(5)).map(({ tookMs }) => Number(tookMs)).sort((a, b) => a - b)
      expect(took[0]).toBeGreaterThan(150)
      expect(took[0]).toBeLessThan(250)
      const { one = 0, 418: aborted = 0 } = await bed.send(port, 3_000, { path: '/abort' })
      expect(one + aborted).toBe(3_000)
      // Four standard deviations.
      expect(Math.abs(aborted / 30 - 10)).toBeLessThan(2.2)
    },
  },
]
