import { expect } from 'vitest'
import { buildBootstrap } from '../../src/cli/bootstrap-config.ts'
import { problemsOf, rejections, startControlPlane } from '../support/control-plane.ts'
import { isLong } from '../support/conversation.ts'
import { createFileStore } from '../support/document-store.ts'
import { listener, rds } from '../support/documents.ts'
import { startEnvoy } from '../support/envoy.ts'
import { startLoad } from '../support/load.ts'
import { startMovingShop } from '../support/moving-shop.ts'
import { describeWithEnvoy } from '../support/needs.ts'
import { testBothProtocols } from '../support/side-by-side.ts'

const ageS = isLong ? 5 : 2
const soakS = isLong ? 120 : 9

describeWithEnvoy(`a stock Envoy that is sent away every ${ageS} s (rule 91)`, () => {
  testBothProtocols(
    `over %s loses no request in ${soakS} s, while what it has changes all the time`,
    async (protocol) => {
      const shop = await startMovingShop()
      const store = createFileStore()
      await store.write({ ...listener('http', { routes: rds('routes') }), ...shop.documentsOf(0) })
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
        await store.write(shop.moveTo(round))
        await load.next(10, { from: shop.backendOf(round), timeoutMs: 20_000 })
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
    { timeout: (soakS + 60) * 1000 },
  )
})
