import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { parse, parseAllDocuments, stringify } from 'yaml'
import { type ResourceType, resourceTypes } from '../../src/resource/type-url.ts'
import { createMemorySource } from '../../src/source/memory-source.ts'
import { fetchRest } from '../support/admin-client.ts'
import { problemsOf, startControlPlane, type TestControlPlane } from '../support/control-plane.ts'
import { createEtcdStore } from '../support/document-store.ts'
import { type Changes, cluster, document, endpoints, type Json, secret } from '../support/documents.ts'
import { envoyResources } from '../support/envoy-resources.ts'
import { startEtcd } from '../support/etcd.ts'
import { describeWithEtcd } from '../support/needs.ts'
import { tempDir } from '../support/temp.ts'
import { openStream, type Protocol, type WireResponse } from '../support/wire-client.ts'

/** One of every type, with most of what people use, and what those refer to. */
const world: readonly Json[] = [
  ...Object.values(envoyResources).map((text) => parse(text) as Json),
  ...['cart-v2', 'cart-dr', 'shadow', 'db-a', 'db-b'].flatMap((name) =>
    [cluster(name), endpoints(name)].flatMap(resourcesOf),
  ),
  ...resourcesOf(secret('shop-ca', { validation_context: { trust_chain_verification: 'ACCEPT_UNTRUSTED' } })),
  ...resourcesOf(
    document('virtualHost', 'config.route.v3.VirtualHost', 'edge/http/later.example', {
      domains: ['later.example'],
      routes: [{ match: { prefix: '/' }, route: { cluster: 'cart' } }],
    }),
  ),
]

function resourcesOf(changes: Changes): readonly Json[] {
  return Object.values(changes) as Json[]
}

/** The same, said in another order wherever the order says nothing. */
function shuffled<T>(value: T, random: () => number): T {
  if (Array.isArray(value)) return value.map((item: unknown) => shuffled(item, random)) as T
  if (typeof value !== 'object' || value === null) return value
  const entries = inAnyOrder(Object.entries(value), random)
  return Object.fromEntries(entries.map(([key, item]) => [key, shuffled(item as unknown, random)])) as T
}

function inAnyOrder<T>(items: readonly T[], random: () => number): T[] {
  return items
    .map((item) => ({ item, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item)
}

/** Numbers from 0 to 1 that a failing test has again. */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/** A file for each resource. */
function asFiles(resources: readonly Json[]): string {
  const config = join(tempDir(), 'config')
  mkdirSync(config)
  for (const [index, resource] of resources.entries()) writeFileSync(join(config, `${index}.yaml`), stringify(resource))
  return config
}

/** The same resources in three lists. */
function asLists(resources: readonly Json[]): Readonly<Record<string, Json>> {
  const lists = [0, 1, 2].map((third) => resources.filter((_, index) => index % 3 === third))
  return Object.fromEntries(lists.map((list, index) => [`list-${index}`, { resources: list }]))
}

/** A type's version as a client sees it, and of each resource the version or the bytes. */
interface Seen {
  readonly version: string
  readonly resources: Readonly<Record<string, string>>
}

const hash = (bytes: Uint8Array | string | undefined): string =>
  createHash('sha256')
    .update(bytes ?? '')
    .digest('hex')

/** A LbEndpoint has no name of its own, and no document. */
const types: readonly ResourceType[] = Object.values(resourceTypes).filter(({ word }) => word !== 'localityEndpoint')

/** What every gateway has. */
const ofMeshes: ReadonlySet<string> = new Set(['cluster', 'endpoint', 'listener', 'route'])

/** All that clients see: `sotw cluster`, `delta route`, `REST secret`. */
async function seenOf(server: TestControlPlane, without: readonly string[] = []): Promise<Record<string, Seen>> {
  const seen: Record<string, Seen> = {}
  for (const { word, rest, isDeltaOnly } of types.filter((type) => !without.includes(type.word))) {
    if (!isDeltaOnly) seen[`sotw ${word}`] = seenIn(await firstAnswer(server, 'sotw', word), (bytes) => hash(bytes))
    const delta = await firstAnswer(server, 'delta', word)
    seen[`delta ${word}`] = {
      version: delta.version,
      resources: Object.fromEntries(
        delta.resources.map(({ name, version, bytes }) => [name, `${version} ${hash(bytes)}`]),
      ),
    }
    if (rest === undefined) continue
    const { body } = await fetchRest(server.adminUrl, rest.slice(rest.indexOf(':') + 1), 'edge', {
      resource_names: ['*'],
    })
    const resources = (body?.resources ?? []).map((resource) => [
      String(resource['name'] ?? resource['cluster_name']),
      hash(JSON.stringify(resource)),
    ])
    seen[`REST ${word}`] = {
      version: body?.version_info ?? '',
      resources: Object.fromEntries(resources) as Record<string, string>,
    }
  }
  return seen
}

async function firstAnswer(server: TestControlPlane, protocol: Protocol, word: string): Promise<WireResponse> {
  const stream = openStream({ port: server.xdsPort, protocol })
  const type_url = resourceTypes[word as keyof typeof resourceTypes].typeUrl
  const names = protocol === 'sotw' ? { resource_names: ['*'] } : { resource_names_subscribe: ['*'] }
  stream.send({ node: { id: 'edge-1', cluster: 'edge' }, type_url, ...names })
  const answer = await stream.next()
  stream.cancel()
  return answer
}

function seenIn({ version, resources }: WireResponse, of: (bytes: Uint8Array | undefined) => string): Seen {
  return { version, resources: Object.fromEntries(resources.map(({ name, bytes }) => [name, of(bytes)])) }
}

describeWithEtcd('the same configuration', () => {
  test('has equal versions and bytes from files and from etcd, in any order, on two servers, before and after a restart', async () => {
    const etcd = await startEtcd()
    const store = createEtcdStore(etcd)
    const random = randomFrom(7)
    await store.write(asLists(shuffled(inAnyOrder(world, random), random)))
    const flags = [
      { config: [asFiles(world)], snapshots: tempDir() },
      { ...store.flags, snapshots: tempDir() },
    ]
    const servers: TestControlPlane[] = []
    for (const each of flags) servers.push(await startControlPlane(each))
    const [files, lists] = servers as [TestControlPlane, TestControlPlane]
    for (const server of servers) {
      await server.pipeline.ready
      expect(problemsOf(server)).toEqual([])
    }

    const seen = await seenOf(files)
    for (const [what, { version, resources }] of Object.entries(seen)) {
      expect(version, what).not.toBe('')
      expect(Object.keys(resources), what).not.toEqual([])
    }
    for (const { word } of types) {
      const versions = Object.entries(seen).filter(([what]) => what.endsWith(` ${word}`))
      // The three ways of asking state one version, so a client that changes its way has what it had.
      expect(new Set(versions.map(([, { version }]) => version)).size, word).toBe(1)
    }
    expect(await seenOf(lists)).toEqual(seen)

    // Restarted: the one finds everything in other files than before; the other has only its history.
    await Promise.all(servers.map((server) => server.close()))
    await etcd.stop()
    const again = await startControlPlane({
      ...flags[0],
      config: [asFiles(shuffled(inAnyOrder(world, random), random))],
    })
    const restored = await startControlPlane({ ...flags[1] })
    await Promise.all([again, restored].map(({ pipeline }) => pipeline.ready))
    expect(restored.pipeline.isServingRestored).toBe(true)
    expect(await seenOf(again)).toEqual(seen)
    const withoutSecrets = Object.fromEntries(Object.entries(seen).filter(([what]) => !what.endsWith(' secret')))
    expect(await seenOf(restored, ['secret'])).toEqual(withoutSecrets)
  })
})

describeWithEtcd('a mesh', () => {
  test('is the same snapshot from files and from etcd, in any order', async () => {
    const directory = fileURLToPath(new URL('../../examples/shop/config', import.meta.url))
    const documents = readdirSync(directory).flatMap((file) =>
      parseAllDocuments(readFileSync(join(directory, file), 'utf8')).map((one) => one.toJS() as Json),
    )
    const etcd = await startEtcd()
    const store = createEtcdStore(etcd)
    const random = randomFrom(11)
    const keyed = inAnyOrder(documents, random).map((one, index) => [`document-${index}`, one] as const)
    await store.write(Object.fromEntries(keyed))
    const seen: Readonly<Record<string, Seen>>[] = []
    for (const flags of [{ config: [directory] }, store.flags]) {
      const server = await startControlPlane(flags)
      await server.pipeline.ready
      expect(problemsOf(server)).toEqual([])
      const others = types.map(({ word }) => word).filter((word) => !ofMeshes.has(word))
      seen.push(await seenOf(server, others))
    }
    expect(Object.keys(seen[0]?.['delta cluster']?.resources ?? {}).length).toBeGreaterThan(12)
    expect(seen[1]).toEqual(seen[0])
  })
})

describe('a configuration that flips between two forms', () => {
  const flips = 1_000

  test(`has nonces that strictly increase over ${flips} flips, and two versions`, async () => {
    const source = createMemorySource('memory')
    const textOf = (flip: number): string =>
      JSON.stringify(cluster('flip', { connect_timeout: `${1 + (flip % 2)}s` })['cluster/flip'])
    source.put('flip', textOf(0))
    const server = await startControlPlane({ config: ['none'], debounce: '0s' }, [{ source, idPrefix: '' }])
    await server.pipeline.ready
    const type_url = resourceTypes.cluster.typeUrl
    const clients = (['sotw', 'delta', 'sotw', 'delta'] as const).map((protocol) => {
      const stream = openStream({ port: server.xdsPort, protocol })
      stream.send({ node: { id: `edge-${protocol}`, cluster: 'edge' }, type_url })
      return stream
    })
    for (let flip = 1; flip <= flips + 1; flip++) {
      for (const client of clients) {
        const { nonce, version } = await client.next()
        client.send({ type_url, response_nonce: nonce, ...(client.protocol === 'sotw' && { version_info: version }) })
      }
      source.put('flip', textOf(flip))
    }
    for (const { received, protocol } of clients) {
      expect(received.length).toBeGreaterThan(flips)
      const nonces = received.map(({ nonce }) => Number(nonce))
      expect(nonces.every((nonce, index) => index === 0 || nonce > (nonces[index - 1] as number))).toBe(true)
      const contents = received.map(({ resources: [flip] }) => hash(flip?.bytes))
      expect(contents.every((content, index) => index < 2 || content === contents[index - 2])).toBe(true)
      expect(new Set(contents).size).toBe(2)
      const versions = received.map(({ version, resources: [flip] }) => (protocol === 'sotw' ? version : flip?.version))
      expect(new Set(versions).size).toBe(2)
    }
  })
})
