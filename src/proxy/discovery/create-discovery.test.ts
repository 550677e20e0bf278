import { credentials } from '@grpc/grpc-js'
import { describe, expect, it } from 'vitest'
import { atTestEnd } from '../../../test/support/at-test-end.ts'
import { rejections, startControlPlane } from '../../../test/support/control-plane.ts'
import { createFileStore } from '../../../test/support/document-store.ts'
import { cluster as clusterDocument, endpoints } from '../../../test/support/documents.ts'
import { type FakeXdsServer, type FakeXdsStream, startFakeXdsServer } from '../../../test/support/fake-xds-server.ts'
import { eventually } from '../../../test/support/poll.ts'
import type { Protocol } from '../../../test/support/wire-client.ts'
import { type Clock, systemClock } from '../../clock.ts'
import { silentLog } from '../../log.ts'
import { loadEnvoyApi } from '../../resource/envoy-api.ts'
import { decodeMessage } from '../../resource/json/codec.ts'
import { ConfigRejection } from '../config/config-rejection.ts'
import { noLocality } from '../config/locality.ts'
import { createRuntime } from '../runtime.ts'
import { createStatStore } from '../stats/create-stat-store.ts'
import type { StatStore } from '../stats/stat-store.ts'
import { type AdsDiscovery, createDiscovery } from './create-discovery.ts'
import type { CollectionWatcher, DiscoveredResource, ResourceWatcher } from './discovery.ts'
import type { Misbehaviour } from './misbehaviour.ts'

const api = loadEnvoyApi()

const prefix = 'type.googleapis.com/'
const types = {
  cluster: `${prefix}envoy.config.cluster.v3.Cluster`,
  endpoint: `${prefix}envoy.config.endpoint.v3.ClusterLoadAssignment`,
  route: `${prefix}envoy.config.route.v3.RouteConfiguration`,
} as const

type Word = keyof typeof types

function nodeOf(id: string): object {
  const { message } = decodeMessage(api, `${prefix}envoy.config.core.v3.Node`, new Uint8Array(0))
  return Object.assign(message, { id, cluster: 'edge' })
}

interface Bed {
  readonly server: FakeXdsServer
  readonly discovery: AdsDiscovery
  readonly stats: StatStore
}

interface BedOptions {
  readonly clock?: Clock
  readonly misbehaviour?: Misbehaviour
}

async function startBed(protocol: Protocol, options: BedOptions = {}): Promise<Bed> {
  const server = await startFakeXdsServer()
  return { server, ...startDiscovery(protocol, server.port, options) }
}

function startDiscovery(
  protocol: Protocol,
  port: number,
  { clock = systemClock, misbehaviour }: BedOptions,
): Omit<Bed, 'server'> {
  const stats = createStatStore()
  const discovery = createDiscovery({
    context: {
      api,
      clock,
      stats,
      node: { id: 'edge-1', cluster: 'edge', locality: noLocality },
      random: () => 0,
      log: silentLog,
      runtime: createRuntime(),
    },
    ads: {
      protocol,
      server: {
        targets: [`ipv4:127.0.0.1:${port}`],
        credentials: credentials.createInsecure(),
        options: { 'grpc.use_local_subchannel_pool': 1 },
      },
      node: nodeOf('edge-1'),
      saysNodeOnce: true,
      pauses: { firstMs: 500, longestMs: 30_000 },
    },
    misbehaviour,
  })
  atTestEnd(() => discovery.close())
  return { discovery, stats }
}

/** Answers in both protocols. */
function answer(
  stream: FakeXdsStream,
  word: Word,
  nonce: string,
  version: string,
  resources: readonly Readonly<Record<string, unknown>>[],
  removed: readonly string[] = [],
): void {
  const type_url = types[word]
  const bodies = resources.map((body) => ({ '@type': type_url, ...body }))
  if (stream.protocol === 'sotw') {
    stream.send({ type_url, nonce, version_info: version, resources: bodies })
    return
  }
  stream.send({
    type_url,
    nonce,
    system_version_info: version,
    resources: resources.map((body, at) => ({
      name: body['name'] ?? body['cluster_name'],
      version,
      resource: bodies[at],
    })),
    removed_resources: removed,
  })
}

const cluster = (name: string, seconds = 1) => ({ name, type: 'STATIC', connect_timeout: `${seconds}s` })

const assignment = (name: string) => ({ cluster_name: name })

interface Seen<Watcher> {
  readonly watcher: Watcher
  readonly seen: readonly string[]
  /** What was seen since it was last called; waits for something. */
  more(): Promise<readonly string[]>
}

function recorder(): { readonly seen: string[]; see(text: string): void; more(): Promise<readonly string[]> } {
  const seen: string[] = []
  const waiting: (() => void)[] = []
  let taken = 0
  return {
    seen,
    see(text) {
      seen.push(text)
      for (const wake of waiting.splice(0)) wake()
    },
    async more() {
      if (seen.length === taken) await new Promise<void>((resolve) => waiting.push(resolve))
      const before = taken
      taken = seen.length
      return seen.slice(before)
    },
  }
}

function seeAll(refused: Readonly<Record<string, string>> = {}): Seen<CollectionWatcher> {
  const record = recorder()
  const shown = ({ name, version }: DiscoveredResource): string => `${name}@${version}`
  const watcher: CollectionWatcher = {
    onUpdate(changed, removed) {
      record.see([...changed.map(shown), ...removed.map((name) => `-${name}`)].join(' '))
      return new Map(changed.flatMap(({ name }) => (refused[name] === undefined ? [] : [[name, refused[name]]])))
    },
    onMissing: () => record.see('missing'),
  }
  return { ...record, watcher }
}

function seeOne(refusal?: string): Seen<ResourceWatcher> {
  const record = recorder()
  const watcher: ResourceWatcher = {
    onResource({ name, version }) {
      if (refusal !== undefined) throw new ConfigRejection(refusal)
      record.see(`${name}@${version}`)
    },
    onMissing: () => record.see('missing'),
  }
  return { ...record, watcher }
}

const protocols: readonly Protocol[] = ['sotw', 'delta']

describe.each(protocols)('discovery over %s', (protocol) => {
  const isSotw = protocol === 'sotw'
  /** What an ACK of it says in each protocol. */
  const acked = (word: Word, nonce: string, version: string, names: readonly string[] = []) =>
    isSotw
      ? {
          type_url: types[word],
          version_info: version,
          response_nonce: nonce,
          ...(names.length > 0 && { resource_names: names }),
        }
      : { type_url: types[word], response_nonce: nonce }

  it('asks for all clusters, says who it is once, and acknowledges what it takes', async () => {
    const { server, discovery, stats } = await startBed(protocol)
    const clusters = seeAll()
    discovery.watchAll('cluster', clusters.watcher)
    const stream = await server.nextStream()
    expect(stream.protocol).toBe(protocol)
    expect(await stream.next()).toEqual({ node: { id: 'edge-1', cluster: 'edge' }, type_url: types.cluster })

    answer(stream, 'cluster', 'n1', 'v1', [cluster('a'), cluster('b')])
    expect(await clusters.more()).toEqual(['a@v1 b@v1'])
    expect(await stream.next()).toEqual(acked('cluster', 'n1', 'v1'))
    expect(stats.texts.get('cluster_manager.cds.version_text')?.value).toBe('v1')
    expect(stats.counters.get('cluster_manager.cds.update_success')?.value).toBe(1)
    expect(stats.gauges.get('control_plane.connected_state')?.value).toBe(1)
  })

  it('tells of a second answer only what has changed in it, and what is gone', async () => {
    const { server, discovery } = await startBed(protocol)
    const clusters = seeAll()
    discovery.watchAll('cluster', clusters.watcher)
    const stream = await server.nextStream()
    answer(stream, 'cluster', 'n1', 'v1', [cluster('a'), cluster('b'), cluster('c')])
    await clusters.more()
    if (isSotw) answer(stream, 'cluster', 'n2', 'v2', [cluster('c', 2), cluster('a')])
    else answer(stream, 'cluster', 'n2', 'v2', [cluster('c', 2)], ['b', 'never-was'])
    expect(await clusters.more()).toEqual(['c@v2 -b'])
  })

  it('refuses a bad cluster by name, keeps the version, and takes the others', async () => {
    const { server, discovery, stats } = await startBed(protocol)
    const clusters = seeAll({ bad: 'no such thing', worse: 'neither' })
    discovery.watchAll('cluster', clusters.watcher)
    const stream = await server.nextStream()
    await stream.next()
    answer(stream, 'cluster', 'n1', 'v1', [cluster('a')])
    await clusters.more()
    await stream.next()
    answer(stream, 'cluster', 'n2', 'v2', [cluster('a'), cluster('bad'), cluster('worse'), cluster('c')])
    expect(await clusters.more()).toEqual(['bad@v2 worse@v2 c@v2'])
    expect(await stream.next()).toEqual({
      ...acked('cluster', 'n2', 'v1'),
      error_detail: { code: 13, message: 'Error adding/updating cluster(s) bad: no such thing, worse: neither' },
    })
    expect(stats.counters.get('cluster_manager.cds.update_rejected')?.value).toBe(1)
    expect(stats.texts.get('cluster_manager.cds.version_text')?.value).toBe('v1')

    // What was refused is tried again, what was taken is not.
    answer(stream, 'cluster', 'n3', 'v3', [cluster('a'), cluster('bad'), cluster('c')])
    expect(await clusters.more()).toEqual(['bad@v3'])
  })

  it('refuses the whole response where a rule of the API is broken', async () => {
    const { server, discovery } = await startBed(protocol)
    const clusters = seeAll()
    discovery.watchAll('cluster', clusters.watcher)
    const stream = await server.nextStream()
    await stream.next()
    answer(stream, 'cluster', 'n1', 'v1', [cluster('a'), cluster('bad', 0)])
    expect(await clusters.more()).toEqual(['missing'])
    expect(await stream.next()).toMatchObject({
      response_nonce: 'n1',
      error_detail: {
        code: 13,
        message: expect.stringContaining(
          'name: "bad"\n: Proto constraint validation failed (ClusterValidationError.ConnectTimeout: value must be ',
        ),
      },
    })
  })

  it('refuses what a mistake of its own lets it not take, and goes on', async () => {
    const { server, discovery } = await startBed(protocol)
    let isBroken = true
    const watcher: CollectionWatcher = {
      onUpdate() {
        if (isBroken) throw new TypeError('undefined is not a function')
        return new Map()
      },
      onMissing: () => undefined,
    }
    discovery.watchAll('cluster', watcher)
    const stream = await server.nextStream()
    await stream.next()
    answer(stream, 'cluster', 'n1', 'v1', [cluster('a')])
    expect(await stream.next()).toMatchObject({ error_detail: { message: 'undefined is not a function' } })
    isBroken = false
    answer(stream, 'cluster', 'n2', 'v2', [cluster('a')])
    expect(await stream.next()).toEqual(acked('cluster', 'n2', 'v2'))
  })

  it('asks for names in one request, gives each to who waits for it, and leaves others alone', async () => {
    const { server, discovery, stats } = await startBed(protocol)
    const [a, b] = [seeOne(), seeOne()]
    discovery.watch('route', 'a', a.watcher, { stats: stats.scope('http.edge.rds.a.') })
    discovery.watch('route', 'b', b.watcher)
    const stream = await server.nextStream()
    expect(await stream.next()).toEqual({
      node: { id: 'edge-1', cluster: 'edge' },
      type_url: types.route,
      ...(isSotw ? { resource_names: ['b', 'a'] } : { resource_names_subscribe: ['a', 'b'] }),
    })
    answer(stream, 'route', 'n1', 'v1', [{ name: 'a' }, { name: 'nobody-asked' }])
    expect(await a.more()).toEqual(['a@v1'])
    expect(b.seen).toEqual([])
    expect(await stream.next()).toEqual(acked('route', 'n1', 'v1', ['b', 'a']))
    expect(stats.counters.get('http.edge.rds.a.update_success')?.value).toBe(1)
  })

  it('gives a later watch of the same routes what is known, and asks nobody', async () => {
    const { server, discovery } = await startBed(protocol)
    const [first, second] = [seeOne(), seeOne()]
    discovery.watch('route', 'a', first.watcher)
    const stream = await server.nextStream()
    answer(stream, 'route', 'n1', 'v1', [{ name: 'a' }])
    await first.more()
    const watching = discovery.watch('route', 'a', second.watcher)
    expect(second.seen).toEqual([])
    expect(await second.more()).toEqual(['a@v1'])
    watching.cancel()
    answer(stream, 'route', 'n2', 'v2', [{ name: 'a', virtual_hosts: [{ name: 'x', domains: ['*'] }] }])
    expect(await first.more()).toEqual(['a@v2'])
    expect(second.seen).toEqual(['a@v1'])
  })

  it('asks again for an assignment of a cluster that warms anew', async () => {
    const { server, discovery } = await startBed(protocol)
    const [old, young] = [seeOne(), seeOne()]
    discovery.watch('endpoint', 'x', seeOne().watcher)
    const watching = discovery.watch('endpoint', 'a', old.watcher)
    const stream = await server.nextStream()
    await stream.next()
    answer(stream, 'endpoint', 'n1', 'v1', [assignment('x'), assignment('a')])
    expect(await old.more()).toEqual(['a@v1'])
    expect(await stream.next()).toEqual(acked('endpoint', 'n1', 'v1', ['a', 'x']))

    discovery.watch('endpoint', 'a', young.watcher)
    if (isSotw) expect(await stream.next()).toEqual(acked('endpoint', 'n1', 'v1', ['a', 'x']))
    answer(stream, 'endpoint', 'n2', 'v1', [assignment('a')])
    expect(await young.more()).toEqual(['a@v1'])
    // The old one had that already.
    expect(old.seen).toEqual(['a@v1'])
    watching.cancel()
    expect(await stream.next()).toEqual(acked('endpoint', 'n2', 'v1', ['a', 'x']))
  })

  it('says of a name that nobody wants any more that it does not', async () => {
    const { server, discovery } = await startBed(protocol)
    const watching = discovery.watch('route', 'a', seeOne().watcher)
    discovery.watch('route', 'b', seeOne().watcher)
    const stream = await server.nextStream()
    await stream.next()
    watching.cancel()
    expect(await stream.next()).toEqual({
      type_url: types.route,
      ...(isSotw ? { resource_names: ['b'] } : { resource_names_unsubscribe: ['a'] }),
    })
  })

  it('refuses routes with the reason of who reads them, and waits for them no longer', async () => {
    const { server, discovery } = await startBed(protocol)
    const routes = seeOne('Duplicate entry of domain a in route a')
    discovery.watch('route', 'a', routes.watcher)
    const stream = await server.nextStream()
    await stream.next()
    answer(stream, 'route', 'n1', 'v1', [{ name: 'a' }])
    expect(await routes.more()).toEqual(['missing'])
    expect(await stream.next()).toEqual({
      type_url: types.route,
      response_nonce: 'n1',
      ...(isSotw && { resource_names: ['a'] }),
      error_detail: { code: 13, message: 'Duplicate entry of domain a in route a' },
    })
  })

  it('waits with the requests of a type that is paused, and with no others', async () => {
    const { server, discovery } = await startBed(protocol)
    const clusters = seeAll()
    discovery.watchAll('cluster', clusters.watcher)
    const stream = await server.nextStream()
    await stream.next()
    const [resume, resumeToo] = [discovery.pause('cluster'), discovery.pause('cluster')]
    answer(stream, 'cluster', 'n1', 'v1', [cluster('a')])
    await clusters.more()
    discovery.watch('endpoint', 'a', seeOne().watcher)
    expect(await stream.next()).toMatchObject({ type_url: types.endpoint })
    answer(stream, 'endpoint', 'n2', 'v1', [assignment('a')])
    expect(await stream.next()).toMatchObject({ type_url: types.endpoint, response_nonce: 'n2' })
    resume()
    resume()
    answer(stream, 'endpoint', 'n3', 'v1', [assignment('a')])
    expect(await stream.next()).toMatchObject({ type_url: types.endpoint, response_nonce: 'n3' })
    resumeToo()
    expect(await stream.next()).toEqual(acked('cluster', 'n1', 'v1'))
  })

  it('comes again after the stream broke, with what it has', async () => {
    const { server, discovery, stats } = await startBed(protocol)
    const [clusters, route] = [seeAll(), seeOne()]
    discovery.watchAll('cluster', clusters.watcher)
    discovery.watch('route', 'a', route.watcher)
    discovery.watch('route', 'b', seeOne().watcher)
    const first = await server.nextStream()
    answer(first, 'cluster', 'n1', 'v1', [cluster('a'), cluster('b')])
    await clusters.more()
    answer(first, 'route', 'n2', 'v7', [{ name: 'a' }])
    await route.more()
    for (let count = 0; count < 4; count++) await first.next()
    first.fail()

    const second = await server.nextStream()
    expect(await second.next()).toEqual({
      node: { id: 'edge-1', cluster: 'edge' },
      type_url: types.cluster,
      ...(isSotw ? { version_info: 'v1' } : { initial_resource_versions: { a: 'v1', b: 'v1' } }),
    })
    expect(await second.next()).toEqual({
      type_url: types.route,
      ...(isSotw
        ? { version_info: 'v7', resource_names: ['b', 'a'] }
        : { resource_names_subscribe: ['a', 'b'], initial_resource_versions: { a: 'v7' } }),
    })
    expect(stats.counters.get('cluster_manager.cds.update_failure')?.value).toBe(1)
    // Equal content is nothing new.
    answer(second, 'cluster', 'm1', 'v1', [cluster('a'), cluster('b')])
    expect(await clusters.more()).toEqual([''])
  })

  it('answers nothing of a type that nobody asked for, and refuses what is of another type than it says', async () => {
    const { server, discovery } = await startBed(protocol)
    const clusters = seeAll()
    discovery.watchAll('cluster', clusters.watcher)
    const stream = await server.nextStream()
    await stream.next()
    answer(stream, 'endpoint', 'n1', 'v1', [assignment('a')])
    stream.send({
      type_url: types.cluster,
      nonce: 'n2',
      resources: [
        isSotw
          ? { '@type': types.route, name: 'x' }
          : { name: 'x', version: '1', resource: { '@type': types.route, name: 'x' } },
      ],
    })
    expect(await stream.next()).toMatchObject({
      response_nonce: 'n2',
      error_detail: { message: expect.stringContaining('does not match the message-wide type URL') },
    })
  })

  it('lets a resource expire that has a TTL, unless a heartbeat comes', async () => {
    const { server, discovery } = await startBed(protocol)
    const clusters = seeAll()
    discovery.watchAll('cluster', clusters.watcher)
    const stream = await server.nextStream()
    const wrap = (body?: object) => ({
      ...(isSotw && { '@type': `${prefix}envoy.service.discovery.v3.Resource` }),
      name: 'brief',
      version: 'v1',
      ttl: '1s',
      ...(body && { resource: { '@type': types.cluster, ...body } }),
    })
    const started = performance.now()
    const version = isSotw ? 'version_info' : 'system_version_info'
    stream.send({ type_url: types.cluster, nonce: 'n1', [version]: 'v1', resources: [wrap(cluster('brief'))] })
    expect(await clusters.more()).toEqual(['brief@v1'])
    await new Promise((resolve) => setTimeout(resolve, 500))
    stream.send({ type_url: types.cluster, nonce: 'n2', [version]: 'v1', resources: [wrap()] })
    expect(await clusters.more()).toEqual([''])
    expect(await clusters.more()).toEqual(['-brief'])
    expect(performance.now() - started).toBeGreaterThan(1450)
  })

  it('waits for a first answer as long as it was told to', async () => {
    const { server, discovery, stats } = await startBed(protocol)
    const routes = seeOne()
    discovery.watch('route', 'a', routes.watcher, { initialFetchTimeoutMs: 20, stats: stats.scope('r.') })
    await server.nextStream()
    expect(await routes.more()).toEqual(['missing'])
    expect(stats.counters.get('r.init_fetch_timeout')?.value).toBe(1)
  })

  it('hears of a change that the own server makes, and tells it what is refused', async () => {
    const store = createFileStore()
    await store.write({ ...clusterDocument('a'), ...endpoints('a'), ...clusterDocument('b'), ...endpoints('b') })
    const controlPlane = await startControlPlane(store.flags)
    const refuses: Misbehaviour['refuses'] = ({ name, content }) =>
      name === 'b' && content['connect_timeout'] === '7s' ? 'seven' : undefined
    const { discovery } = startDiscovery(protocol, controlPlane.xdsPort, { misbehaviour: { refuses } })
    const [clusters, assigned] = [seeAll(), seeOne()]
    discovery.watchAll('cluster', clusters.watcher)
    await clusters.more()
    expect(clusters.seen[0]).toMatch(/^a@\w+ b@\w+$/)
    discovery.watch('endpoint', 'a', assigned.watcher)
    await assigned.more()
    await store.write({
      ...clusterDocument('b', { connect_timeout: '7s' }),
      ...clusterDocument('c'),
      ...endpoints('c'),
    })
    await clusters.more()
    expect(clusters.seen[1]).toMatch(/^c@\w+$/)
    await eventually(async () => (await rejections(controlPlane)) > 0)
  })

  describe('told to misbehave', () => {
    it('refuses what a test wants it to', async () => {
      const misbehaviour: Misbehaviour = { refuses: ({ name }) => (name === 'b' ? 'because' : undefined) }
      const { server, discovery } = await startBed(protocol, { misbehaviour })
      const clusters = seeAll()
      discovery.watchAll('cluster', clusters.watcher)
      const stream = await server.nextStream()
      await stream.next()
      answer(stream, 'cluster', 'n1', 'v1', [cluster('a'), cluster('b')])
      expect(await clusters.more()).toEqual(['a@v1'])
      expect(await stream.next()).toMatchObject({
        error_detail: { message: 'Error adding/updating cluster(s) b: because' },
      })
    })

    it('never answers', async () => {
      const misbehaviour: Misbehaviour = { neverAnswers: (type) => type === 'cluster' }
      const { server, discovery } = await startBed(protocol, { misbehaviour })
      const clusters = seeAll()
      discovery.watchAll('cluster', clusters.watcher)
      const stream = await server.nextStream()
      await stream.next()
      answer(stream, 'cluster', 'n1', 'v1', [cluster('a')])
      await clusters.more()
      discovery.watch('route', 'a', seeOne().watcher)
      expect(await stream.next()).toMatchObject({ type_url: types.route })
    })

    it('loses requests and sends others in another order', async () => {
      const misbehaviour: Misbehaviour = {
        drops: ({ type }) => type === 'endpoint',
        reorders: (requests) => [...requests].reverse(),
      }
      const { server, discovery } = await startBed(protocol, { misbehaviour })
      discovery.watchAll('cluster', seeAll().watcher)
      discovery.watch('endpoint', 'a', seeOne().watcher)
      discovery.watch('route', 'a', seeOne().watcher)
      const stream = await server.nextStream()
      expect(await stream.next()).toMatchObject({ type_url: types.route })
      expect(await stream.next()).toMatchObject({ type_url: types.cluster })
    })

    it('reads nothing while it is stalled, and all of it afterwards', async () => {
      const { server, discovery } = await startBed(protocol)
      const clusters = seeAll()
      discovery.watchAll('cluster', clusters.watcher)
      const stream = await server.nextStream()
      await stream.next()
      discovery.stall()
      answer(stream, 'cluster', 'n1', 'v1', [cluster('a')])
      discovery.watch('route', 'a', seeOne().watcher)
      expect(await stream.next()).toMatchObject({ type_url: types.route })
      expect(clusters.seen).toEqual([])
      const more = clusters.more()
      discovery.resume()
      expect(await more).toEqual(['a@v1'])
    })
  })
})
