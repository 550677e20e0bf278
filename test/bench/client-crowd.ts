import { type Child, startChild } from './child.ts'
import type { ClientsCommands } from './clients.ts'
import { Crowd, type CrowdOptions, type CrowdSide } from './crowd.ts'
import { needFiles } from './files.ts'
import type { FloorCommands } from './floor.ts'
import type { Usage } from './meter.ts'
import type { ProductCommands } from './product.ts'

export interface ClientCrowdOptions extends CrowdOptions {
  readonly clients: number
  /** How often a change is measured, product and floor in turns. */
  readonly changes: number
  readonly say: (line: string) => void
}

/** What was measured of one server. */
export interface CrowdServerFigures {
  /** Server CPU per client of one change, in microseconds, one value for each. */
  readonly changeUs: readonly number[]
  /** From a change to the last client's ACK, in milliseconds. */
  readonly lastAckMs: readonly number[]
  /** The first connections of all, to a process that has served nobody yet: CPU per client, in microseconds. */
  readonly stormUs: number
  /** From the first of those connections to the last client's last ACK, in milliseconds. */
  readonly stormMs: number
  /** What each client added to live objects and buffers, in bytes. */
  readonly liveBytesPerClient: number
  /** What each client added to the process at its largest, in bytes. */
  readonly peakBytesPerClient: number
  /** The process at its largest. */
  readonly peakBytes: number
}

export interface ClientCrowdFigures {
  readonly product: CrowdServerFigures
  readonly floor: CrowdServerFigures
  /** Of the response to one change. */
  readonly pushBytes: number
  /** Of all first answers to one client. */
  readonly firstBytes: number
}

/** Before the first one that counts. */
const warmUpChanges = 5
/** So that neither what a process may have open, nor its one core, is what is slow. */
const fleets = 2

type ServerCommands = Pick<ProductCommands, 'mark' | 'change' | 'until' | 'memory' | 'peakBytes' | 'counts'>

interface Side extends CrowdSide<ServerCommands> {
  readonly changes: Usage[]
}

/** Thousands of clients on each of two processes, product and floor. @throws Error when one is not answered */
export async function measureClientCrowd(options: ClientCrowdOptions): Promise<ClientCrowdFigures> {
  const { clients, clusters, changes, say } = options
  needFiles(clients)
  const product = startChild<ProductCommands>('product.ts')
  const floor = startChild<FloorCommands>('floor.ts')
  const fleet = Array.from({ length: fleets }, () => startChild<ClientsCommands>('clients.ts'))
  try {
    const crowd = new Crowd(options, fleet)
    const { port } = await product.ask('serve', { services: clusters })
    const ofProduct = { name: 'product' as const, server: product, port }
    const sides: readonly Side[] = [
      { ...ofProduct, changes: [] },
      { name: 'floor', server: floor as Child<ServerCommands>, port: await floor.ask('listen'), changes: [] },
    ]
    const sizes = await crowd.levelSizes(ofProduct, floor)

    const storms: Usage[] = []
    const empty: { readonly peakBytes: number; readonly liveBytes: number }[] = []
    for (const { server } of sides) {
      const { liveBytes } = await server.ask('memory')
      empty.push({ liveBytes, peakBytes: await server.ask('peakBytes') })
    }
    for (const side of sides) {
      storms.push(await crowd.connect(side, clients))
      say(`all have come after ${storms.at(-1)?.wallMs.toFixed(0)} ms`)
    }
    for (const side of sides) for (let turn = 0; turn < warmUpChanges; turn++) await crowd.changeOnce(side, clients)
    for (let turn = 0; turn < changes; turn++) {
      for (const side of sides) side.changes.push(await crowd.changeOnce(side, clients))
    }
    say(`${changes} endpoints changed`)
    const figures: CrowdServerFigures[] = []
    for (const [index, side] of sides.entries()) {
      const { cpuMs, wallMs } = storms[index] as Usage
      const before = empty[index] as (typeof empty)[number]
      const peakBytes = await side.server.ask('peakBytes')
      // Last, for a collection that is asked for changes when V8 collects from then on.
      const { liveBytes } = await side.server.ask('memory')
      figures.push({
        changeUs: side.changes.map((one) => (one.cpuMs * 1000) / clients),
        lastAckMs: side.changes.map((one) => one.wallMs),
        stormUs: (cpuMs * 1000) / clients,
        stormMs: wallMs,
        liveBytesPerClient: (liveBytes - before.liveBytes) / clients,
        peakBytesPerClient: (peakBytes - before.peakBytes) / clients,
        peakBytes,
      })
    }
    say('memory')
    await crowd.expectNoFailures()
    const [first, second] = figures as [CrowdServerFigures, CrowdServerFigures]
    return { product: first, floor: second, ...sizes }
  } finally {
    await Promise.all([product, floor, ...fleet].map((child) => child.stop()))
  }
}
