import { describe, expect, test } from 'vitest'
import { startBackend } from '../support/backend.ts'
import { problemsOf, rejections } from '../support/control-plane.ts'
import {
  type Changes,
  cluster,
  endpoints,
  type Json,
  listener,
  rds,
  routeConfiguration,
  routesTo,
  socketAddress,
} from '../support/documents.ts'
import { backendOf, startEdge } from '../support/edge.ts'
import { startLoad } from '../support/load.ts'
import { lowPort } from '../support/low-port.ts'
import { describeWithEnvoy } from '../support/needs.ts'
import { eventually } from '../support/poll.ts'
import type { Protocol } from '../support/wire-client.ts'

const names = ['one', 'two', 'three']

/** For each name a backend, a cluster, routes, and a listener at the port that is given for it. */
async function startShop(protocol: Protocol) {
  const [a, b, c, d] = [await lowPort(), await lowPort(), await lowPort(), await lowPort()]
  const backends = await Promise.all(names.map((name) => startBackend({ name })))
  const at = (ports: Readonly<Record<string, number>>, fields: Json = {}): Changes =>
    Object.assign(
      {},
      ...Object.entries(ports).map(([name, port]) => listener(name, { port, routes: rds(name), fields })),
    ) as Changes
  const shop = (...which: readonly string[]): Changes =>
    Object.assign(
      {},
      ...which.map((name) => ({
        ...cluster(name),
        ...endpoints(name, backends[names.indexOf(name)] as (typeof backends)[0]),
        ...routeConfiguration(name, routesTo(name)),
      })),
    ) as Changes
  const edge = await startEdge({ protocol, documents: { ...shop('one', 'two'), ...at({ one: a, two: b }) } })
  const served = async (port: number, by: string): Promise<void> => {
    await eventually(async () => (await backendOf(port).catch(() => '')) === by, { timeoutMs: 5_000, intervalMs: 20 })
  }
  await served(a, 'one')
  await served(b, 'two')
  return { ...edge, ports: { a, b, c, d }, at, shop, served }
}

describeWithEnvoy('a stock Envoy whose listeners change their addresses', () => {
  describe.each<Protocol>(['sotw', 'delta'])('over %s', (protocol) => {
    test('hands an address on to a new listener without a refused connection, while its owner goes elsewhere', async () => {
      const { store, envoy, controlPlane, ports, at, shop, served } = await startShop(protocol)
      const load = startLoad({ port: ports.a, connections: 0 })
      await load.next(20, { from: 'one' })
      // The new one needs a cluster first: until then the old one stays.
      await store.write({ ...shop('three'), ...at({ one: ports.c, three: ports.a }) })
      await load.next(20, { from: 'three' })
      await served(ports.c, 'one')
      // And one that needs nothing new.
      await store.write({ ...at({ three: ports.d }), ...listener('four', { port: ports.a, routes: rds('two') }) })
      await load.next(20, { from: 'two' })
      await served(ports.d, 'three')
      expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
      expect(await backendOf(ports.b)).toBe('two')
      expect(await envoy.stat('listener_manager.lds.update_rejected')).toBe(0)
      expect(await rejections(controlPlane)).toBe(0)
      expect(problemsOf(controlPlane)).toEqual([])
    })

    test('exchanges two of them, and changes one of two addresses of a listener in place', async () => {
      const { store, envoy, controlPlane, ports, at, served } = await startShop(protocol)
      await store.write(at({ one: ports.b, two: ports.a }))
      await served(ports.b, 'one')
      await served(ports.a, 'two')
      const also = (port: number): Json => {
        const address = socketAddress({ host: '127.0.0.1', port })
        return { additional_addresses: [{ address }] }
      }
      await store.write(at({ one: ports.b }, also(ports.c)))
      await served(ports.c, 'one')
      await store.write(at({ one: ports.c }, also(ports.d)))
      await served(ports.d, 'one')
      await served(ports.c, 'one')
      await store.write(at({ one: ports.d }))
      await served(ports.d, 'one')
      expect(await backendOf(ports.a)).toBe('two')
      expect(await envoy.stat('listener_manager.lds.update_rejected')).toBe(0)
      expect(await rejections(controlPlane)).toBe(0)
      expect(problemsOf(controlPlane)).toEqual([])
    })
  })
})
