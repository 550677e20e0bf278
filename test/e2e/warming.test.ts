import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { describe, expect, test } from 'vitest'
import { atTestEnd } from '../support/at-test-end.ts'
import { startBackend } from '../support/backend.ts'
import { cluster, endpoints, listener, rds, routeConfiguration, routesTo } from '../support/documents.ts'
import { backendOf, get, startEdge } from '../support/edge.ts'
import { startLoad } from '../support/load.ts'
import { describeEachPlane } from '../support/planes.ts'
import { eventually } from '../support/poll.ts'

/** Far below the 15 s after which Envoy goes on by itself. */
const soonMs = 1_000

/** Takes connections and never says a word: a cluster that checks its health never gets warm. */
async function startSilentServer(): Promise<{ host: string; port: number }> {
  const server = createServer((socket) => socket.on('error', () => socket.destroy()))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  atTestEnd(() => void server.close())
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port }
}

describeEachPlane('', (start) => {
  describe.each(['sotw', 'delta'] as const)('over %s', (protocol) => {
    test('is LIVE at once where there is nothing for it (rule 34)', async () => {
      const { envoy } = await startEdge({ start, protocol, documents: {}, liveMs: soonMs })
      expect(await envoy.stat('cluster_manager.cds.update_success')).toBe(1)
      expect(await envoy.stat('listener_manager.lds.update_success')).toBe(1)
    })

    test('takes clusters without endpoints, with and without an assignment, in less than a second (rule 24)', async () => {
      const shop = {
        ...listener('http', { routes: rds('routes') }),
        ...routeConfiguration('routes', routesTo('empty')),
      }
      const { envoy, store } = await startEdge({
        start,
        protocol,
        documents: { ...shop, ...cluster('empty'), ...endpoints('empty') },
      })
      const port = await envoy.listenerPort('http', soonMs)
      expect(await get(port)).toMatchObject({ status: 503, body: 'no healthy upstream' })

      await store.write({ ...cluster('no-assignment'), ...routeConfiguration('routes', routesTo('no-assignment')) })
      await envoy.waitForStat('cluster_manager.active_clusters', (count) => count === 3, soonMs)
      await envoy.waitForStat('cluster_manager.warming_clusters', (count) => count === 0, soonMs)
      await envoy.waitForStat('http.http.rds.routes.update_success', (count) => count === 2, soonMs)

      await store.write(endpoints('no-assignment', await startBackend({ name: 'late' })))
      await eventually(async () => (await backendOf(port)) === 'late', { timeoutMs: 2 * soonMs })
    })

    test('is not held up by a cluster that never gets warm (rule 71)', async () => {
      const [one, two] = [await startBackend({ name: 'one' }), await startBackend({ name: 'two' })]
      const { envoy, store, controlPlane } = await startEdge({
        start,
        protocol,
        flags: { transitionTimeout: '1s' },
        documents: {
          ...cluster('shop'),
          ...endpoints('shop', one),
          ...listener('http', { routes: rds('routes') }),
          ...routeConfiguration('routes', routesTo('shop')),
        },
      })
      const port = await envoy.listenerPort('http')
      const load = startLoad({ port })
      const healthCheck = { timeout: '60s', interval: '60s', unhealthy_threshold: 1, healthy_threshold: 1 }
      await store.write({
        ...cluster('stuck', { health_checks: [{ ...healthCheck, http_health_check: { path: '/' } }] }),
        ...endpoints('stuck', await startSilentServer()),
      })
      await envoy.waitForStat('cluster_manager.warming_clusters', (count) => count === 1)

      // Endpoints and routes of what is warm: at once.
      await store.write(endpoints('shop', two))
      await load.next(10, { from: 'two', timeoutMs: soonMs })
      await store.write(
        routeConfiguration('routes', {
          ...routesTo('shop'),
          response_headers_to_add: [{ header: { key: 'x-edition', value: '2' } }],
        }),
      )
      await eventually(async () => (await get(port)).headers['x-edition'] === '2', { timeoutMs: soonMs })

      // A new cluster beside the stuck one: Envoy says nothing of it, and after the transition timeout it is used.
      await store.write({
        ...cluster('fresh'),
        ...endpoints('fresh', one),
        ...routeConfiguration('routes', routesTo('fresh')),
      })
      await load.next(10, { from: 'one', timeoutMs: 4 * soonMs })
      expect(await envoy.stat('cluster_manager.warming_clusters')).toBe(1)
      expect(controlPlane.log()).toContain('no ACK within the transition timeout')
      expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
    })
  })
})
