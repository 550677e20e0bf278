import { expect, test } from 'vitest'
import { buildBootstrap } from '../../src/cli/bootstrap-config.ts'
import { startBackend } from '../support/backend.ts'
import { problemsOf, rejections, startControlPlane } from '../support/control-plane.ts'
import { isLong } from '../support/conversation.ts'
import { createFileStore } from '../support/document-store.ts'
import {
  type Changes,
  cluster,
  endpoints,
  listener,
  rds,
  removed,
  routeConfiguration,
  routesTo,
} from '../support/documents.ts'
import { startEnvoy } from '../support/envoy.ts'
import { startLoad } from '../support/load.ts'
import { describeWithEnvoy } from '../support/needs.ts'
import type { Protocol } from '../support/wire-client.ts'

const ageS = 5
const soakS = isLong ? 120 : 17

describeWithEnvoy(`a stock Envoy that is sent away every ${ageS} s (rule 91)`, () => {
  test.each<Protocol>(['sotw', 'delta'])(
    `over %s loses no request in ${soakS} s, while what it has changes all the time`,
    { timeout: (soakS + 60) * 1000 },
    async (protocol) => {
      const backends = [await startBackend({ name: 'even' }), await startBackend({ name: 'odd' })] as const
      const documentsOf = (round: number): Changes => ({
        ...cluster(`shop-${round}`),
        ...endpoints(`shop-${round}`, backends[round % 2 === 0 ? 0 : 1]),
        ...routeConfiguration('routes', routesTo(`shop-${round}`)),
      })
      const store = createFileStore()
      await store.write({ ...listener('http', { routes: rds('routes') }), ...documentsOf(0) })
      const controlPlane = await startControlPlane({
        ...store.flags,
        maxConnectionAge: `${ageS}s`,
        // No old listener has a connection here.
        drainTime: '0s',
      })
      const envoy = await startEnvoy({
        bootstrap: buildBootstrap({
          id: 'edge-1',
          cluster: 'edge',
          server: controlPlane.server,
          delta: protocol === 'delta',
        }),
      })
      await envoy.waitLive()
      const load = startLoad({ port: await envoy.listenerPort('http'), rate: 200 })
      await load.next(20, { from: 'even' })

      const end = performance.now() + soakS * 1000
      let round = 0
      while (performance.now() < end) {
        round++
        await store.write({
          ...documentsOf(round),
          ...removed(`cluster/shop-${round - 1}`, `endpoint/shop-${round - 1}`),
        })
        await load.next(10, { from: round % 2 === 0 ? 'even' : 'odd', timeoutMs: 20_000 })
      }

      const report = await load.stop()
      expect(report).toMatchObject({ failed: 0, failures: [] })
      const connections = (await envoy.stat('cluster.fairlead.upstream_cx_total')) ?? 0
      // Each time by a new connection, for a load balancer between to choose another replica.
      expect(connections).toBeGreaterThanOrEqual(Math.floor(soakS / (ageS * 1.1 + 1)))
      expect(await rejections(controlPlane)).toBe(0)
      expect(problemsOf(controlPlane)).toEqual([])
      console.log(`${protocol}: ${connections} connections, ${round} moves, ${report.sent} requests, none failed`)
    },
  )
})
