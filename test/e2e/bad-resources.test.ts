import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { buildBootstrap } from '../../src/cli/bootstrap-config.ts'
import { nodes, problems } from '../support/admin-client.ts'
import { atTestEnd } from '../support/at-test-end.ts'
import { startBackend } from '../support/backend.ts'
import { startControlPlane } from '../support/control-plane.ts'
import { createFileStore } from '../support/document-store.ts'
import {
  type Changes,
  cluster,
  endpoints,
  httpFilter,
  listener,
  rds,
  removed,
  routeConfiguration,
  routesTo,
} from '../support/documents.ts'
import { get } from '../support/edge.ts'
import { startEnvoy } from '../support/envoy.ts'
import { startLoad } from '../support/load.ts'
import { lowPort } from '../support/low-port.ts'
import { describeWithEnvoy } from '../support/needs.ts'
import { eventually } from '../support/poll.ts'
import { testBothProtocols } from '../support/side-by-side.ts'
import { wordOf } from '../support/wire-client.ts'
import { startWireTap } from '../support/wire-tap.ts'

/** The time in which a rejected version must not come a second time. */
const watchedMs = 10_000

/** Somebody else's port. */
async function takenPort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  atTestEnd(() => void server.close())
  return (server.address() as AddressInfo).port
}

interface Mistake {
  /** The key of the document. */
  readonly key: string
  readonly documents: Changes
  /** What Envoy says of it. */
  readonly says: RegExp
}

/** What people do: right by the API's rules, and impossible. */
async function mistakes(): Promise<readonly Mistake[]> {
  const endpoint = { address: { socket_address: { address: 'cart.example', port_value: 80 } } }
  const load_assignment = { cluster_name: 'named', endpoints: [{ lb_endpoints: [{ endpoint }] }] }
  const script = httpFilter('lua.v3.Lua', {
    default_source_code: { inline_string: 'function envoy_on_request(handle' },
  })
  const hosts = ['one', 'two'].map((name) => ({ name, domains: ['shop.example'] }))
  return [
    {
      key: 'cluster/named',
      documents: {
        'cluster/named': {
          '@type': 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
          name: 'named',
          type: 'STATIC',
          load_assignment,
        },
      },
      says: /malformed IP address: cart\.example/,
    },
    {
      key: 'listener/taken',
      documents: listener('taken', { port: await takenPort(), routes: rds('routes') }),
      says: /cannot bind|Address already in use/,
    },
    {
      key: 'listener/script',
      documents: listener('script', {
        port: await lowPort(),
        routes: rds('routes'),
        filters: [{ name: 'envoy.filters.http.lua', typed_config: script }],
      }),
      says: /script load error/,
    },
    {
      key: 'route/twice',
      documents: routeConfiguration('twice', { virtual_hosts: hosts }),
      says: /Duplicate entry of domain shop\.example/,
    },
  ]
}

describeWithEnvoy('a stock Envoy that is given what it cannot take beside what it can', () => {
  testBothProtocols(
    'is sent each rejected version once in 10 s over %s, and everything else at once',
    async (protocol) => {
      const [one, two] = [await startBackend({ name: 'one' }), await startBackend({ name: 'two' })]
      const ports = { http: await lowPort(), twice: await lowPort(), fresh: await lowPort() }
      const store = createFileStore()
      await store.write({
        ...cluster('shop'),
        ...endpoints('shop', one),
        ...routeConfiguration('routes', routesTo('shop')),
        ...routeConfiguration('twice', routesTo('shop')),
        ...listener('http', { port: ports.http, routes: rds('routes') }),
        ...listener('twice', { port: ports.twice, routes: rds('twice') }),
      })
      const controlPlane = await startControlPlane(store.flags)
      const tap = await startWireTap({ server: controlPlane.server })
      const envoy = await startEnvoy({
        bootstrap: buildBootstrap({ id: 'edge-1', cluster: 'edge', server: tap.server, delta: protocol === 'delta' }),
      })
      await envoy.waitLive()
      const load = startLoad({ port: ports.http })
      const twice = startLoad({ port: ports.twice, rate: 50 })
      await load.next(10, { from: 'one' })

      const bad = await mistakes()
      const before = tap.responses.length
      await store.write({
        ...Object.assign({}, ...bad.map(({ documents }) => documents)),
        ...cluster('fresh'),
        ...endpoints('fresh', two),
        ...routeConfiguration('routes', routesTo('fresh')),
        ...listener('fresh', { port: ports.fresh, routes: rds('routes') }),
      })
      const beganMs = performance.now()
      await load.next(10, { from: 'two', timeoutMs: 2_000 })
      await eventually(async () => (await get(ports.fresh)).status === 200, { timeoutMs: 5_000 })

      const keys = bad.map(({ key }) => key).sort()
      await eventually(
        async () => {
          const rejected = (await nodes(controlPlane.adminUrl)).flatMap((node) => node.rejected)
          expect(rejected.map(({ type, name }) => `${type}/${name}`).sort()).toEqual(keys)
          for (const { key, says } of bad) {
            const one = rejected.find(({ type, name }) => `${type}/${name}` === key)
            expect(one?.message).toMatch(says)
            expect(one?.origin).toMatchObject({ name: expect.stringMatching(new RegExp(`${key}\\.json$`)), line: 1 })
          }
          return true
        },
        { timeoutMs: watchedMs },
      )
      const places = (await problems(controlPlane.adminUrl)).map(({ place }) => place.replace(/^.*\/config\//, ''))
      expect(places.sort()).toEqual(keys.map((key) => `${key}.json:1:1`))
      for (const { key } of bad) expect(controlPlane.log()).toContain(`${key}.json:1:1`)

      // Good changes of the same types go on meanwhile.
      let timeout = 6
      while (performance.now() - beganMs < watchedMs) {
        await store.write({
          ...cluster('fresh', { connect_timeout: `${timeout++}s` }),
          ...listener('fresh', {
            port: ports.fresh,
            routes: rds('routes'),
            fields: { per_connection_buffer_limit_bytes: 40_000 + timeout },
          }),
        })
        await envoy.waitForStat('listener_manager.listener_modified', (count) => count >= timeout - 6)
        await sleep(1_500)
      }
      const sent = new Map<string, number>()
      for (const { typeUrl, resources } of tap.responses.slice(before)) {
        for (const { name } of resources) {
          const key = `${wordOf(typeUrl)}/${name}`
          if (keys.includes(key)) sent.set(key, (sent.get(key) ?? 0) + 1)
        }
      }
      expect(Object.fromEntries(sent)).toEqual(Object.fromEntries(keys.map((key) => [key, 1])))

      // The old routes of what was rejected serve on; and what is mended or gone is no problem any more.
      expect(await load.stop()).toMatchObject({ failed: 0 })
      expect(await twice.stop()).toMatchObject({ failed: 0 })
      await store.write({
        ...removed('cluster/named', 'listener/taken', 'listener/script'),
        ...routeConfiguration('twice', routesTo('fresh')),
      })
      await eventually(async () => {
        expect((await nodes(controlPlane.adminUrl)).flatMap((node) => node.rejected)).toEqual([])
        expect(await problems(controlPlane.adminUrl)).toEqual([])
        expect(JSON.parse((await get(ports.twice)).body)).toMatchObject({ backend: 'two' })
        return true
      })
    },
  )
})
