import { describe, expect, test } from 'vitest'
import { startBackend } from '../support/backend.ts'
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
import { startEdge } from '../support/edge.ts'
import { freePorts } from '../support/free-ports.ts'
import { startLoad } from '../support/load.ts'
import { describeWithEnvoy } from '../support/needs.ts'
import type { Protocol } from '../support/wire-client.ts'

const rounds = 6

describeWithEnvoy('a listener that is renamed', () => {
  describe.each<Protocol>(['sotw', 'delta'])('over %s', (protocol) => {
    test(`keeps its port: ${rounds} times, each to a new cluster and new routes, without a refused connection`, async () => {
      const [port = 0] = await freePorts(1)
      const backends = [await startBackend({ name: 'even' }), await startBackend({ name: 'odd' })] as const
      const documentsOf = (round: number): Changes => ({
        ...cluster(`shop-${round}`),
        ...endpoints(`shop-${round}`, backends[round % 2 === 0 ? 0 : 1]),
        ...routeConfiguration(`routes-${round}`, routesTo(`shop-${round}`)),
        ...listener(`http-${round}`, { port, routes: rds(`routes-${round}`) }),
      })
      const { store, envoy } = await startEdge({ protocol, documents: documentsOf(0), flags: { drainTime: '1s' } })
      await envoy.listenerPort('http-0')
      const load = startLoad({ port, connections: 0 })
      await load.next(20, { from: 'even' })
      for (let round = 1; round <= rounds; round++) {
        const old = round - 1
        await store.write({
          ...documentsOf(round),
          ...removed(`listener/http-${old}`, `route/routes-${old}`, `cluster/shop-${old}`, `endpoint/shop-${old}`),
        })
        await load.next(20, { from: round % 2 === 0 ? 'even' : 'odd' })
      }
      expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
      expect(await envoy.stat('listener_manager.listener_create_failure')).toBe(0)
    })
  })
})
