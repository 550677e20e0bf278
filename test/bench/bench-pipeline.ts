import type { SnapshotCache } from '../../src/cache/cache.ts'
import type { Log } from '../../src/log.ts'
import type { Metrics } from '../../src/metrics.ts'
import type { Pipeline } from '../../src/pipeline.ts'
import type { EnvoyApi } from '../../src/resource/envoy-api.ts'
import type { World } from '../../src/snapshot/world.ts'
import type { MemorySource } from '../../src/source/memory-source.ts'
import {
  createMemorySource,
  createMesh,
  createPipeline,
  createSnapshotCache,
  createWorld,
  loadEnvoyApi,
  parseDocument,
} from './built.ts'

export interface BenchPipeline {
  readonly source: MemorySource
  readonly pipeline: Pipeline
  readonly world: World
  readonly cache: SnapshotCache
  readonly api: EnvoyApi
}

/** A pipeline from memory to the cache without a debounce, and without a history: that writes behind the push. */
export function createBenchPipeline({ metrics, log }: { readonly metrics: Metrics; readonly log: Log }): BenchPipeline {
  const api = loadEnvoyApi()
  const cache = createSnapshotCache(log)
  const source = createMemorySource('memory')
  const mesh = createMesh(api)
  const world = createWorld({
    staticNames: {},
    allowPartial: false,
    judge: (candidate) => mesh.try(candidate),
    nodesOf: (touches) => mesh.nodesOf(touches),
  })
  let revision = 0
  const pipeline = createPipeline(
    {
      sources: [{ source, idPrefix: '' }],
      parse: (document) => parseDocument(api, document),
      world,
      cache,
      history: { revision: 0, problem: undefined, append: () => ++revision, refresh: () => {} },
      metrics,
      log,
    },
    { debounceMs: 0, debounceMaxMs: 0, allowEmpty: false },
  )
  return { source, pipeline, world, cache, api }
}
