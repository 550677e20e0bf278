import { expect } from 'vitest'
import { eventually } from '../../../support/poll.ts'
import type { MeshCase } from '../suite.ts'
import { openEdge } from './open-shop.ts'
import { calm, routeByPath } from './shop-documents.ts'

/** A Service whose endpoints are these apps: `a`, or `a, weight: 3` for one of whom more is said. */
function balanced(name: string, apps: readonly string[], more = ''): string {
  const endpoints = apps.map((app) => app.replace(/^\w+/, (own) => `- {address: 127.0.0.1, port: \${${own}}`))
  return `kind: Service\nname: ${name}\nendpoints:\n${endpoints.map((line) => `${line}}\n`).join('')}${calm}${more}`
}

const inTurns = (more = ''): string => `loadBalancing: {policy: round-robin${more}}\n`

/** Of the whole, in percent. */
function percentOf(byApp: Readonly<Record<string, number>>, app: string): number {
  const all = Object.values(byApp).reduce((sum, count) => sum + count, 0)
  return ((byApp[app] ?? 0) / all) * 100
}

export const balancingCases: readonly MeshCase[] = [
  {
    rows: ['F4'],
    name: 'endpoints share requests equally, by weight, by zone or by priority, as the policy says',
    needs: ['http', 'balancing'],
    async run(bed) {
      const apps = ['a', 'b', 'c']
      for (const app of apps) await bed.app(app)
      const equal: Readonly<Record<string, string>> = {
        least: '',
        turns: inTurns(),
        random: 'loadBalancing: {policy: random}\n',
        orca: 'loadBalancing: {policy: orca}\n',
      }
      const sick = ['a', ...['b', 'c'].map((app) => `${app}, health: unhealthy`)]
      const others: Readonly<Record<string, string>> = {
        weighted: balanced('weighted', ['a, weight: 3', 'b', 'c, weight: 0'], inTurns()),
        zones: balanced(
          'zones',
          ['a, zone: x', 'b, zone: y', 'c, zone: y'],
          'loadBalancing: {localityWeights: {x: 3, y: 1}}\n',
        ),
        spare: balanced('spare', ['a, priority: 7', 'b', 'c, priority: 7']),
        panic: balanced('panic', sick, inTurns(', panic: 50%')),
        firm: balanced('firm', sick, inTurns(', panic: 0')),
        slow: balanced('slow', ['a'], inTurns(', slowStart: 2s')),
      }
      const { proxy, port } = await openEdge(bed, {
        ...Object.fromEntries(Object.entries(equal).map(([name, policy]) => [name, balanced(name, apps, policy)])),
        ...others,
        shop: routeByPath(...Object.keys(equal), ...Object.keys(others)),
      })
      const share = (name: string, requests: number) => bed.send(port, requests, { path: `/${name}` })
      await share('slow', 1)
      const knownSince = performance.now()
      for (const name of Object.keys(equal)) {
        const found = await share(name, 300)
        expect(Object.keys(found).sort(), name).toEqual(apps)
        // 100 each; four standard deviations of a fair choice are 33.
        for (const count of Object.values(found)) expect(Math.abs(count - 100), name).toBeLessThan(35)
      }
      const weighted = await share('weighted', 200)
      expect(weighted['c']).toBeUndefined()
      expect(Math.abs((weighted['a'] ?? 0) - 150)).toBeLessThan(20)
      const zones = await share('zones', 400)
      expect(Math.abs((zones['a'] ?? 0) - 300)).toBeLessThan(40)
      expect(await share('spare', 50)).toEqual({ b: 50 })
      // A third is healthy.
      expect(Object.keys(await share('panic', 60)).sort()).toEqual(apps)
      expect(await share('firm', 60)).toEqual({ a: 60 })

      // Its only endpoint is no newcomer any more when another one joins it.
      await eventually(() => performance.now() - knownSince > 2_200)
      await bed.write({ slow: balanced('slow', ['a', 'b'], inTurns(', slowStart: 2s')) })
      const first = await eventually(async () => {
        const found = await share('slow', 40)
        expect(found).toHaveProperty('b')
        return found
      })
      expect(percentOf(first, 'b')).toBeLessThan(35)
      await eventually(async () => Math.abs(percentOf(await share('slow', 40), 'b') - 50) < 6)
      expect(await proxy.count('rejections')).toBe(0)
    },
  },
  {
    rows: ['F4'],
    name: 'equal requests go to one endpoint, by what is hashed of them',
    needs: ['http', 'balancing'],
    async run(bed) {
      const apps = ['a', 'b', 'c']
      for (const app of apps) await bed.app(app)
      const byHeader = 'hash: {header: x-user}'
      const { port } = await openEdge(bed, {
        ring: balanced('ring', apps, `loadBalancing: {policy: ring-hash, ${byHeader}}\n`),
        maglev: balanced('maglev', apps, `loadBalancing: {${byHeader}}\n`),
        shop: routeByPath('ring', 'maglev'),
      })
      for (const name of ['ring', 'maglev']) {
        const seen = new Set<string>()
        for (let user = 0; user < 30; user++) {
          const headers = { 'x-user': `user-${user}` }
          const found = await bed.send(port, 3, { path: `/${name}`, headers }, 1)
          expect(Object.keys(found), name).toHaveLength(1)
          seen.add(Object.keys(found).join())
        }
        expect([...seen].sort(), name).toEqual(apps)
      }
    },
  },
  {
    rows: ['F5'],
    name: 'a slow endpoint gets clearly less than its turn where nothing is said',
    needs: ['http', 'balancing'],
    async run(bed) {
      await bed.app('fast')
      await bed.app('slow', () => ({ delayMs: 100 }))
      const { port } = await openEdge(bed, {
        turns: balanced('turns', ['fast', 'slow'], inTurns()),
        least: balanced('least', ['fast', 'slow']),
        shop: routeByPath('turns', 'least'),
      })
      const turns = await bed.send(port, 100, { path: '/turns' })
      expect(Math.abs(percentOf(turns, 'slow') - 50)).toBeLessThan(5)
      const least = await bed.send(port, 300, { path: '/least' }, 20)
      expect(least['slow']).toBeGreaterThan(0)
      expect(least['fast']).toBeGreaterThan(2 * (least['slow'] ?? 0))
    },
  },
  {
    rows: ['F75'],
    name: 'connections to an endpoint are as many as may be, and are used as often as may be',
    needs: ['http', 'limits'],
    async run(bed) {
      const few = await bed.app('few', () => ({ delayMs: 20 }))
      const short = await bed.app('short')
      const { proxy, port } = await openEdge(bed, {
        few: balanced('few', ['few'], 'circuitBreaker: {maxConnections: 2}\n'),
        short: balanced('short', ['short'], 'connectionPool: {maxRequestsPerConnection: 5}\n'),
        shop: routeByPath('few', 'short'),
      })
      expect(await bed.send(port, 100, { path: '/few' }, 20)).toEqual({ few: 100 })
      expect(few.mostConnections).toBe(2)
      expect(await proxy.count({ connectionsTo: 'few' })).toBe(2)
      expect(await bed.send(port, 20, { path: '/short' }, 1)).toEqual({ short: 20 })
      expect(short.connections).toBe(4)
    },
  },
]
