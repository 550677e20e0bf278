import { join } from 'node:path'
import { type Child, startChild } from './child.ts'
import type { ClientsCommands } from './clients.ts'
import { Crowd, type CrowdOptions, type CrowdSide } from './crowd.ts'
import type { FloorCommands } from './floor.ts'
import type { Memory, Usage } from './meter.ts'
import type { ProductCommands } from './product.ts'

export interface FanOutOptions extends CrowdOptions {
  readonly clients: number
  /** How often each measurement is taken, product and floor in turns. */
  readonly repetitions: number
  /** Changes in one measurement. */
  readonly changes: number
  /** Where CPU profiles of more rounds go; absent: none are taken. */
  readonly profiles: string | undefined
  readonly say: (line: string) => void
}

/** What was measured of one server, one value per repetition. */
export interface ServerFigures {
  /** Server CPU per client of one change, in microseconds. */
  readonly changeUs: readonly number[]
  /** From a change to the last client's ACK, in milliseconds. */
  readonly lastAckMs: readonly number[]
  /** Server CPU per client of a connection and all first answers, in microseconds. */
  readonly stormUs: readonly number[]
  /** From the first connection to the last client's last ACK, in milliseconds. */
  readonly stormMs: readonly number[]
  /** What each of the later half of the clients added to the live memory, in bytes. */
  readonly bytesPerClient: number
  /** Of the process with all clients connected. */
  readonly residentBytes: number
}

export interface FanOutFigures {
  readonly product: ServerFigures
  readonly floor: ServerFigures
  /** Of the response to one change. */
  readonly pushBytes: number
  /** Of all first answers to one client. */
  readonly firstBytes: number
}

/** Before the first one that counts. */
const warmUpChanges = 20

/** The commands that both servers answer. */
type ServerCommands = Pick<
  ProductCommands,
  'mark' | 'change' | 'until' | 'memory' | 'counts' | 'startProfile' | 'stopProfile'
>

interface Side extends CrowdSide<ServerCommands> {
  readonly figures: { -readonly [K in keyof ServerFigures]: ServerFigures[K] extends number ? number : number[] }
}

/** Measures product and floor side by side: the same fleet, in turns. */
export async function measureFanOut(options: FanOutOptions): Promise<FanOutFigures> {
  const product = startChild<ProductCommands>('product.ts')
  const floor = startChild<FloorCommands>('floor.ts')
  const fleet = startChild<ClientsCommands>('clients.ts')
  try {
    const crowd = new Crowd(options, [fleet])
    const { port } = await product.ask('serve', { services: options.clusters })
    const ofProduct = { name: 'product' as const, server: product, port }
    const sides: readonly [Side, Side] = [
      { ...ofProduct, figures: noFigures() },
      {
        name: 'floor',
        server: floor as Child<ServerCommands>,
        port: await floor.ask('listen'),
        figures: noFigures(),
      },
    ]
    const sizes = await crowd.levelSizes(ofProduct, floor)
    await new FanOutBench(options, crowd).measure(sides)
    await crowd.expectNoFailures()
    return { product: sides[0].figures, floor: sides[1].figures, ...sizes }
  } finally {
    await Promise.all([product.stop(), floor.stop(), fleet.stop()])
  }
}

class FanOutBench {
  readonly #options: FanOutOptions
  readonly #crowd: Crowd

  constructor(options: FanOutOptions, crowd: Crowd) {
    this.#options = options
    this.#crowd = crowd
  }

  async measure(sides: readonly Side[]): Promise<void> {
    const { clients, repetitions, profiles, say } = this.#options
    for (let repetition = 0; repetition <= repetitions; repetition++) {
      for (const side of sides) {
        await this.#crowd.disconnect(side)
        const { cpuMs, wallMs } = await this.#crowd.connect(side, clients)
        // The first is for the compiler.
        if (repetition === 0) continue
        side.figures.stormUs.push((cpuMs * 1000) / clients)
        side.figures.stormMs.push(wallMs)
      }
      say(`connect storm ${repetition} of ${repetitions}`)
    }
    // Servers run for long: what the compiler does in the first seconds is no cost of a change.
    for (const side of sides)
      for (let change = 0; change < warmUpChanges; change++) await this.#crowd.changeOnce(side, clients)
    for (let repetition = 1; repetition <= repetitions; repetition++) {
      for (const side of sides) {
        const { cpuMs, wallMs } = await this.#changes(side)
        side.figures.changeUs.push((cpuMs * 1000) / clients)
        side.figures.lastAckMs.push(wallMs)
      }
      say(`one endpoint changed, ${repetition} of ${repetitions}`)
    }
    // Last, for a collection that is asked for leaves V8 with so little room that it collects at every other change from then on.
    for (const side of sides) await this.#measureMemory(side)
    say('memory')
    if (profiles !== undefined) for (const side of sides) await this.#profile(side, profiles)
  }

  async #measureMemory(side: Side): Promise<void> {
    const { clients } = this.#options
    const half = Math.floor(clients / 2)
    await this.#crowd.disconnect(side)
    await this.#crowd.connect(side, half)
    const before: Memory = await side.server.ask('memory')
    await this.#crowd.connect(side, clients - half)
    const after: Memory = await side.server.ask('memory')
    side.figures.bytesPerClient = (after.liveBytes - before.liveBytes) / (clients - half)
    side.figures.residentBytes = after.residentBytes
  }

  /** The mean of some changes, one after another. */
  async #changes(side: Side): Promise<Usage> {
    const { clients, changes } = this.#options
    let [cpuMs, wallMs] = [0, 0]
    for (let change = 0; change < changes; change++) {
      const usage = await this.#crowd.changeOnce(side, clients)
      cpuMs += usage.cpuMs / changes
      wallMs += usage.wallMs / changes
    }
    return { cpuMs, wallMs }
  }

  async #profile(side: Side, directory: string): Promise<void> {
    const { protocol, clusters, repetitions, clients } = this.#options
    const label = `${side.name}-${protocol}-${clusters}`
    await side.server.ask('startProfile')
    for (let repetition = 0; repetition < repetitions; repetition++) await this.#changes(side)
    await side.server.ask('stopProfile', join(directory, `${label}-change.cpuprofile`))
    await this.#crowd.disconnect(side)
    await side.server.ask('startProfile')
    await this.#crowd.connect(side, clients)
    await side.server.ask('stopProfile', join(directory, `${label}-storm.cpuprofile`))
  }
}

function noFigures(): Side['figures'] {
  return { changeUs: [], lastAckMs: [], stormUs: [], stormMs: [], bytesPerClient: 0, residentBytes: 0 }
}
