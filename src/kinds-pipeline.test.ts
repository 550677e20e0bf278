import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTick } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import { atTestEnd } from '../test/support/at-test-end.ts'
import { tempDir } from '../test/support/temp.ts'
import type { SnapshotCache } from './cache/cache.ts'
import { createSnapshotCache } from './cache/snapshot-cache.ts'
import { parseDocument } from './config/parse-document.ts'
import { silentLog } from './log.ts'
import { createMetrics } from './metrics.ts'
import { createPipeline, type Pipeline } from './pipeline.ts'
import { loadEnvoyApi } from './resource/envoy-api.ts'
import { nodeOfJson } from './resource/node.ts'
import { buildResource } from './resource/resource.ts'
import { resourceTypes, wordOf } from './resource/type-url.ts'
import { restoreUnits } from './restored-units.ts'
import { HistoryDirectory } from './snapshot/history/directory.ts'
import { createHistory, type History } from './snapshot/store.ts'
import { createWorld } from './snapshot/world.ts'
import { createMemorySource, type MemorySource } from './source/memory-source.ts'
import { createMesh } from './translate/mesh.ts'

const api = loadEnvoyApi()

const cart = 'kind: Service\nname: cart\nendpoints: {address: 10.0.0.1, port: 80}\n'
const edge = 'kind: Gateway\nname: edge\nnodes: {cluster: edge}\nlisteners: {name: http, port: 80, protocol: http}\n'
const shop = 'kind: Route\nname: shop\ngateways: edge\nrules: {backends: cart}\n'

interface Bed {
  readonly pipeline: Pipeline
  readonly source: MemorySource
  readonly history: History
  readonly cache: SnapshotCache
  /** What a node of that cluster is served, `cluster cart`; undefined while it is not answered. */
  readonly served: (cluster?: string) => string[] | undefined
  readonly told: () => string[]
  readonly close: () => Promise<void>
}

/** Once what was written is in force. */
async function settled(pipeline: Pipeline): Promise<void> {
  // The source hands its update over in later turns of the event loop.
  for (let turn = 0; turn < 10; turn++) await nextTick()
  await pipeline.settled()
}

/** A server's way from its sources to its cache, with a history in `directory`. */
async function start(directory: string, documents: Readonly<Record<string, string>>): Promise<Bed> {
  const log = silentLog
  const source = createMemorySource('memory')
  source.apply({ put: documents })
  const history = await createHistory({
    place: new HistoryDirectory(directory),
    maxRevisions: 10,
    maxBytes: 1e7,
    api,
    log,
  })
  const cache = createSnapshotCache()
  const restored = restoreUnits(api, history.restored?.units ?? [], log)
  const mesh = createMesh(api, restored.generated)
  const world = createWorld({
    staticNames: {},
    allowPartial: false,
    restored: restored.documents,
    judge: (candidate) => mesh.try(candidate),
    nodesOf: (touches) => mesh.nodesOf(touches),
  })
  const pipeline = createPipeline(
    {
      sources: [{ source, idPrefix: '' }],
      parse: (document, held) => parseDocument(api, document, { held }),
      world,
      cache,
      history,
      lastGenerated: restored.generated,
      metrics: createMetrics(),
      log,
    },
    { debounceMs: 0, debounceMaxMs: 0, allowEmpty: false },
  )
  const close = async (): Promise<void> => {
    await pipeline.close()
    await history.close()
  }
  atTestEnd(close)
  await pipeline.ready
  await pipeline.settled()
  return {
    pipeline,
    source,
    history,
    cache,
    close,
    served(cluster = 'edge') {
      const { snapshot } = cache.snapshotFor(nodeOfJson({ id: 'n', cluster, metadata: {} }))
      return (
        snapshot &&
        [...snapshot.sets.values()]
          .flatMap((set) => [...set.values()].map(({ typeUrl, name }) => `${wordOf(typeUrl)} ${name}`))
          .sort()
      )
    },
    told: () => pipeline.problems.map(({ code, origin }) => `${code} ${origin.name}:${origin.line ?? 0}`),
  }
}

const all = ['cluster cart', 'endpoint cart', 'listener edge/http', 'route edge/http']

describe('documents of kinds', () => {
  it('reach clients only as what they are translated to, and the history as both', async () => {
    const { served, history } = await start(tempDir(), { cart, edge, shop })
    expect(served()).toEqual(all)
    expect(served('other')).toEqual([])
    expect(history.revision).toBe(1)
    const view = await history.show(1)
    expect(view?.units.map(({ key }) => key).sort()).toEqual(['+Gateway/edge', '+Service/cart', 'cart', 'edge', 'shop'])
  })

  it('are translated anew after a restart, which is no new revision', async () => {
    const directory = tempDir()
    const first = await start(directory, { cart, edge, shop })
    const before = first.cache.snapshotFor(nodeOfJson({ id: 'n', cluster: 'edge', metadata: {} })).snapshot
    await first.close()
    const second = await start(directory, { cart, edge, shop })
    expect(second.cache.snapshotFor(nodeOfJson({ id: 'n', cluster: 'edge', metadata: {} })).snapshot).toBe(before)
    expect(second.history.revision).toBe(1)
  })

  it('reach clients with the next change when their own failed after they were translated', async () => {
    const { cache, source, pipeline, served, history } = await start(tempDir(), { cart })
    vi.spyOn(cache, 'apply').mockImplementationOnce(() => {
      throw new Error('failed')
    })
    source.apply({ put: { edge, shop } })
    await settled(pipeline)
    expect(served()).toEqual([])
    source.put('none', 'resources: []')
    await settled(pipeline)
    expect(served()).toEqual(all)
    const view = await history.show(2)
    const units = ['+Gateway/edge', '+Service/cart', 'cart', 'edge', 'none', 'shop']
    expect(view?.units.map(({ key }) => key).sort()).toEqual(units)
  })

  it('stay as they last were when they are broken while the server is away', async () => {
    const directory = tempDir()
    await (await start(directory, { cart, edge, shop })).close()
    const { served, told, source, pipeline } = await start(directory, { cart: `${cart}port: many\n`, edge, shop })
    expect(served()).toEqual(all)
    expect(told()).toEqual(['wrong-type cart:4'])
    source.put('cart', cart)
    await settled(pipeline)
    expect(told()).toEqual([])
  })

  it('make a revision when this version translates them to something else', async () => {
    const directory = tempDir()
    const first = await start(directory, { cart, edge, shop })
    const other = buildResource({ typeUrl: 'x', name: 'y', bytes: new Uint8Array(1), origin: { name: 'cart' } })
    const unit = { origin: { name: 'cart' }, selectors: [], resources: [other] }
    const upserted = ['+Service/cart', '+Service/old'].map((key) => ({ key, ...unit }))
    first.history.append({ upserted, removed: [], cause: { documents: [] } })
    await first.close()
    const { history, served } = await start(directory, { cart, edge, shop })
    expect(served()).toEqual(all)
    expect(history.revision).toBe(3)
    const view = await history.show(3)
    expect(view?.units.map(({ key }) => key).sort()).toEqual(['+Gateway/edge', '+Service/cart', 'cart', 'edge', 'shop'])
  })

  it('go when they are deleted, with all that they were', async () => {
    const { source, pipeline, served, history } = await start(tempDir(), { cart, edge, shop })
    source.apply({ remove: ['cart', 'shop'] })
    await settled(pipeline)
    expect(served()).toEqual(['listener edge/http', 'route edge/http'])
    const view = await history.show(2)
    expect(view?.units.map(({ key }) => key).sort()).toEqual(['+Gateway/edge', 'edge'])
  })
})

describe('a Patch with a key in it', () => {
  const key = '-----BEGIN PRIVATE KEY-----c2VjcmV0'
  const patch = `kind: Patch
name: tls
target: {type: cluster, name: cart}
merge:
  transport_socket:
    name: tls
    typed_config:
      '@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
      common_tls_context:
        tls_certificates: [{certificate_chain: {inline_string: abc}, private_key: {inline_string: "${key}"}}]
`
  const onDisk = (directory: string): string =>
    readdirSync(directory)
      .map((name) => readFileSync(join(directory, name), 'latin1'))
      .join('')

  it('is not written down, and nobody is answered after a restart before it is read again', async () => {
    const directory = tempDir()
    const first = await start(directory, { cart, edge, shop, patch })
    const node = nodeOfJson({ id: 'n', cluster: 'edge', metadata: {} })
    const versionOf = (bed: Bed): string | undefined =>
      bed.cache.snapshotFor(node).snapshot?.sets.get(resourceTypes.cluster.typeUrl)?.get('cart')?.version
    const version = versionOf(first)
    expect(version).toBeDefined()
    await first.close()
    expect(onDisk(directory)).not.toContain('PRIVATE KEY')
    expect(onDisk(directory)).toContain('Patch')

    const second = await start(directory, { cart, edge, shop, patch })
    expect([versionOf(second), second.history.revision, second.told()]).toEqual([version, 1, []])
    await second.close()

    const broken = await start(directory, { cart, edge, shop, patch: `${patch}wrong: 1\n` })
    expect(broken.served()).toBeUndefined()
    broken.source.put('patch', patch)
    await settled(broken.pipeline)
    expect(versionOf(broken)).toBe(version)
    broken.source.apply({ remove: ['patch'] })
    await settled(broken.pipeline)
    expect(versionOf(broken)).not.toBe(version)
  })
})

describe('at the first start, with an error in', () => {
  const core = edge.replaceAll('edge', 'core')

  it.each([
    ['a Gateway, its own proxies are not answered', { cart, core, edge: `${edge}wrong: 1\n` }],
    ['a Route, those of its Gateways are not', { cart, core, edge, shop: `${shop}wrong: 1\n` }],
    ['a reference of a Route, those of its Gateways are not', { cart, core, edge, shop: shop.replace('cart', 'gone') }],
  ])('%s', async (_, documents) => {
    const { served } = await start(tempDir(), documents)
    expect(served('edge')).toBeUndefined()
    expect(served('core')).toEqual(['listener core/http', 'route core/http'])
    expect(served('other')).toEqual([])
  })

  it('a Service, no proxy of a Gateway is answered, and those that the mesh does not know are', async () => {
    const { served, source, pipeline } = await start(tempDir(), { cart: `${cart}wrong: 1\n`, core, edge, shop })
    expect([served('edge'), served('core'), served('other')]).toEqual([undefined, undefined, []])
    source.put('cart', cart)
    await settled(pipeline)
    expect(served('edge')).toEqual(all)
  })
})
