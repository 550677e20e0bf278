/** The product as it is built, in a process of its own: from documents over the pipeline to the streams. */
import { createWriteStream } from 'node:fs'
import { setImmediate as nextTick } from 'node:timers/promises'
import { answer } from './answer.ts'
import { type BenchMesh, benchMesh, type Changed, type MeshShape } from './bench-mesh.ts'
import { createBenchPipeline } from './bench-pipeline.ts'
import { createLog, createMetrics, createXdsServer } from './built.ts'
import { giveHeapRoom } from './heap-room.ts'
import { type Counts, type Memory, Meter, type Usage } from './meter.ts'

/** Enough for the compiler to know the pipeline. */
const pastChanges = 200

giveHeapRoom()
const meter = new Meter()
const log = createLog({ level: 'info', format: 'json', stream: createWriteStream('/dev/null') })
const metrics = createMetrics()
const { source, pipeline, cache, api } = createBenchPipeline({ metrics, log })
let mesh: BenchMesh | undefined
let streams = 0
let nacks = 0
/** Of the last response of each type. */
const sizes = new Map<string, number>()

const server = await createXdsServer(
  {
    cache,
    api,
    log,
    metrics,
    onEvent: (event) => {
      if (event.kind === 'ack') meter.noteAck()
      else if (event.kind === 'sent') sizes.set(event.typeUrl, event.bytes)
      else if (event.kind === 'open') streams++
      else if (event.kind === 'close') streams--
      else if (event.kind === 'nack') nacks++
    },
  },
  // A machine that is all clients answers no probe in time.
  { listen: '127.0.0.1:0', keepaliveTimeoutMs: 600_000 },
)

/** What `serve` gives. */
export interface Served {
  readonly port: number
  /** From the texts to what nodes are served, in a process that has read nothing yet. */
  readonly buildMs: number
}

function put({ id, text }: Changed): void {
  source.put(id, text)
}

async function timeOf(change: number, what: 'changedMesh' | 'furtherSidecar'): Promise<number> {
  const start = performance.now()
  if (mesh !== undefined) put(mesh[what](change))
  await nextTick()
  await pipeline.settled()
  return performance.now() - start
}

const commands = {
  /** Serves a mesh as a server that has run for a while: some changes are behind it. */
  async serve(shape: MeshShape): Promise<Served> {
    mesh = benchMesh(shape)
    const documents = mesh.documents()
    const start = performance.now()
    source.apply({ put: documents })
    await pipeline.ready
    await pipeline.settled()
    const buildMs = performance.now() - start
    for (let past = 1; past <= pastChanges; past++) {
      put(mesh.changedService(-past))
      await nextTick()
      await pipeline.settled()
    }
    if (pipeline.problems.length > 0) throw new Error(JSON.stringify(pipeline.problems.slice(0, 3)))
    return { port: server.port, buildMs }
  },
  mark: (): void => meter.mark(),
  change(change: number): void {
    if (mesh !== undefined) put(mesh.changedService(change))
  },
  changeRoute(change: number): void {
    if (mesh !== undefined) put(mesh.changedRoute(change))
  },
  /** Until what is served to everybody follows from it, in milliseconds: that long nobody else is heard. */
  changeMesh: (change: number): Promise<number> => timeOf(change, 'changedMesh'),
  addSidecar: (change: number): Promise<number> => timeOf(change, 'furtherSidecar'),
  until: (acks: number): Promise<Usage> => meter.until(acks),
  memory: (): Promise<Memory> => meter.memory(),
  /** Of memory, over the life of the process. */
  peakBytes: (): number => process.resourceUsage().maxRSS * 1024,
  counts: (): Counts => ({ streams, nacks }),
  sizes: (): Record<string, number> => Object.fromEntries(sizes),
  startProfile: (): Promise<void> => meter.startProfile(),
  stopProfile: (file: string): Promise<void> => meter.stopProfile(file),
}

export type ProductCommands = typeof commands

answer(commands)
