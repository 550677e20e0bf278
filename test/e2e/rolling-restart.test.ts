import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import { buildBootstrap } from '../../src/cli/bootstrap-config.ts'
import { atTestEnd } from '../support/at-test-end.ts'
import { createFileStore } from '../support/document-store.ts'
import { listener, rds } from '../support/documents.ts'
import { startEnvoy } from '../support/envoy.ts'
import { joinSockets } from '../support/join-sockets.ts'
import { startLoad } from '../support/load.ts'
import { startMovingShop } from '../support/moving-shop.ts'
import { describeWithEnvoy } from '../support/needs.ts'
import { eventually } from '../support/poll.ts'
import { type ServerProcess, startServer } from '../support/server-process.ts'
import { openStream, typeUrlOf } from '../support/wire-client.ts'

const protocols = ['sotw', 'delta'] as const
const drainTimeout = '1s'
/** Envoy's own backoff, and the drain: no longer may it be without a control plane. */
const longestGapMs = 10_000

/** Spreads connections over those that listen, in turn, as a load balancer of connections does. */
async function startBalancer(targets: readonly string[]): Promise<string> {
  let next = 0
  const sockets = new Set<Socket>()
  const dial = (client: Socket, tries: number): void => {
    const [host, port] = (targets[next++ % targets.length] as string).split(':') as [string, string]
    const upstream = connect(Number(port), host)
    upstream.once('error', () => (tries > 1 ? dial(client, tries - 1) : client.destroy()))
    upstream.once('connect', () => joinSockets(client, upstream, sockets))
  }
  const server = createServer({ pauseOnConnect: false }, (client) => {
    client.on('error', () => client.destroy())
    dial(client, targets.length)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  atTestEnd(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return `127.0.0.1:${(server.address() as { port: number }).port}`
}

/** In a fleet, each replica has Envoys of each group. Here it is one that has connected and says nothing more. */
async function joinFleet({ server, adminUrl }: ServerProcess): Promise<void> {
  await eventually(async () => (await fetch(`${adminUrl}/ready`)).ok, { timeoutMs: 20_000 })
  const stream = openStream({ port: Number(server.split(':')[1]), protocol: 'sotw' })
  stream.send({ node: { id: `member-of-${server}`, cluster: 'edge' }, type_url: typeUrlOf('runtime') })
  await stream.next()
}

describeWithEnvoy('three replicas on the same documents, restarted one after another (rule 89)', () => {
  test('leave no Envoy without configuration, fail no request, and lose no change', async () => {
    const shop = await startMovingShop()
    const store = createFileStore()
    await store.write({ ...listener('http', { routes: rds('routes') }), ...shop.documentsOf(0) })
    const start = async (): Promise<ServerProcess> => {
      const replica = await startServer({ ...store.flags, drainTimeout, drainTime: '0s' })
      await joinFleet(replica)
      return replica
    }
    const replicas = await Promise.all([start(), start(), start()])
    const server = await startBalancer(replicas.map((replica) => replica.server))
    const edges = await Promise.all(
      protocols.map(async (protocol) => {
        const envoy = await startEnvoy({
          bootstrap: buildBootstrap({ id: `edge-${protocol}`, cluster: 'edge', server, delta: protocol === 'delta' }),
        })
        await envoy.waitLive()
        const load = startLoad({ port: await envoy.listenerPort('http'), rate: 100 })
        await load.next(10, { from: 'even' })
        return { envoy, load }
      }),
    )

    let [lastSeen, longestGap] = [protocols.map(() => performance.now()), 0]
    const watch = setInterval(() => {
      for (const [index, { envoy }] of edges.entries()) {
        void envoy.stat('control_plane.connected_state').then(
          (state) => {
            const now = performance.now()
            if (state === 1) lastSeen = lastSeen.with(index, now)
            else longestGap = Math.max(longestGap, now - (lastSeen[index] ?? now))
          },
          () => {},
        )
      }
    }, 200)
    atTestEnd(() => clearInterval(watch))

    let round = 0
    for (const [index, replica] of replicas.entries()) {
      const ended = replica.terminate()
      round++
      // While the Envoys are between two replicas, one of which knows the change already, and none of which knows them.
      await store.write(shop.moveTo(round))
      for (const { load } of edges) await load.next(10, { from: shop.backendOf(round), timeoutMs: 20_000 })
      expect(await ended).toBe(0)
      replicas[index] = await replica.startAgain()
      await joinFleet(replicas[index])
    }
    clearInterval(watch)

    for (const { envoy, load } of edges) {
      expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
      expect([...(await envoy.stats(/update_rejected$/)).values()].filter((count) => count > 0)).toEqual([])
      await envoy.waitForStat('control_plane.connected_state', (state) => state === 1)
    }
    expect(longestGap).toBeLessThan(longestGapMs)
    console.log(`the longest time that an Envoy was without a control plane: ${longestGap.toFixed(0)} ms`)
  })
})
