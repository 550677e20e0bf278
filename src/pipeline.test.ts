import { afterEach, describe, expect, test } from 'vitest'
import { createSnapshotCache } from './cache/snapshot-cache.ts'
import { parseDocument } from './config/parse-document.ts'
import { silentLog } from './log.ts'
import { createMetrics } from './metrics.ts'
import { createPipeline, type Pipeline, type PipelineOptions } from './pipeline.ts'
import { loadEnvoyApi } from './resource/envoy-api.ts'
import { nodeOfJson } from './resource/node.ts'
import { resourceTypes } from './resource/type-url.ts'
import { setOf } from './snapshot/snapshot.ts'
import { createWorld, type Unit } from './snapshot/world.ts'
import { createMemorySource, type MemorySource } from './source/memory-source.ts'

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

interface Bed {
  readonly source: MemorySource
  readonly pipeline: Pipeline
  readonly revisions: { readonly upserted: readonly Unit[]; readonly removed: readonly string[] }[]
  /** Names of a type that an edge node is served; undefined while it is not answered. */
  names(word?: 'cluster' | 'route'): string[] | undefined
  codes(): string[]
  inForce(): Unit[]
}

let pipelines: Pipeline[] = []
afterEach(async () => {
  for (const pipeline of pipelines) await pipeline.close()
  pipelines = []
})

function bed(
  options: Partial<PipelineOptions> & {
    restored?: readonly Unit[]
    revision?: number
    allowPartial?: boolean
    source?: MemorySource
  } = {},
): Bed {
  const { restored, revision = 0, allowPartial = false, source = createMemorySource('memory'), ...rest } = options
  const cache = createSnapshotCache()
  const world = createWorld({ staticNames: {}, allowPartial, ...(restored && { restored }) })
  const revisions: Bed['revisions'] = []
  const pipeline = createPipeline(
    {
      sources: [{ source, idPrefix: '' }],
      parse: (document) => parseDocument(api, document),
      world,
      cache,
      history: {
        revision,
        problem: undefined,
        append: (step) => revisions.push({ upserted: step.upserted, removed: step.removed }),
      },
      metrics: createMetrics(),
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
    await built(target, () => target.source.put('bad', 'kind: Service\nname: cart'))
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
    async function restored(text: string): Promise<Unit[]> {
      const before = bed()
      await built(before, () => before.source.put('a', text))
      return before.inForce()
    }

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
})
