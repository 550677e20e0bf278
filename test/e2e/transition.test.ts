import { pino } from 'pino'
import { expect } from 'vitest'
import { createSnapshotCache } from '../../src/cache/snapshot-cache.ts'
import { buildBootstrap } from '../../src/cli/bootstrap-config.ts'
import type { Resource } from '../../src/resource/resource.ts'
import type { Unit } from '../../src/snapshot/world.ts'
import { createXdsServer } from '../../src/xds/server.ts'
import type { StreamEvent } from '../../src/xds/stream-event.ts'
import { atTestEnd } from '../support/at-test-end.ts'
import { type Backend, startBackend } from '../support/backend.ts'
import { startLoad } from '../support/load.ts'
import { describeEachPlane } from '../support/planes.ts'
import { eventually } from '../support/poll.ts'
import { edsCluster, envoyApi, resource, routeTo } from '../support/resource.ts'
import { testBothProtocols } from '../support/side-by-side.ts'
import type { Protocol } from '../support/wire-client.ts'

const httpListener = resource('listener', 'http', {
  address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
  filter_chains: [
    {
      filters: [
        {
          name: 'envoy.filters.network.http_connection_manager',
          typed_config: {
            '@type':
              'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
            stat_prefix: 'http',
            rds: { route_config_name: 'routes', config_source: { ads: {}, resource_api_version: 'V3' } },
            http_filters: [
              {
                name: 'envoy.filters.http.router',
                typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
              },
            ],
          },
        },
      ],
    },
  ],
})

function assignment(name: string, { host, port }: Backend): Resource {
  const address = { socket_address: { address: host, port_value: port } }
  return resource('endpoint', name, { endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] })
}

function unitOf(item: Resource): Unit {
  return { key: `${item.typeUrl} ${item.name}`, origin: item.origin, selectors: [], resources: [item] }
}

/** Far below the 15 s after which Envoy goes on by itself. */
const soonMs = 5_000

describeEachPlane('under load', (startProxy) => {
  const start = async (protocol: Protocol, ...resources: readonly Resource[]) => {
    const cache = createSnapshotCache()
    const events: StreamEvent[] = []
    const server = await createXdsServer(
      { cache, api: envoyApi, log: pino({ level: 'silent' }), onEvent: (event) => events.push(event) },
      { listen: '127.0.0.1:0', isSecure: true },
    )
    atTestEnd(() => server.close())
    const apply = (upserted: readonly Resource[], removed: readonly Resource[] = []): void =>
      cache.apply({
        upserted: upserted.map(unitOf),
        removed: removed.map((item) => unitOf(item).key),
        withheld: [],
      })
    apply(resources)
    const envoy = await startProxy({
      bootstrap: buildBootstrap({
        id: 'edge-1',
        cluster: 'edge',
        server: `127.0.0.1:${server.port}`,
        delta: protocol === 'delta',
      }),
    })
    await envoy.waitLive()
    return { apply, envoy, events, load: startLoad({ port: await envoy.listenerPort('http') }) }
  }

  testBothProtocols(
    'moves its routes over %s to a new cluster 20 times, the old one deleted in the same write, without a failed request (rules 68–71)',
    async (protocol) => {
      const backend = await startBackend({ name: 'one' })
      const ofRound = (round: number): readonly [Resource, Resource] => [
        edsCluster(`cart-${round}`),
        assignment(`cart-${round}`, backend),
      ]
      const { apply, envoy, events, load } = await start(
        protocol,
        ...ofRound(0),
        httpListener,
        routeTo('routes', 'cart-0'),
      )
      await load.next(20)
      for (let round = 1; round <= 20; round++) {
        apply([...ofRound(round), routeTo('routes', `cart-${round}`)], ofRound(round - 1))
        await eventually(async () => {
          const clusters = await envoy.stats(/^cluster\.cart-\d+\.membership_total$/)
          return [...clusters.keys()].join() === `cluster.cart-${round}.membership_total`
        })
      }
      const report = await load.stop()
      expect(report).toMatchObject({ failed: 0, failures: [] })
      expect(events.filter(({ kind }) => kind === 'nack')).toEqual([])
      // Six answers at the start or fewer, and five or fewer a round: nothing is said over and over.
      expect(events.filter(({ kind }) => kind === 'sent').length).toBeLessThan(130)
    },
  )

  testBothProtocols(
    'takes a changed cluster at once over %s, for its unchanged endpoints come with it (rule 72)',
    async (protocol) => {
      const backend = await startBackend({ name: 'one' })
      const { apply, envoy, load } = await start(
        protocol,
        edsCluster('cart'),
        assignment('cart', backend),
        httpListener,
        routeTo('routes', 'cart'),
      )
      await load.next(20)
      for (let revision = 2; revision <= 5; revision++) {
        apply([edsCluster('cart', revision)])
        await envoy.waitForStat('cluster_manager.cluster_modified', (count) => count === revision - 1, soonMs)
        await envoy.waitForStat('cluster_manager.warming_clusters', (count) => count === 0, soonMs)
      }
      await load.next(20)
      expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
    },
  )
})
