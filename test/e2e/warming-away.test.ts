import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect } from 'vitest'
import { buildBootstrap } from '../../src/cli/bootstrap-config.ts'
import { nodes } from '../support/admin-client.ts'
import { atTestEnd } from '../support/at-test-end.ts'
import { startBackend } from '../support/backend.ts'
import { problemsOf, rejections, startControlPlane } from '../support/control-plane.ts'
import { createFileStore } from '../support/document-store.ts'
import { cluster, endpoints, listener, rds, removed, routeConfiguration, routesTo } from '../support/documents.ts'
import { startEnvoy } from '../support/envoy.ts'
import { startLoad } from '../support/load.ts'
import { describeWithEnvoy } from '../support/needs.ts'
import { eventually } from '../support/poll.ts'
import { testBothProtocols } from '../support/side-by-side.ts'

/** One that says whether it is well when the test lets it: a cluster that checks its health warms until then. */
async function startReticentBackend(name: string): Promise<{ host: string; port: number; tell(): Promise<void> }> {
  const checks: ServerResponse[] = []
  const answer = (response: ServerResponse): void => void response.end(JSON.stringify({ backend: name }))
  let isTelling = false
  const server = createServer((request, response) => {
    if (request.url === '/health' && !isTelling) checks.push(response)
    else answer(response)
  })
  server.keepAliveTimeout = 0
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  atTestEnd(() => {
    server.close()
    server.closeAllConnections()
  })
  return {
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    async tell() {
      await eventually(() => checks.length > 0)
      isTelling = true
      for (const check of checks) answer(check)
    },
  }
}

const healthCheck = { timeout: '60s', interval: '60s', unhealthy_threshold: 1, healthy_threshold: 1 }

describeWithEnvoy('a stock Envoy that loses its replica while a cluster warms', () => {
  testBothProtocols('over %s goes by its routes at the next one until the cluster is warm', async (protocol) => {
    const [first, second] = [await startBackend({ name: 'first' }), await startBackend({ name: 'second' })]
    const third = await startReticentBackend('third')
    const store = createFileStore()
    const to = (name: string): object => routeConfiguration('routes', routesTo(name))
    await store.write({
      ...listener('http', { routes: rds('routes') }),
      ...cluster('first'),
      ...endpoints('first', first),
      ...to('first'),
    })
    const start = () => startControlPlane({ ...store.flags, drainTimeout: '1s', drainTime: '0s' })
    const replicas = [await start(), await start()]
    const server = replicas.map((replica) => replica.server)
    const envoy = await startEnvoy({
      bootstrap: buildBootstrap({ id: 'edge-1', cluster: 'edge', server, delta: protocol === 'delta' }),
    })
    await envoy.waitLive()
    const load = startLoad({ port: await envoy.listenerPort('http') })
    await load.next(10, { from: 'first' })

    // The assignments that it has now, over SotW, are of a version of the way.
    await store.write({
      ...cluster('second'),
      ...endpoints('second', second),
      ...to('second'),
      ...removed('cluster/first', 'endpoint/first'),
    })
    await load.next(10, { from: 'second' })
    await envoy.waitForStat('cluster_manager.active_clusters', (count) => count === 2)
    await store.write({
      ...cluster('third', { health_checks: [{ ...healthCheck, http_health_check: { path: '/health' } }] }),
      ...endpoints('third', third),
      ...to('third'),
      ...removed('cluster/second', 'endpoint/second'),
    })
    await envoy.waitForStat('cluster_manager.warming_clusters', (count) => count === 1)
    await envoy.waitForStat('cluster.third.membership_total', (count) => count === 1)

    const isAt = async ({ adminUrl }: (typeof replicas)[number]): Promise<boolean> =>
      (await nodes(adminUrl)).some(({ id, types }) => id === 'edge-1' && types.endpoint !== undefined)
    const [one, other] = (await isAt(replicas[0] as (typeof replicas)[number])) ? replicas : replicas.toReversed()
    if (one === undefined || other === undefined) throw new Error('there are two')
    await one.close()
    await eventually(() => isAt(other), { timeoutMs: 20_000 })
    await load.next(100, { from: 'second' })
    expect(load.report().byBackend).not.toHaveProperty('third')
    expect(await envoy.stat('cluster_manager.warming_clusters')).toBe(1)

    await third.tell()
    await load.next(10, { from: 'third' })
    await envoy.waitForStat('cluster_manager.active_clusters', (count) => count === 2)
    expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
    expect(await rejections(other)).toBe(0)
    expect(problemsOf(other)).toEqual([])
  })
})
