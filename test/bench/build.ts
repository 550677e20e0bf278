/** One mesh in a process of its own, and how long it takes from its documents to a snapshot. */

import { answer } from './answer.ts'
import { type BenchPipeline, createBenchPipeline } from './bench-pipeline.ts'
import { createMetrics, createSnapshotCache, createWorld, nodeOfJson, silentLog } from './built.ts'
import { changedService, meshDocuments } from './services.ts'

export interface BuildTimes {
  /** From texts to what a node is served: parsing, checking, encoding, building. */
  readonly fromTextsMs: number
  /** From parsed documents to what a node is served. */
  readonly fromUnitsMs: number
}

export interface ChangeTimes {
  /** CPU of one change from the source's event to the snapshot. */
  readonly cpuUs: number
  readonly wallMs: number
}

const metrics = createMetrics()
const node = nodeOfJson({ id: 'envoy-1', cluster: 'bench' })
let services = 0
let bench: BenchPipeline | undefined
let onSnapshot: () => void = () => {}
let change = 0

/** Builds a mesh from nothing, twice: from texts, and from what those gave. */
async function build(count: number): Promise<BuildTimes> {
  await bench?.pipeline.close()
  services = count
  const documents = meshDocuments(count)
  globalThis.gc?.()
  const start = performance.now()
  bench = createBenchPipeline({ metrics, log: silentLog })
  bench.cache.watch(node, () => onSnapshot())
  bench.source.apply({ put: documents })
  await bench.pipeline.ready
  const fromTextsMs = performance.now() - start
  if (bench.pipeline.problems.length > 0) throw new Error(JSON.stringify(bench.pipeline.problems.slice(0, 3)))
  const units = [...bench.world.inForce.values()]
  globalThis.gc?.()
  const again = performance.now()
  const world = createWorld({ staticNames: {}, allowPartial: false })
  const cache = createSnapshotCache()
  const step = world.apply(
    units.map((unit) => ({ kind: 'valid', unit })),
    { isFirst: true },
  )
  cache.apply(step)
  if (cache.snapshotFor(node).snapshot === undefined) throw new Error('no snapshot was built')
  return { fromTextsMs, fromUnitsMs: performance.now() - again }
}

const commands = {
  build: (count: number): Promise<BuildTimes> => build(count),
  /** One endpoint moves, so many times, each when the last is served. */
  async changes(count: number): Promise<ChangeTimes> {
    const cpu = process.cpuUsage()
    const start = performance.now()
    for (let done = 0; done < count; done++) {
      const { id, text } = changedService(services, change++)
      await new Promise<void>((resolve) => {
        onSnapshot = resolve
        bench?.source.put(id, text)
      })
    }
    const { user, system } = process.cpuUsage(cpu)
    return { cpuUs: (user + system) / count, wallMs: (performance.now() - start) / count }
  },
}

export type BuildCommands = typeof commands

answer(commands)
