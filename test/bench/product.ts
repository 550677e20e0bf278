/** The product as it is built, in a process of its own: from documents over the pipeline to the streams. */
import { createWriteStream } from 'node:fs'
import { setImmediate as nextTick } from 'node:timers/promises'
import { answer } from './answer.ts'
import { createBenchPipeline } from './bench-pipeline.ts'
import { createLog, createMetrics, createXdsServer } from './built.ts'
import { giveHeapRoom } from './heap-room.ts'
import { type Counts, type Memory, Meter, type Usage } from './meter.ts'
import { changedService, meshDocuments } from './services.ts'

/** Enough for the compiler to know the pipeline. */
const pastChanges = 200

giveHeapRoom()
const meter = new Meter()
const log = createLog({ level: 'info', format: 'json', stream: createWriteStream('/dev/null') })
const metrics = createMetrics()
const { source, pipeline, cache, api } = createBenchPipeline({ metrics, log })
let services = 0
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
  { listen: '127.0.0.1:0' },
)

const commands = {
  /** Serves a mesh of so many services, as a server that has run for a while: some changes are behind it. Gives the port. */
  async serve(count: number): Promise<number> {
    services = count
    source.apply({ put: meshDocuments(count) })
    await pipeline.ready
    await pipeline.settled()
    for (let past = 1; past <= pastChanges; past++) {
      const { id, text } = changedService(count, -past)
      source.put(id, text)
      await nextTick()
      await pipeline.settled()
    }
    if (pipeline.problems.length > 0) throw new Error(JSON.stringify(pipeline.problems.slice(0, 3)))
    return server.port
  },
  mark: (): void => meter.mark(),
  change(change: number): void {
    const { id, text } = changedService(services, change)
    source.put(id, text)
  },
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
