/** A replica that does not know the newest leads nobody back (rule 87): with a real etcd whose wire to it fails, and stock Envoys. */
import { describe, expect, test } from 'vitest'
import { nodes } from '../support/admin-client.ts'
import { metric, startControlPlane, type TestControlPlane } from '../support/control-plane.ts'
import { createEtcdStore } from '../support/document-store.ts'
import { type Changes, cluster, listener, rds, routeConfiguration, routesTo } from '../support/documents.ts'
import { startEdgeUnderLoad } from '../support/edge.ts'
import { startEtcd, type TestEtcd } from '../support/etcd.ts'
import { startMovingShop } from '../support/moving-shop.ts'
import { describeWithEnvoy, describeWithEtcd } from '../support/needs.ts'
import { eventually } from '../support/poll.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'
import { openStream, type Protocol, typeUrlOf, type WireResponse, type WireStream } from '../support/wire-client.ts'

const protocols = ['sotw', 'delta'] as const
const types = ['cluster', 'listener', 'route'] as const

/** Three resources of three types, each of which says in its bytes which edition it is of. */
function edition(number: number): Changes {
  const mark = `edition-${number}.`
  return {
    ...cluster('shop', { alt_stat_name: mark }),
    ...listener('http', { routes: rds('routes'), fields: { stat_prefix: mark } }),
    ...routeConfiguration('routes', { ...routesTo('shop'), response_headers_to_remove: [mark] }),
  }
}

interface Held {
  readonly edition: number
  readonly version: string
}

/** Accepts all that it is told, and comes to the next replica with that. */
class Client {
  readonly id: string
  readonly #protocol: Protocol
  /** By type and name. */
  readonly #held = new Map<string, Map<string, Held>>()
  readonly #versions = new Map<string, string>()
  /** The editions of what it was told where it is now, in order. */
  told: number[] = []
  #stream: WireStream | undefined

  constructor(id: string, protocol: Protocol) {
    this.id = id
    this.#protocol = protocol
  }

  join(replica: TestControlPlane): void {
    const stream = openStream({ port: replica.xdsPort, protocol: this.#protocol })
    this.#stream = stream
    this.told = []
    for (const type of types) {
      const typeUrl = typeUrlOf(type)
      const versions = Array.from(this.#held.get(typeUrl) ?? [], ([name, { version }]) => [name, version] as const)
      stream.send({
        type_url: typeUrl,
        node: { id: this.id, cluster: 'edge' },
        ...(this.#protocol === 'sotw'
          ? { resource_names: namesOf(typeUrl), version_info: this.#versions.get(typeUrl) ?? '' }
          : { resource_names_subscribe: namesOf(typeUrl), initial_resource_versions: Object.fromEntries(versions) }),
      })
    }
    void this.#follow(stream)
  }

  async leave(): Promise<void> {
    this.#stream?.cancel()
    await this.#stream?.closed
  }

  /** It has all of an edition, and nothing of another. */
  has(number: number): boolean {
    return types.every((type) => {
      const held = [...(this.#held.get(typeUrlOf(type))?.values() ?? [])]
      return held.length === 1 && held[0]?.edition === number
    })
  }

  async #follow(stream: WireStream): Promise<void> {
    for (;;) {
      const response = await stream.next(600_000).catch(() => undefined)
      if (response === undefined) return
      this.#take(response)
      const { typeUrl, nonce, version } = response
      const accepted = stream.protocol === 'sotw' ? { version_info: version, resource_names: namesOf(typeUrl) } : {}
      stream.send({ type_url: typeUrl, response_nonce: nonce, ...accepted })
    }
  }

  #take({ typeUrl, version, resources, removed }: WireResponse): void {
    const held =
      this.#protocol === 'sotw' ? new Map<string, Held>() : (this.#held.get(typeUrl) ?? new Map<string, Held>())
    this.#held.set(typeUrl, held)
    this.#versions.set(typeUrl, version)
    for (const name of removed) held.delete(name)
    for (const { name, bytes = new Uint8Array(), version: own } of resources) {
      const [, number] = /edition-(\d+)\./.exec(Buffer.from(bytes).toString('latin1')) ?? []
      held.set(name, { edition: Number(number), version: own })
      this.told.push(Number(number))
    }
  }
}

const namesOf = (typeUrl: string): readonly string[] => (typeUrl === typeUrlOf('route') ? ['routes'] : [])

/** A replica, and the wire by which it reaches etcd. */
async function startReplica(etcd: TestEtcd, flags: Readonly<Record<string, unknown>>) {
  const wire = await startTcpProxy(etcd.port)
  const replica = await startControlPlane({ drainTime: '0s', ...flags, etcd: wire.endpoint })
  await replica.pipeline.ready
  return { replica, wire }
}

/** Two on one etcd that holds these documents; the wire is that of the second. */
async function startReplicas(documents: Changes) {
  const etcd = await startEtcd()
  const store = createEtcdStore(etcd)
  await store.write(documents)
  const { replica: current } = await startReplica(etcd, store.flags)
  const { replica: lagging, wire } = await startReplica(etcd, store.flags)
  return { etcd, store, current, lagging, wire }
}

const patience = { timeoutMs: 30_000 }

async function untilHas(client: Client, number: number): Promise<void> {
  await eventually(() => client.has(number), patience)
}

const nodeOf = async ({ adminUrl }: TestControlPlane, id: string) =>
  (await nodes(adminUrl)).find((candidate) => candidate.id === id)

async function isHeldBack(replica: TestControlPlane, id: string): Promise<boolean> {
  const node = await nodeOf(replica, id)
  if (node === undefined) throw new Error(`${id} is not there`)
  return node.heldBackSince !== undefined
}

/** Answered in all that it asked for, though it may have been told nothing new. */
async function untilServed(replica: TestControlPlane, id: string): Promise<void> {
  await eventually(async () => {
    const node = await nodeOf(replica, id)
    return node?.heldBackSince === undefined && node?.types['cluster']?.sent !== undefined
  }, patience)
}

async function untilHeldBack(replica: TestControlPlane, id: string): Promise<void> {
  await eventually(() => isHeldBack(replica, id), patience)
}

/** To a replica comes one that it holds back, one that has nothing and is told of an edition, and one that has just that. */
async function joinAll(
  replica: TestControlPlane,
  number: number,
  { heldBack, fresh, upToDate }: Readonly<Record<'heldBack' | 'fresh' | 'upToDate', Client>>,
): Promise<void> {
  heldBack.join(replica)
  await untilHeldBack(replica, heldBack.id)
  fresh.join(replica)
  await untilHas(fresh, number)
  upToDate.join(replica)
  await untilServed(replica, upToDate.id)
}

describeWithEtcd('a client that moves between two replicas on one etcd', () => {
  describe.each(protocols)('over %s', (protocol) => {
    /** Two replicas, of which the second is behind by an edition, and clients that have the one, the other, and none. */
    async function startAll() {
      const replicas = await startReplicas(edition(1))
      const [ahead, behind, fresh] = ['ahead', 'behind', 'fresh'].map((id) => new Client(id, protocol)) as [
        Client,
        Client,
        Client,
      ]
      for (const client of [ahead, behind]) {
        client.join(replicas.current)
        await untilHas(client, 1)
      }
      await behind.leave()
      return { ...replicas, ahead, behind, fresh }
    }

    test('is sent nothing older by one that is behind, and goes on with it when that has caught up', async () => {
      const { store, lagging, wire, ahead, behind, fresh } = await startAll()
      wire.freeze()
      await store.write(edition(2))
      await untilHas(ahead, 2)
      await ahead.leave()

      await joinAll(lagging, 1, { heldBack: ahead, fresh, upToDate: behind })
      expect(await isHeldBack(lagging, 'ahead')).toBe(true)
      expect(await metric(lagging, 'fairlead_fenced_streams')).toBe(1)
      expect(ahead.told).toEqual([])

      await wire.mend()
      await untilServed(lagging, 'ahead')
      await eventually(async () => (await metric(lagging, 'fairlead_fenced_streams')) === 0, patience)
      await Promise.all([untilHas(fresh, 2), untilHas(behind, 2)])
      await store.write(edition(3))
      await untilHas(ahead, 3)
      expect(new Set(ahead.told)).toEqual(new Set(protocol === 'sotw' ? [2, 3] : [3]))
      expect(lagging.log()).not.toContain('stream failed')
    })

    test('is not led through what was changed and taken back while it was elsewhere', async () => {
      const { store, lagging, wire, ahead } = await startAll()
      wire.freeze()
      await store.write(edition(2))
      await untilHas(ahead, 2)
      await store.write(edition(1))
      await untilHas(ahead, 1)
      await ahead.leave()
      ahead.join(lagging)
      await untilServed(lagging, 'ahead')
      await wire.mend()
      await store.write(edition(3))
      await untilHas(ahead, 3)
      expect(ahead.told).not.toContain(2)
    })

    test('is held back as long as etcd is away, if it has something else, and only then', async () => {
      const { etcd, store, lagging, ahead, behind, fresh } = await startAll()
      await store.write(edition(2))
      await untilHas(ahead, 2)
      await eventually(() => lagging.pipeline.revision === 2, patience)
      await etcd.stop()
      await ahead.leave()

      await joinAll(lagging, 2, { heldBack: behind, fresh, upToDate: ahead })
      // Told to people, once.
      await eventually(() => lagging.log().includes('held back'), patience)
      expect(await isHeldBack(lagging, 'behind')).toBe(true)
      expect(behind.told).toEqual([])

      await etcd.start()
      await untilHas(behind, 2)
      await eventually(() => lagging.log().includes('no client is held back any more'), patience)
      expect(lagging.log().match(/clients that have other versions/g)).toHaveLength(1)
      await store.write(edition(3))
      await Promise.all([ahead, behind, fresh].map((client) => untilHas(client, 3)))
      expect(behind.told).not.toContain(1)
    })
  })
})

describeWithEnvoy('a stock Envoy', () => {
  describeWithEtcd('on an etcd with two replicas', () => {
    test.each(protocols)('keeps its routes when it comes to one that is behind (%s)', async (protocol) => {
      const shop = await startMovingShop()
      const documents = { ...listener('http', { routes: rds('routes') }), ...shop.documentsOf(0) }
      const { store, current, lagging, wire } = await startReplicas(documents)
      const toCurrent = await startTcpProxy(current.xdsPort)
      const toLagging = await startTcpProxy(lagging.xdsPort)
      await toLagging.cut()
      const server = [toCurrent, toLagging].map(({ port }) => `127.0.0.1:${port}`)
      const { envoy, load } = await startEdgeUnderLoad({ server }, 'even', protocol)

      wire.freeze()
      await store.write(shop.moveTo(1))
      await load.next(20, { from: 'odd' })
      await envoy.waitForStat('cluster_manager.cluster_removed', (count) => count >= 1)
      const { even: before } = load.report().byBackend
      await toCurrent.cut()
      await toLagging.mend()
      await untilHeldBack(lagging, 'edge-1')
      await load.next(300)
      expect(await isHeldBack(lagging, 'edge-1')).toBe(true)
      // So many requests, and not one to where they went before.
      expect(load.report().byBackend['even']).toBe(before)

      await wire.mend()
      await untilServed(lagging, 'edge-1')
      await load.next(200)
      expect(load.report().byBackend['even']).toBe(before)
      await store.write(shop.moveTo(2))
      await load.next(20, { from: 'even' })
      expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
      expect([...(await envoy.stats(/update_rejected$/)).values()].filter((count) => count > 0)).toEqual([])
    })
  })
})
