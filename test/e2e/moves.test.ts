import { beforeAll, describe, expect } from 'vitest'
import { buildBootstrap } from '../../src/cli/bootstrap-config.ts'
import { problemsOf, rejections, startControlPlane } from '../support/control-plane.ts'
import { createEtcdStore, createFileStore, type DocumentStore } from '../support/document-store.ts'
import { type Changes, listener, rds, routeConfiguration, routesTo } from '../support/documents.ts'
import { startEnvoy } from '../support/envoy.ts'
import { startEtcd, type TestEtcd } from '../support/etcd.ts'
import { startLoad } from '../support/load.ts'
import { type MovingShop, startMovingShop } from '../support/moving-shop.ts'
import { describeWithEnvoy, describeWithEtcd } from '../support/needs.ts'
import { testBeside } from '../support/side-by-side.ts'
import { type Protocol, type WireResponse, wordOf } from '../support/wire-client.ts'
import { startWireTap } from '../support/wire-tap.ts'

const isLong = process.env['FAIRLEAD_TEST_LONG'] === '1'

/** Between a control plane and an Envoy of one region: the order of a transition shows only when answers take time. */
const roundTripMs = 30

/** What names the cluster, and of which type that is. */
interface User {
  readonly name: string
  readonly word: string
  /** Kept-alive connections of the load; 0: each request has its own. */
  readonly connections: number
  readonly moves: number
  readonly documents: (clusterName: string) => Changes
}

const byRds: User = {
  name: 'route configurations',
  word: 'route',
  connections: 8,
  moves: 20,
  documents: (name) => ({
    ...listener('http', { routes: rds('routes') }),
    ...routeConfiguration('routes', routesTo(name)),
  }),
}

const inline: User = {
  name: 'listeners with inline routes',
  word: 'listener',
  // A connection keeps the routes that its listener had when it was made, and Envoy lets it live for its drain time.
  connections: 0,
  moves: isLong ? 20 : 5,
  documents: (name) => listener('http', { routes: { route_config: { name: 'inline', ...routesTo(name) } } }),
}

interface Case {
  readonly protocol: Protocol
  readonly user: User
}

const cases: readonly Case[] = [
  { protocol: 'sotw', user: byRds },
  { protocol: 'delta', user: byRds },
  { protocol: 'sotw', user: inline },
  { protocol: 'delta', user: inline },
]

async function moveUnderLoad(store: DocumentStore, protocol: Protocol, user: User): Promise<void> {
  const shop = await startMovingShop(user.documents)
  await store.write(shop.documentsOf(0))
  // The old listeners drain without a connection here: waiting for them would only make the test long.
  const controlPlane = await startControlPlane({ ...store.flags, drainTime: '0s' })
  const tap = await startWireTap({ server: controlPlane.server, delayMs: roundTripMs / 2 })
  const envoy = await startEnvoy({
    bootstrap: buildBootstrap({ id: 'edge-1', cluster: 'edge', server: tap.server, delta: protocol === 'delta' }),
  })
  await envoy.waitLive()
  const load = startLoad({ port: await envoy.listenerPort('http'), connections: user.connections })
  await load.next(20, { from: 'even' })

  for (let round = 1; round <= user.moves; round++) {
    const before = tap.responses.length
    await store.write(shop.moveTo(round))
    await envoy.waitForStat('cluster_manager.cluster_removed', (count) => count >= round)
    const tellable = tap.responses.slice(before).map((response) => tell(response, protocol, user))
    expect(tellable.filter((line) => line !== '')).toEqual(transition(shop, round, protocol, user))
    await load.next(5, { from: shop.backendOf(round) })
  }

  const report = await load.stop()
  expect(report).toMatchObject({ failed: 0, failures: [] })
  expect(await rejections(controlPlane)).toBe(0)
  expect(problemsOf(controlPlane)).toEqual([])
  console.log(`${user.moves} moves of ${user.name} over ${protocol}: ${report.sent} requests, none failed`)
}

/** What a response says of clusters, or that it is of their user: `cluster shop-1`, `cluster -shop-0`, `route routes`. */
function tell({ typeUrl, resources, removed: gone }: WireResponse, protocol: Protocol, user: User): string {
  const word = wordOf(typeUrl)
  if (word !== 'cluster' && word !== user.word) return ''
  const names = resources.map(({ name }) => name).sort(byRound)
  return [word, ...names, ...(protocol === 'delta' ? gone.map((name) => `-${name}`) : [])].join(' ')
}

const byRound = (a: string, b: string): number => a.localeCompare(b, 'en', { numeric: true })

/** Rule 69: both clusters, then the user of the new one, then the new one alone. */
function transition(shop: MovingShop, round: number, protocol: Protocol, user: User): readonly string[] {
  const [old, next] = [shop.clusterOf(round - 1), shop.clusterOf(round)]
  const moved = user === byRds ? 'route routes' : 'listener http'
  return protocol === 'sotw'
    ? [`cluster ${old} ${next}`, moved, `cluster ${next}`]
    : [`cluster ${next}`, moved, `cluster -${old}`]
}

describeWithEnvoy('what names a cluster moves to a new one, while the old one is deleted in the same write', () => {
  const testAll = (openStore: () => DocumentStore, chosen: readonly Case[]): void => {
    for (const { protocol, user } of chosen) {
      testBeside(`${user.moves} times over ${protocol} without a failed request: ${user.name}`, () =>
        moveUnderLoad(openStore(), protocol, user),
      )
    }
  }

  describe('by a swap of files', () => testAll(createFileStore, cases))

  describeWithEtcd('by a transaction of etcd', () => {
    let etcd: TestEtcd
    beforeAll(async () => {
      etcd = await startEtcd()
    })
    testAll(() => createEtcdStore(etcd), isLong ? cases : cases.slice(1, 2))
  })
})
