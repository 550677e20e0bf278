import { pino } from 'pino'
import { describe, expect, test } from 'vitest'
import { createSnapshotCache } from '../../src/cache/snapshot-cache.ts'
import { buildBootstrap } from '../../src/cli/bootstrap-config.ts'
import type { Resource } from '../../src/resource/resource.ts'
import type { Unit } from '../../src/snapshot/world.ts'
import { createXdsServer } from '../../src/xds/server.ts'
import { atTestEnd } from '../support/at-test-end.ts'
import { type Backend, startBackend } from '../support/backend.ts'
import { startEnvoy } from '../support/envoy.ts'
import { startLoad } from '../support/load.ts'
import { describeWithEnvoy } from '../support/needs.ts'
import { edsCluster, envoyApi, resource, routeTo } from '../support/resource.ts'

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

describeWithEnvoy('a stock Envoy with nothing but the bootstrap', () => {
  describe.each(['sotw', 'delta'] as const)('over %s', (protocol) => {
    test('goes LIVE, routes, and follows its endpoints to another backend without a failed request', async () => {
      const cache = createSnapshotCache()
      const server = await createXdsServer(
        { cache, api: envoyApi, log: pino({ level: 'silent' }) },
        { listen: '127.0.0.1:0', isSecure: true },
      )
      atTestEnd(() => server.close())
      const [one, two] = [await startBackend({ name: 'one' }), await startBackend({ name: 'two' })]
      const apply = (...resources: readonly Resource[]): void =>
        cache.apply({ upserted: resources.map(unitOf), removed: [], withheld: [] })
      apply(edsCluster('cart'), assignment('cart', one), httpListener, routeTo('routes', 'cart'))

      const envoy = await startEnvoy({
        bootstrap: buildBootstrap({
          id: 'edge-1',
          cluster: 'edge',
          server: `127.0.0.1:${server.port}`,
          delta: protocol === 'delta',
        }),
      })
      await envoy.waitLive()
      const load = startLoad({ port: await envoy.listenerPort('http') })
      await load.next(50, { from: 'one' })
      apply(assignment('cart', two))
      await load.next(50, { from: 'two' })
      const report = await load.stop()

      expect(report).toMatchObject({ failed: 0, failures: [] })
      expect(Object.keys(report.byBackend).sort()).toEqual(['one', 'two'])
      for (const name of ['cluster_manager.cds', 'listener_manager.lds', 'http.http.rds.routes', 'cluster.cart']) {
        expect(await envoy.stat(`${name}.update_rejected`), name).toBe(0)
      }
    })
  })
})
