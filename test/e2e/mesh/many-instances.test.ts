import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { loadEnvoyApi } from '../../../src/resource/envoy-api.ts'
import { messageToJson } from '../../../src/resource/json/codec.ts'
import { problems } from '../../support/admin-client.ts'
import { startEtcd, type TestEtcd } from '../../support/etcd.ts'
import { describeWithEtcd } from '../../support/needs.ts'
import { eventually } from '../../support/poll.ts'
import { type ServerProcess, startServer } from '../../support/server-process.ts'
import { tempDir } from '../../support/temp.ts'
import { openStream, typeUrlOf, type WireResource } from '../../support/wire-client.ts'

const isLong = process.env['FAIRLEAD_TEST_LONG'] === '1'
const instances = isLong ? 10_000 : 1_000
/** Puts under way at once. */
const writers = 64
const ttlS = 3
/** A quarter of the time in which a client takes a server for dead: the machine may be busy with other tests. */
const longestTurnMs = 2_500

const serviceName = (index: number): string => `service-${index}`

/** Services that take who registers, and a proxy that may call them all. */
function mesh(services: number): string {
  const config = tempDir()
  const documents = Array.from(
    { length: services },
    (_, index) => `kind: Service\nname: ${serviceName(index)}\nport: 80\nregistry: {}\n`,
  )
  writeFileSync(
    join(config, 'mesh.yaml'),
    [...documents, 'kind: Sidecar\nname: web\nnodes: {cluster: web}\n'].join('---\n'),
  )
  return config
}

/** Instances that register one after the other, so many under way at once; every tenth under the lease that ends. */
async function registerAll(
  etcd: TestEtcd,
  services: number,
  leases: { readonly living: string; readonly dying: string },
) {
  let next = 0
  const write = async (): Promise<void> => {
    for (let index = next++; index < instances; index = next++) {
      const key = `/fairlead/endpoints/${serviceName(index % services)}/i-${index}`
      const value = { address: `10.1.${index >> 8}.${index & 255}`, port: 8080, labels: { version: `v${index % 2}` } }
      const lease = index % 10 === 0 ? leases.dying : leases.living
      await etcd.client.kv.put({ key: Buffer.from(key), value: Buffer.from(JSON.stringify(value)), lease })
    }
  }
  await Promise.all(Array.from({ length: writers }, write))
}

/** A proxy that takes all that it is sent: how many endpoints it has now. */
function followEndpoints(server: ServerProcess, services: number): () => number {
  const api = loadEnvoyApi()
  const held = new Map<string, WireResource>()
  const counts = new WeakMap<WireResource, number>()
  const stream = openStream({ port: Number(new URL(`http://${server.server}`).port), protocol: 'delta' })
  const [clusters, endpoints] = [typeUrlOf('cluster'), typeUrlOf('endpoint')]
  const names = Array.from({ length: services }, (_, index) => serviceName(index))
  stream.send({ node: { id: 'web-1', cluster: 'web' }, type_url: clusters, resource_names_subscribe: ['*'] })
  stream.send({ type_url: endpoints, resource_names_subscribe: names })
  const follow = async (): Promise<void> => {
    for (;;) {
      const { typeUrl, nonce, resources } = await stream.next(60_000)
      stream.send({ type_url: typeUrl, response_nonce: nonce })
      if (typeUrl === endpoints) for (const resource of resources) held.set(resource.name, resource)
    }
  }
  // It ends with the stream.
  follow().catch(() => {})
  const countOf = (resource: WireResource): number => {
    const assignment = messageToJson(api, endpoints, resource.bytes ?? new Uint8Array()) as {
      readonly endpoints?: readonly { readonly lb_endpoints: readonly unknown[] }[]
    }
    return (assignment.endpoints ?? []).reduce((sum, { lb_endpoints }) => sum + lb_endpoints.length, 0)
  }
  return () => {
    let sum = 0
    for (const resource of held.values()) {
      const count = counts.get(resource) ?? countOf(resource)
      counts.set(resource, count)
      sum += count
    }
    return sum
  }
}

/** What the server used since it was asked before. */
interface Used {
  readonly cpuS: number
  readonly builds: number
  /** The longest that nothing else got its turn. */
  readonly longestTurnMs: number
}

async function openMeter({ adminUrl }: ServerProcess): Promise<() => Promise<Used>> {
  let last = { cpuS: 0, builds: 0 }
  const read = async (): Promise<Used> => {
    const text = await (await fetch(`${adminUrl}/metrics`)).text()
    const value = (name: string): number => Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1])
    const now = { cpuS: value('process_cpu_seconds_total'), builds: value('fairlead_builds_total') }
    const used = { cpuS: now.cpuS - last.cpuS, builds: now.builds - last.builds }
    last = now
    return { ...used, longestTurnMs: value('nodejs_eventloop_lag_max_seconds') * 1000 }
  }
  await read()
  return read
}

describeWithEtcd(`${instances} instances that register at once`, () => {
  test.each([1, 100])(
    'for %i Services reach a proxy, by few builds in short turns, and are gone with their lease',
    async (services) => {
      const etcd = await startEtcd()
      const server = await startServer({ config: mesh(services), etcd: etcd.endpoint })
      const count = followEndpoints(server, services)
      const living = etcd.client.lease(60)
      const dying = etcd.client.lease(ttlS)
      const leases = { living: await living.grant(), dying: await dying.grant() }
      const used = await openMeter(server)
      const until = async (wanted: number): Promise<void> =>
        void (await eventually(() => count() === wanted, { timeoutMs: 60_000, intervalMs: 50 }))

      const startedAt = performance.now()
      await registerAll(etcd, services, leases)
      await until(instances)
      const registering = { ms: performance.now() - startedAt, ...(await used()) }
      expect(await problems(server.adminUrl)).toEqual([])
      // Two a second as long as they come without a pause, and no more for what a busy writer pauses.
      expect(registering.builds).toBeLessThan(2 + registering.ms / 150)
      expect(registering.cpuS).toBeLessThan(2 + instances * 0.0013)
      expect(registering.longestTurnMs).toBeLessThan(longestTurnMs)

      const diedAt = performance.now()
      dying.release()
      await until(instances * 0.9)
      const dead = { ms: performance.now() - diedAt, ...(await used()) }
      // The lease, at which etcd looks twice a second, and the debounce of a change.
      expect(dead.ms).toBeLessThan((ttlS + 3) * 1000)
      expect(dead.builds).toBeLessThan(5)
      expect(dead.longestTurnMs).toBeLessThan(longestTurnMs)
      console.log(`${services} Services: ${JSON.stringify({ registering, dead })}`)
      await living.revoke()
      await until(0)
    },
  )
})
