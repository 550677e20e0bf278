import { readFileSync } from 'node:fs'
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { SnapshotCache } from './cache/cache.ts'
import { createSnapshotCache } from './cache/snapshot-cache.ts'
import { parseDocument } from './config/parse-document.ts'
import type { Problem } from './errors.ts'
import { silentLog } from './log.ts'
import { createMetrics } from './metrics.ts'
import { createPipeline, type Pipeline, type PipelineDeps, type PipelineOptions } from './pipeline.ts'
import { loadEnvoyApi } from './resource/envoy-api.ts'
import { nodeOfJson } from './resource/node.ts'
import { resourceTypes } from './resource/type-url.ts'
import { setOf } from './snapshot/snapshot.ts'
import { createWorld, type Unit } from './snapshot/world.ts'
import { createMemorySource, type MemorySource } from './source/memory-source.ts'
import type { Document, Source, SourceUpdate } from './source/source.ts'

const api = loadEnvoyApi()
const edge = nodeOfJson({ id: 'edge-1', cluster: 'edge' })

function clusterText(name: string, extra = ''): string {
  return `'@type': type.googleapis.com/envoy.config.cluster.v3.Cluster\nname: ${name}\nconnect_timeout: 1s\n${extra}`
}

function routeText(name: string, cluster: string): string {
  return [
    "'@type': type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
    `name: ${name}`,
    'virtual_hosts:',
    `- {name: all, domains: ['*'], routes: [{match: {prefix: /}, route: {cluster: ${cluster}}}]}`,
  ].join('\n')
}

function listenerText(name: string, extra = ''): string {
  const address = 'address: {socket_address: {address: 0.0.0.0, port_value: 80}}'
  return `'@type': type.googleapis.com/envoy.config.listener.v3.Listener\nname: ${name}\n${address}\n${extra}`
}

function memoryOf(documents: Readonly<Record<string, string>>): MemorySource {
  const source = createMemorySource('memory')
  source.apply({ put: documents })
  return source
}

function unreachable(): MemorySource {
  const source = createMemorySource('unreachable')
  source.fail()
  return source
}

/** A source that tells what the test says: updates whose every field is absent, or as given. */
interface ScriptedSource extends Source {
  tell(update: {
    readonly upserted?: Readonly<Record<string, string>>
    readonly removed?: readonly string[]
    readonly unreadable?: readonly string[]
  }): void
}

function scriptedSource(): ScriptedSource {
  const updates: SourceUpdate[] = []
  let wake = (): void => {}
  return {
    name: 'scripted',
    tell({ upserted = {}, removed = [], unreadable = [] }) {
      const documents = Object.entries(upserted).map(([id, text]) => ({ id, text, origin: { name: id } }))
      const unread = unreadable.map((id) => ({ id, origin: { name: `place of ${id}` } }))
      updates.push({ kind: 'read', upserted: documents, removed, problems: [], unreadable: unread, isEmpty: false })
      wake()
    },
    async *watch(signal) {
      signal.addEventListener('abort', () => wake())
      while (!signal.aborted) {
        const update = updates.shift()
        if (update !== undefined) yield update
        else {
          await new Promise<void>((resolve) => {
            wake = resolve
          })
        }
      }
    },
  }
}

interface Bed {
  readonly source: MemorySource
  readonly pipeline: Pipeline
  readonly revisions: { readonly upserted: readonly Unit[]; readonly removed: readonly string[] }[]
  /** Names of a type that an edge node is served; undefined while it is not answered. */
  names(word?: 'cluster' | 'route' | 'listener'): string[] | undefined
  codes(): string[]
  inForce(): Unit[]
  failNextApply(): void
  /** Until it is told otherwise. */
  failEveryApply(fails: boolean): void
  /** From now on the history has this problem. */
  failHistory(problem: Problem | undefined): void
  /** The values of a metric, by their labels. */
  metric(name: string): Promise<Record<string, number>>
  readonly cache: SnapshotCache
}

let pipelines: Pipeline[] = []
afterEach(async () => {
  for (const pipeline of pipelines) await pipeline.close()
  pipelines = []
})

const parseHeld: PipelineDeps['parse'] = (document, held) => parseDocument(api, document, { held })

function bed(
  options: Partial<PipelineOptions> & {
    restored?: readonly Unit[]
    revision?: number
    allowPartial?: boolean
    source?: MemorySource
    /** In place of `source`. */
    sources?: PipelineDeps['sources']
    parse?: PipelineDeps['parse']
    attached?: PipelineDeps['attached']
    shared?: PipelineDeps['shared']
  } = {},
): Bed {
  const { restored, revision = 0, allowPartial = false, source = createMemorySource('memory'), ...rest } = options
  const { sources = [{ source, idPrefix: '' }], parse = parseHeld, attached, shared } = options
  const cache = createSnapshotCache()
  const world = createWorld({ staticNames: {}, allowPartial, ...(restored && { restored }) })
  let isFailing = false
  let isEveryFailing = false
  let historyProblem: Problem | undefined
  const metrics = createMetrics()
  const revisions: Bed['revisions'] = []
  const pipeline = createPipeline(
    {
      sources,
      parse,
      ...(attached && { attached }),
      shared,
      world: {
        inForce: world.inForce,
        generated: world.generated,
        addStaticNames: (names) => world.addStaticNames(names),
        apply(changes, step) {
          if (!isFailing && !isEveryFailing) return world.apply(changes, step)
          isFailing = false
          throw new Error('failed')
        },
      },
      cache,
      history: {
        revision,
        get problem() {
          return historyProblem
        },
        append: (step) => revisions.push({ upserted: step.upserted, removed: step.removed }),
        refresh: () => {},
      },
      metrics,
      log: silentLog,
    },
    { debounceMs: 0, debounceMaxMs: 0, allowEmpty: false, ...rest },
  )
  pipelines.push(pipeline)
  return {
    source,
    pipeline,
    revisions,
    names(word = 'cluster') {
      const { snapshot } = cache.snapshotFor(edge)
      return snapshot && [...setOf(snapshot, resourceTypes[word].typeUrl).values()].map(({ name }) => name)
    },
    codes: () => pipeline.problems.map(({ code }) => code),
    inForce: () => [...world.inForce.values()],
    failNextApply: () => {
      isFailing = true
    },
    failEveryApply: (fails) => {
      isEveryFailing = fails
    },
    failHistory: (problem) => {
      historyProblem = problem
    },
    async metric(name) {
      const { values = [] } = (await metrics.registry.getSingleMetric(name)?.get()) ?? {}
      return Object.fromEntries(values.map(({ labels, value }) => [Object.values(labels).join(), value]))
    },
    cache,
  }
}

/** Resolves when the pipeline has built what the source was just given. */
async function built(target: Bed, change: () => void): Promise<void> {
  change()
  // The source hands its update over in later turns of the event loop.
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve))
  await target.pipeline.settled()
}

describe('pipeline', () => {
  test('is not ready, and serves nothing, before its sources were read', async () => {
    const source = createMemorySource('memory')
    source.fail()
    const target = bed({ source })
    await built(target, () => {})
    expect(target.pipeline.isReady).toBe(false)
    expect(target.names()).toBeUndefined()
    expect(target.codes()).toEqual(['source-unreachable'])
  })

  test('serves an empty world when its source is empty at the first start', async () => {
    const target = bed()
    await built(target, () => {})
    expect(target.pipeline.isReady).toBe(true)
    expect(target.names()).toEqual([])
  })

  test('serves what its documents hold, and follows changes and removals', async () => {
    const target = bed()
    await built(target, () => target.source.put('a', clusterText('a')))
    await built(target, () => target.source.put('b', clusterText('b')))
    expect(target.names()).toEqual(['a', 'b'])
    await built(target, () => target.source.remove('a'))
    expect(target.names()).toEqual(['b'])
  })

  test('keeps a document as it last was while it has an error, and takes it when it is mended', async () => {
    const target = bed()
    await built(target, () => target.source.put('a', clusterText('a')))
    await built(target, () => target.source.put('a', clusterText('a2', 'lb_policy: NO_SUCH')))
    expect(target.names()).toEqual(['a'])
    expect(target.codes()).toContain('wrong-type')
    await built(target, () => target.source.put('a', clusterText('a2')))
    expect(target.names()).toEqual(['a2'])
    expect(target.codes()).toEqual([])
  })

  test('keeps everything that a document held while its YAML is broken', async () => {
    const target = bed()
    await built(target, () => target.source.put('a', `${clusterText('a')}\n---\n${clusterText('b')}`))
    await built(target, () => target.source.put('a', 'resources: [{'))
    expect(target.names()).toEqual(['a', 'b'])
    await built(target, () => target.source.put('a', clusterText('c')))
    expect(target.names()).toEqual(['c'])
  })

  test('other documents go on while one has an error', async () => {
    const target = bed()
    await built(target, () => target.source.put('a', clusterText('a')))
    await built(target, () => target.source.put('bad', 'kind: Policy\nname: cart'))
    await built(target, () => target.source.put('b', clusterText('b')))
    expect(target.names()).toEqual(['a', 'b'])
    expect(target.codes()).toEqual(['unsupported-kind'])
  })

  test('a document that waits for a name takes effect when the name comes', async () => {
    const target = bed()
    await built(target, () => target.source.put('a', clusterText('a')))
    await built(target, () => target.source.put('r', routeText('r', 'late')))
    expect(target.names('route')).toEqual([])
    expect(target.codes()).toContain('dangling-reference')
    await built(target, () => target.source.put('late', clusterText('late')))
    expect(target.names('route')).toEqual(['r'])
    expect(target.codes()).toEqual([])
  })

  test('a document that is still needed stays in force until nothing names what it holds', async () => {
    const target = bed()
    await built(target, () =>
      target.source.apply({ put: { a: clusterText('a'), r: routeText('r', 'a'), b: clusterText('b') } }),
    )
    await built(target, () => target.source.remove('a'))
    expect(target.names()).toEqual(['a', 'b'])
    expect(target.codes()).toEqual(['still-needed'])
    await built(target, () => target.source.put('r', routeText('r', 'b')))
    expect(target.names()).toEqual(['b'])
    expect(target.codes()).toEqual([])
  })

  test('refuses a source that became empty, until a document appears', async () => {
    const target = bed()
    await built(target, () => target.source.put('a', clusterText('a')))
    await built(target, () => target.source.remove('a'))
    expect(target.names()).toEqual(['a'])
    expect(target.codes()).toEqual(['source-empty'])
    await built(target, () => target.source.put('b', clusterText('b')))
    expect(target.names()).toEqual(['b'])
    expect(target.codes()).toEqual([])
  })

  test('keeps what a text held that is emptied, as writers do before they write', async () => {
    const target = bed()
    await built(target, () => target.source.apply({ put: { a: clusterText('a'), b: clusterText('b') } }))
    await built(target, () => target.source.put('b', '\n'))
    expect(target.names()).toEqual(['a', 'b'])
    expect(target.codes()).toEqual(['unreadable'])
    await built(target, () => target.source.put('b', 'resources: []'))
    expect(target.names()).toEqual(['a'])
    expect(target.codes()).toEqual([])
  })

  test('tells of a document that never could be read at its own place', async () => {
    const source = scriptedSource()
    const target = bed({ sources: [{ source, idPrefix: 'file:' }] })
    await built(target, () => source.tell({ unreadable: ['file:old-cart.yaml', 'file:cart.yaml'] }))
    const told = target.pipeline.problems.map(({ code, origin }) => `${code} ${origin.name}`)
    expect(told).toEqual(['withheld place of file:cart.yaml', 'withheld place of file:old-cart.yaml'])
  })

  test('watches no file for a document that is gone, and goes on for one that cannot be read', async () => {
    const source = scriptedSource()
    const forgotten: string[] = []
    const attached: PipelineDeps['attached'] = {
      async *changes() {},
      forget: (id) => forgotten.push(id),
    }
    const target = bed({ sources: [{ source, idPrefix: '' }], attached })
    const texts = { a: clusterText('a'), b: clusterText('b'), c: '' }
    await built(target, () => source.tell({ upserted: texts }))
    await built(target, () => source.tell({ unreadable: ['a', 'c'] }))
    expect(forgotten).toEqual([])
    await built(target, () => source.tell({ removed: ['b'] }))
    expect(forgotten).toEqual(['b'])
    await built(target, () => source.tell({ removed: ['c'] }))
    expect(forgotten).toEqual(['b', 'c'])
  })

  test('an empty text that never held anything is no problem', async () => {
    const target = bed({ source: memoryOf({ a: clusterText('a'), b: '' }) })
    await built(target, () => {})
    expect(target.names()).toEqual(['a'])
    expect(target.codes()).toEqual([])
  })

  describe('a text of several documents', () => {
    test('loses none that it still has when its first is deleted and stays because it is needed', async () => {
      const source = memoryOf({ r: routeText('r', 'a'), f: `${clusterText('a')}\n---\n${listenerText('l')}` })
      const target = bed({ source })
      await built(target, () => {})
      await built(target, () => source.put('f', listenerText('l')))
      expect(target.names('listener')).toEqual(['l'])
      expect(target.names()).toEqual(['a'])
      expect(target.codes()).toEqual(['still-needed'])
    })

    test('keeps one that is broken and has moved up', async () => {
      const source = memoryOf({ f: `${clusterText('a')}\n---\n${listenerText('l')}` })
      const target = bed({ source })
      await built(target, () => {})
      await built(target, () => source.put('f', listenerText('l', 'nmae: x')))
      expect(target.names('listener')).toEqual(['l'])
    })

    test('keeps one that is broken and has moved down', async () => {
      const source = memoryOf({ f: listenerText('l') })
      const target = bed({ source })
      await built(target, () => {})
      await built(target, () => source.put('f', `${clusterText('a')}\n---\n${listenerText('l', 'nmae: x')}`))
      expect(target.names('listener')).toEqual(['l'])
      expect(target.names()).toEqual(['a'])
    })
  })

  test('takes the text of a document anew that could not be read for a while', async () => {
    const source = scriptedSource()
    const target = bed({ sources: [{ source, idPrefix: '' }] })
    await built(target, () => source.tell({ upserted: { c: clusterText('c'), a: routeText('r', 'c') } }))
    await built(target, () => source.tell({ upserted: { a: routeText('r2', 'late') } }))
    await built(target, () => source.tell({ unreadable: ['a'] }))
    await built(target, () => source.tell({}))
    expect(target.codes()).toEqual(['dangling-reference'])
    await built(target, () => source.tell({ upserted: { late: clusterText('late') } }))
    expect(target.names('route')).toEqual(['r2'])
  })

  test('takes a change that comes while another is parsed as a whole, or not yet', async () => {
    const source = memoryOf({ x: clusterText('x'), y: listenerText('l') })
    let onParse = (): void => {}
    const target = bed({
      source,
      parse: (document, held) => {
        if (document.id === 'x') onParse()
        return parseHeld(document, held)
      },
    })
    await built(target, () => {})
    const seen: (string[] | undefined)[] = []
    target.cache.watch(edge, () => seen.push(target.names('listener')))
    onParse = () => {
      onParse = () => {}
      source.apply({ put: { x: listenerText('l'), y: clusterText('y') } })
      // Longer than a slice, so that the source hands the change over before the next document is parsed.
      for (const start = performance.now(); performance.now() - start < 15; );
    }
    await built(target, () => source.apply({ put: { x: clusterText('x2'), y: listenerText('l', 'stat_prefix: s') } }))
    await built(target, () => {})
    expect(seen).toEqual([['l'], ['l']])
    expect(target.names()).toEqual(['y'])
  })

  test('a document on which the parser fails stops no other, and keeps what it held', async () => {
    const source = memoryOf({ a: clusterText('a'), b: clusterText('b') })
    let isFailing = false
    const target = bed({
      source,
      parse: (document, held) => {
        if (isFailing && document.id === 'b') throw new Error('private')
        return parseHeld(document, held)
      },
    })
    await built(target, () => {})
    isFailing = true
    await built(target, () => source.apply({ put: { a: clusterText('a2'), b: clusterText('b2') } }))
    expect(target.names()).toEqual(['a2', 'b'])
    expect(target.codes()).toEqual(['unreadable'])
    expect(JSON.stringify(target.pipeline.problems)).not.toContain('private')
  })

  test('a build that fails is tried again with the next change, and serves nothing before', async () => {
    const source = memoryOf({ a: clusterText('a') })
    const target = bed({ source })
    target.failNextApply()
    await built(target, () => {})
    expect(target.pipeline.isReady).toBe(false)
    await built(target, () => source.put('b', clusterText('b')))
    expect(target.names()).toEqual(['a', 'b'])
  })

  test('names of a bootstrap that are known already cost nothing', async () => {
    const target = bed()
    await built(target, () => target.pipeline.addStaticNames({ cluster: ['xds'] }))
    const { problems } = target.pipeline
    await built(target, () => target.pipeline.addStaticNames({ cluster: ['xds'] }))
    expect(target.pipeline.problems).toBe(problems)
    await built(target, () => target.pipeline.addStaticNames({ cluster: ['other'] }))
    expect(target.pipeline.problems).not.toBe(problems)
  })

  test('takes an emptied source at its word with allowEmpty', async () => {
    const target = bed({ allowEmpty: true })
    await built(target, () => target.source.put('a', clusterText('a')))
    await built(target, () => target.source.remove('a'))
    expect(target.names()).toEqual([])
  })

  test('names of a bootstrap end the wait of documents that refer to them', async () => {
    const target = bed()
    await built(target, () => target.source.put('r', routeText('r', 'xds')))
    expect(target.names('route')).toBeUndefined()
    await built(target, () => target.pipeline.addStaticNames({ cluster: ['xds'] }))
    expect(target.names('route')).toEqual(['r'])
  })

  describe('at a restart', () => {
    async function restored(text: string, id = 'a'): Promise<Unit[]> {
      return await restoredOf({ [id]: text })
    }

    async function restoredOf(documents: Readonly<Record<string, string>>): Promise<Unit[]> {
      const before = bed({ source: memoryOf(documents) })
      await built(before, () => {})
      return before.inForce()
    }

    test('deletes what came from a source that is no longer given', async () => {
      const units = await restoredOf({ 'file:a': clusterText('a'), 'etcd:b': clusterText('b') })
      const target = bed({
        restored: units,
        sources: [{ source: memoryOf({ 'file:a': clusterText('a') }), idPrefix: 'file:' }],
      })
      await built(target, () => {})
      expect(target.names()).toEqual(['a'])
      expect(target.codes()).toEqual([])
    })

    test('takes documents that moved to another source', async () => {
      const units = await restored(clusterText('a'), 'file:a')
      const source = memoryOf({ 'etcd:a': clusterText('a', 'alt_stat_name: moved') })
      const target = bed({ restored: units, sources: [{ source, idPrefix: 'etcd:' }] })
      await built(target, () => {})
      expect(target.inForce().map(({ key }) => key)).toEqual(['etcd:a'])
      expect(target.codes()).toEqual([])
    })

    test('keeps what came from a source that is no longer given until all that are were read', async () => {
      const units = await restored(clusterText('a'), 'file:a')
      const source = unreachable()
      source.put('etcd:b', clusterText('b'))
      const target = bed({ restored: units, sources: [{ source, idPrefix: 'etcd:' }] })
      await built(target, () => {})
      expect(target.names()).toEqual(['a'])
      await built(target, () => source.recover())
      expect(target.names()).toEqual(['b'])
    })

    test('keeps what came from a source that is no longer given while one in its place is empty', async () => {
      const units = await restored(clusterText('a'), 'file:a')
      const source = createMemorySource('memory')
      const target = bed({ restored: units, sources: [{ source, idPrefix: 'etcd:' }] })
      await built(target, () => {})
      expect(target.names()).toEqual(['a'])
      expect(target.codes()).toEqual(['source-empty'])
      await built(target, () => source.put('etcd:b', clusterText('b')))
      expect(target.names()).toEqual(['b'])
      expect(target.codes()).toEqual([])
    })

    test('does not wait for a source that cannot be read and of which nothing was in force', async () => {
      const units = await restored(clusterText('a'), 'file:a')
      const target = bed({
        restored: units,
        sources: [
          { source: memoryOf({ 'file:a': clusterText('a') }), idPrefix: 'file:' },
          { source: unreachable(), idPrefix: 'etcd:' },
        ],
      })
      await built(target, () => {})
      expect(target.names()).toEqual(['a'])
      expect(target.pipeline.isServingRestored).toBe(true)
    })

    test('knows the second document of a text again whose first is gone, also broken', async () => {
      const units = await restored(`${clusterText('a')}\n---\n${listenerText('l')}`)
      const target = bed({ restored: units, source: memoryOf({ a: listenerText('l', 'nmae: x') }) })
      await built(target, () => {})
      expect(target.names('listener')).toEqual(['l'])
      expect(target.names()).toEqual([])
    })

    test('serves the last good while its source cannot be read, and says so', async () => {
      const units = await restored(clusterText('a'))
      const source = createMemorySource('memory')
      source.fail()
      const target = bed({ restored: units, revision: 7, source })
      await built(target, () => {})
      expect(target.pipeline.revision).toBe(7)
      expect(target.pipeline.isServingRestored).toBe(true)
      expect(target.names()).toEqual(['a'])
      expect(target.codes()).toContain('source-unreachable')
    })

    test('knows a document again whose name has a # or a %', async () => {
      const before = bed()
      await built(before, () => before.source.put('a#%23.yaml', `${clusterText('a')}\n---\n${clusterText('b')}`))
      const source = createMemorySource('memory')
      source.put('a#%23.yaml', clusterText('a'))
      const target = bed({ restored: before.inForce(), source })
      await built(target, () => {})
      expect(target.names()).toEqual(['a'])
      expect(target.codes()).toEqual([])
    })

    test('deletes what the source no longer holds when it is read', async () => {
      const units = await restored(clusterText('a'))
      const source = createMemorySource('memory')
      source.put('b', clusterText('b'))
      const target = bed({ restored: units, source })
      await built(target, () => {})
      expect(target.names()).toEqual(['b'])
      expect(target.pipeline.isServingRestored).toBe(false)
    })

    test('an equal source is no revision', async () => {
      const units = await restored(clusterText('a'))
      const source = createMemorySource('memory')
      source.put('a', clusterText('a'))
      const target = bed({ restored: units, source })
      await built(target, () => {})
      expect(target.names()).toEqual(['a'])
      expect(target.revisions).toEqual([])
    })

    test('a document that is broken now serves as it last was', async () => {
      const units = await restored(clusterText('a'))
      const source = createMemorySource('memory')
      source.put('a', 'resources: [{')
      const target = bed({ restored: units, source })
      await built(target, () => {})
      expect(target.names()).toEqual(['a'])
      expect(target.codes()).toEqual(['syntax'])
    })

    test('a source that is empty now is refused', async () => {
      const units = await restored(clusterText('a'))
      const target = bed({ restored: units })
      await built(target, () => {})
      expect(target.names()).toEqual(['a'])
      expect(target.codes()).toEqual(['source-empty'])
    })
  })

  test('withholds the groups that a broken document without a good form could touch', async () => {
    const source = createMemorySource('memory')
    source.put(
      'bad',
      `nodes: {cluster: edge}\nresources:\n- {'@type': type.googleapis.com/envoy.config.cluster.v3.Cluster}`,
    )
    source.put('a', clusterText('a'))
    const target = bed({ source })
    await built(target, () => {})
    expect(target.pipeline.isReady).toBe(true)
    expect(target.names()).toBeUndefined()
    expect(target.codes()).toContain('withheld')
    await built(target, () => target.source.remove('bad'))
    expect(target.names()).toEqual(['a'])
  })

  test('tells at once what keeps its history from the disk, and when nothing does any more', async () => {
    const target = bed()
    await built(target, () => target.source.put('a', clusterText('a')))
    expect(await target.metric('fairlead_history_up')).toEqual({ '': 1 })
    expect(await target.metric('fairlead_problems')).toEqual({ error: 0, warning: 0 })

    // The write fails long after the build, and nothing changes since.
    const origin = { name: './snapshots' }
    target.failHistory({ severity: 'warning', code: 'history', origin, path: '', message: 'full', fix: 'room' })
    expect(target.codes()).toEqual(['history'])
    expect(await target.metric('fairlead_history_up')).toEqual({ '': 0 })
    expect(await target.metric('fairlead_problems')).toEqual({ error: 0, warning: 1 })

    target.failHistory(undefined)
    expect(target.codes()).toEqual([])
    expect(await target.metric('fairlead_history_up')).toEqual({ '': 1 })
    expect(await target.metric('fairlead_problems')).toEqual({ error: 0, warning: 0 })
  })

  test('is caught up with its sources when a build holds what they told, without waiting until they are quiet', async () => {
    const source = createMemorySource('memory')
    const turns: (() => void)[] = []
    const lagging: Source = {
      name: source.name,
      watch: (signal) => source.watch(signal),
      caughtUp: () => new Promise((resolve) => turns.push(resolve)),
    }
    const files = memoryOf({ 'file:b': clusterText('b') })
    const sources = [
      { source: lagging, idPrefix: 'etcd:' },
      { source: files, idPrefix: 'file:' },
    ]
    const target = bed({ sources, debounceMs: 3_600_000, debounceMaxMs: 3_600_000 })
    await built(target, () => source.put('etcd:a', clusterText('a')))
    expect(target.names()).toEqual(['a', 'b'])
    let isDone = false
    const caughtUp = target.pipeline.caughtUp?.(new AbortController().signal).then(() => {
      isDone = true
    })
    source.put('etcd:c', clusterText('c'))
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve))
    expect([isDone, target.names()]).toEqual([false, ['a', 'b']])
    turns[0]?.()
    await caughtUp
    expect(target.names()).toEqual(['a', 'b', 'c'])
  })

  test('is not caught up while there never was a document, but where that is allowed', async () => {
    const [source, registrations] = [createMemorySource('memory'), createMemorySource('registrations')]
    const lagging = (memory: Source): Source => ({
      name: memory.name,
      watch: (signal) => memory.watch(signal),
      caughtUp: async () => {},
    })
    const sources = [
      { source: lagging(source), idPrefix: 'etcd:' },
      { source: registrations, idPrefix: 'instances:', mayBeEmpty: true },
    ]
    const target = bed({ sources })
    await built(target, () => {})
    expect(target.names()).toEqual([])
    expect(target.pipeline.problems.map(({ severity, code }) => [severity, code])).toEqual([
      ['warning', 'source-empty'],
    ])

    const ending = new AbortController()
    const asked = target.pipeline.caughtUp?.(ending.signal)
    ending.abort(new Error('over'))
    await expect(asked).rejects.toThrow('over')

    const caughtUp = target.pipeline.caughtUp?.(new AbortController().signal).then(() => target.names())
    source.put('etcd:a', clusterText('a'))
    expect(await caughtUp).toEqual(['a'])
    expect(target.codes()).toEqual([])

    const meant = bed({
      sources: [{ source: lagging(createMemorySource('memory')), idPrefix: 'etcd:' }],
      allowEmpty: true,
    })
    await built(meant, () => {})
    await meant.pipeline.caughtUp?.(new AbortController().signal)
    expect(meant.codes()).toEqual([])
  })

  test('is caught up when a build found what other replicas served last, where there is no document', async () => {
    let found: (documents: readonly Document[]) => void = () => {}
    const reading = new Promise<readonly Document[]>((resolve) => {
      found = resolve
    })
    const noted = { isNewer: () => false, note() {}, settle() {} }
    const target = bed({ shared: { idPrefix: '', read: async () => await reading, ...noted } })
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve))
    const caughtUp = target.pipeline.caughtUp?.(new AbortController().signal).then(() => target.names())
    found([{ id: 'a', text: clusterText('a'), origin: { name: 'a' } }])
    expect(await caughtUp).toEqual(['a'])
  })

  describe('that had nothing', () => {
    afterEach(() => void vi.useRealTimers())

    async function asked() {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
      const target = bed()
      await built(target, () => {})
      let proven: readonly string[] | undefined
      const ask = async (): Promise<void> => {
        await target.pipeline.caughtUp?.(new AbortController().signal)
        proven = target.names()
      }
      const caughtUp = ask()
      return { target, ask, caughtUp, proven: () => proven }
    }

    test('is not caught up before what comes in batches is quiet, though it serves what came', async () => {
      const { target, ask, caughtUp, proven } = await asked()
      await built(target, () => target.source.put('a', clusterText('a')))
      await vi.advanceTimersByTimeAsync(1_900)
      const later = ask()
      await built(target, () => target.source.put('b', clusterText('b')))
      expect(target.names()).toEqual(['a', 'b'])
      await vi.advanceTimersByTimeAsync(1_900)
      expect(proven()).toBeUndefined()
      await vi.advanceTimersByTimeAsync(200)
      await Promise.all([caughtUp, later])
      expect(proven()).toEqual(['a', 'b'])
      await built(target, () => target.source.put('c', clusterText('c')))
      await ask()
      expect(proven()).toEqual(['a', 'b', 'c'])
    })

    test('counts as caught up after a minute of changes', async () => {
      const { target, caughtUp, proven } = await asked()
      for (let second = 0; second < 59; second++) {
        await built(target, () => target.source.put('a', clusterText('a', `alt_stat_name: s${second}`)))
        await vi.advanceTimersByTimeAsync(1_000)
      }
      expect(proven()).toBeUndefined()
      await built(target, () => target.source.put('a', clusterText('a')))
      await vi.advanceTimersByTimeAsync(1_100)
      await caughtUp
      expect(proven()).toEqual(['a'])
    })
  })

  describe('whose builds fail', () => {
    async function failing() {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
      const source = createMemorySource('memory')
      const lagging: Source = { name: source.name, watch: (signal) => source.watch(signal), caughtUp: async () => {} }
      const target = bed({ sources: [{ source: lagging, idPrefix: '' }] })
      await built(target, () => source.put('a', clusterText('a')))
      target.failEveryApply(true)
      await built(target, () => source.put('b', clusterText('b')))
      expect(target.names()).toEqual(['a'])
      expect(target.codes()).toEqual(['unreadable'])
      let proven: readonly string[] | undefined
      const caughtUp = target.pipeline.caughtUp?.(new AbortController().signal).then(() => {
        proven = target.names()
      })
      return { target, caughtUp, proven: () => proven }
    }
    afterEach(() => void vi.useRealTimers())

    test('is not caught up before one did not, which is tried by itself', async () => {
      const { target, caughtUp, proven } = await failing()
      await vi.advanceTimersByTimeAsync(20_000)
      expect(proven()).toBeUndefined()
      target.failEveryApply(false)
      await vi.advanceTimersByTimeAsync(5_000)
      await caughtUp
      expect(proven()).toEqual(['a', 'b'])
      expect(target.codes()).toEqual([])
    })

    test.each(['cache', 'history'])('brings in with the next what the %s did not take', async (which) => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
      const target = bed()
      const fail = (): void => {
        const error = (): never => {
          throw new Error('failed')
        }
        if (which === 'cache') vi.spyOn(target.cache, 'apply').mockImplementationOnce(error)
        else vi.spyOn(target.revisions, 'push').mockImplementationOnce(error)
      }
      const retried = async (): Promise<void> => {
        await vi.advanceTimersByTimeAsync(5_000)
        await built(target, () => {})
      }
      fail()
      await built(target, () => target.source.apply({ put: { a: clusterText('a'), b: clusterText('b') } }))
      expect(target.codes()).toEqual(['unreadable'])
      await retried()
      expect([target.names(), target.codes(), target.revisions.length]).toEqual([['a', 'b'], [], 1])

      fail()
      await built(target, () => target.source.apply({ put: { c: clusterText('c') }, remove: ['a'] }))
      expect(target.codes()).toEqual(['unreadable'])
      fail()
      await built(target, () => target.source.put('d', clusterText('d')))
      expect(target.codes()).toEqual(['unreadable'])
      await retried()
      expect([target.names(), target.codes()]).toEqual([['b', 'c', 'd'], []])
      const [, revision] = target.revisions
      expect(revision?.upserted.map(({ key }) => key)).toEqual(['c', 'd'])
      expect(revision?.removed).toEqual(['a'])
    })

    test('counts as caught up after a minute: nobody is held back for ever', async () => {
      const { target, caughtUp, proven } = await failing()
      await vi.advanceTimersByTimeAsync(55_000)
      expect(proven()).toBeUndefined()
      await vi.advanceTimersByTimeAsync(10_000)
      await caughtUp
      expect(proven()).toEqual(['a'])
      await target.pipeline.caughtUp?.(new AbortController().signal)
      expect(target.codes()).toEqual(['unreadable'])
    })
  })

  test('warns of a beginning without a document, until there is one', async () => {
    const target = bed()
    await built(target, () => {})
    expect(target.names()).toEqual([])
    expect(target.pipeline.problems).toMatchObject([
      { severity: 'warning', code: 'source-empty', origin: { name: 'memory' } },
    ])
    await built(target, () => target.source.put('a', clusterText('a')))
    expect(target.codes()).toEqual([])
  })

  test('warns of an etcd without a document beside files, and holds nobody back: it may be meant so', async () => {
    const etcd = createMemorySource('etcd')
    const lagging: Source = { name: 'etcd', watch: (signal) => etcd.watch(signal), caughtUp: async () => {} }
    const registrations = createMemorySource('registrations')
    const target = bed({
      sources: [
        { source: memoryOf({ 'file:a': clusterText('a') }), idPrefix: 'file:' },
        { source: memoryOf({}), idPrefix: 'file:2:' },
        { source: lagging, idPrefix: 'etcd:' },
        { source: registrations, idPrefix: 'instances:', mayBeEmpty: true, besides: 'etcd:' },
      ],
    })
    await built(target, () => {})
    expect(target.names()).toEqual(['a'])
    expect(target.pipeline.problems).toMatchObject([
      { severity: 'warning', code: 'source-empty', origin: { name: 'etcd' }, message: expect.stringMatching(/other/) },
    ])
    await target.pipeline.caughtUp?.(AbortSignal.timeout(1_000))
    await built(target, () => etcd.put('etcd:none', 'resources: []'))
    expect(target.codes()).toEqual([])
  })

  test.each([
    ['there never was a document anywhere', {}, 2],
    ['there never was one in etcd, beside files', { 'file:a': clusterText('a') }, 1],
  ])('says where %s what the page of errors shows', async (_when, files, count) => {
    const etcd = createMemorySource('etcd')
    const lagging: Source = { name: 'etcd', watch: (signal) => etcd.watch(signal), caughtUp: async () => {} }
    const target = bed({
      sources: [
        { source: memoryOf(files), idPrefix: 'file:' },
        { source: lagging, idPrefix: 'etcd:' },
      ],
    })
    await built(target, () => {})
    const page = readFileSync(new URL('../docs/errors.md', import.meta.url), 'utf8')
    const said = target.pipeline.problems.map(
      (one) => `${one.severity}: ${one.message} (${one.code})\n  fix: ${one.fix}\n`,
    )
    expect(said).toHaveLength(count)
    for (const text of said) expect(page).toContain(text)
  })

  test('answers nobody who asks before it has read what nobody has to ask', async () => {
    const files = createMemorySource('files')
    let mount = (): void => {}
    const mounted = new Promise<void>((resolve) => {
      mount = resolve
    })
    const slow: Source = {
      name: 'files',
      async *watch(signal) {
        await mounted
        yield* files.watch(signal)
      },
    }
    const target = bed({ sources: [{ source: slow, idPrefix: 'file:' }] })
    const caughtUp = target.pipeline.caughtUp?.(new AbortController().signal).then(() => target.names())
    await built(target, mount)
    files.put('file:a', clusterText('a'))
    expect(await caughtUp).toEqual(['a'])
  })

  test('warns of no etcd beside files where somebody has registered: it is the right one', async () => {
    const etcd = createMemorySource('etcd')
    const registrations = createMemorySource('registrations')
    const target = bed({
      sources: [
        { source: memoryOf({ 'file:a': clusterText('a') }), idPrefix: 'file:' },
        {
          source: { name: 'etcd', watch: (signal) => etcd.watch(signal), caughtUp: async () => {} },
          idPrefix: 'etcd:',
        },
        { source: registrations, idPrefix: 'instances:', mayBeEmpty: true, besides: 'etcd:' },
      ],
    })
    await built(target, () => {})
    expect(target.codes()).toEqual(['source-empty'])
    await built(target, () => registrations.put('instances:b', clusterText('b')))
    expect(target.codes()).toEqual([])
    await built(target, () => registrations.remove('instances:b'))
    expect(target.codes()).toEqual([])
  })

  test('has nothing to catch up with where no source can be behind, nor be empty by mistake', () => {
    expect(bed({ allowEmpty: true }).pipeline.caughtUp).toBeUndefined()
  })

  test('is not caught up with files while there never was a document', async () => {
    const target = bed()
    await built(target, () => {})
    const caughtUp = target.pipeline.caughtUp?.(new AbortController().signal).then(() => target.names())
    target.source.put('a', clusterText('a'))
    expect(await caughtUp).toEqual(['a'])
    const now = target.pipeline.caughtUp?.(new AbortController().signal)
    await expect(now).resolves.toBeUndefined()
  })
})
