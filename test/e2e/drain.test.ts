import { Agent, request } from 'node:http'
import { expect } from 'vitest'
import { atTestEnd } from '../support/at-test-end.ts'
import { startBackend } from '../support/backend.ts'
import { type Changes, cluster, endpoints, listener, removed, routesTo } from '../support/documents.ts'
import { backendOf, type Edge, startEdge } from '../support/edge.ts'
import { describeWithEnvoy } from '../support/needs.ts'
import { eventually } from '../support/poll.ts'
import { testBothProtocols } from '../support/side-by-side.ts'
import type { Protocol } from '../support/wire-client.ts'

const listenerTo = (name: string): Changes =>
  listener('http', { routes: { route_config: { name: 'inline', ...routesTo(name) } } })

/** One kept-alive connection; says of each request which backend answered, or with which status. */
function connect(port: number): () => Promise<string> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  atTestEnd(() => agent.destroy())
  return () =>
    new Promise((resolve, reject) => {
      request({ host: '127.0.0.1', port, agent }, (response) => {
        response.resume().on('end', () => {
          resolve(response.statusCode === 200 ? String(response.headers['x-backend']) : `status ${response.statusCode}`)
        })
      })
        .on('error', reject)
        .end()
    })
}

interface Moved {
  readonly edge: Edge
  /** What ten requests got on a connection from before the listener was replaced. */
  readonly onOldConnection: readonly string[]
}

/** The listener leads to another cluster, and the old one is deleted in the same write. */
async function move(protocol: Protocol, drainTime: string): Promise<Moved> {
  const [before, after] = [await startBackend({ name: 'before' }), await startBackend({ name: 'after' })]
  const edge = await startEdge({
    protocol,
    flags: { drainTime },
    documents: { ...cluster('old'), ...endpoints('old', before), ...listenerTo('old') },
  })
  const port = await edge.envoy.listenerPort('http')
  const get = connect(port)
  expect(await get()).toBe('before')
  await edge.store.write({
    ...cluster('new'),
    ...endpoints('new', after),
    ...listenerTo('new'),
    ...removed('cluster/old', 'endpoint/old'),
  })
  await eventually(async () => (await backendOf(port)) === 'after')
  if (drainTime === '0s') await edge.envoy.waitForStat('cluster_manager.cluster_removed', (count) => count === 1)
  const onOldConnection: string[] = []
  for (let n = 0; n < 10; n++) onOldConnection.push(await get())
  return { edge, onOldConnection }
}

describeWithEnvoy('a connection of a listener that was replaced', () => {
  testBothProtocols(
    'is served over %s by the old cluster, deleted or not, while it drains (rules 74, 76)',
    async (protocol) => {
      const { edge, onOldConnection } = await move(protocol, '10m')
      expect(onOldConnection).toEqual(Array<string>(10).fill('before'))
      expect(await edge.envoy.stat('cluster_manager.cluster_removed')).toBe(0)
    },
  )

  testBothProtocols(
    'outlives its cluster over %s where the drain time is set too short: what the hold is for',
    async (protocol) => {
      const { onOldConnection } = await move(protocol, '0s')
      expect(onOldConnection).toContain('status 503')
    },
  )

  testBothProtocols('is waited for over %s no longer than the drain time', async (protocol) => {
    const { edge } = await move(protocol, '2s')
    await edge.envoy.waitForStat('cluster_manager.cluster_removed', (count) => count === 1)
  })
})
