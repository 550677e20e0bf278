import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Child, startChild } from './child.ts'
import type { ClientsCommands } from './clients.ts'
import type { Protocol } from './envelope.ts'
import type { FloorCommands } from './floor.ts'
import type { Memory, Usage } from './meter.ts'
import type { ProductCommands } from './product.ts'
import { benchTypes, endpointType } from './services.ts'

export interface FanOutOptions {
  readonly protocol: Protocol
  readonly clients: number
  readonly clusters: number
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

interface Side {
  readonly name: 'product' | 'floor'
  readonly server: Child<ServerCommands>
  readonly port: number
  readonly figures: { -readonly [K in keyof ServerFigures]: ServerFigures[K] extends number ? number : number[] }
}

/** Measures product and floor side by side: the same fleet, in turns. */
export async function measureFanOut(options: FanOutOptions): Promise<FanOutFigures> {
  const product = startChild<ProductCommands>('product.ts')
  const floor = startChild<FloorCommands>('floor.ts')
  const fleet = startChild<ClientsCommands>('clients.ts')
  try {
    const bench = new FanOutBench(options, fleet)
    const sides: readonly [Side, Side] = [
      {
        name: 'product',
        server: product,
        port: (await product.ask('serve', { services: options.clusters })).port,
        figures: noFigures(),
      },
      {
        name: 'floor',
        server: floor as Child<ServerCommands>,
        port: await floor.ask('listen'),
        figures: noFigures(),
      },
    ]
    const sizes = await bench.learnSizes(sides[0], product)
    await floor.ask('setFirstSizes', sizes.first)
    await floor.ask('setPushSize', sizes.push)
    await bench.measure(sides)
    const failures = await fleet.ask('failures')
    if (failures.length > 0) throw new Error(`clients failed: ${failures.slice(0, 3).join('; ')}`)
    const firstBytes = Object.values(sizes.first).reduce((sum, size) => sum + size, 0)
    return { product: sides[0].figures, floor: sides[1].figures, pushBytes: sizes.push, firstBytes }
  } finally {
    await Promise.all([product.stop(), floor.stop(), fleet.stop()])
  }
}

class FanOutBench {
  readonly #options: FanOutOptions
  readonly #fleet: Child<ClientsCommands>
  #change = 0

  constructor(options: FanOutOptions, fleet: Child<ClientsCommands>) {
    this.#options = options
    this.#fleet = fleet
  }

  /** How many bytes the product answers with, which the floor is to write too. */
  async learnSizes(
    side: Side,
    product: Child<ProductCommands>,
  ): Promise<{
    readonly first: Readonly<Record<string, number>>
    readonly push: number
  }> {
    await this.#connect(side, 1)
    const first = await product.ask('sizes')
    await this.#changeOnce(side, 1)
    const { [endpointType]: push = 0 } = await product.ask('sizes')
    return { first, push }
  }

  async measure(sides: readonly Side[]): Promise<void> {
    const { clients, repetitions, profiles, say } = this.#options
    for (let repetition = 0; repetition <= repetitions; repetition++) {
      for (const side of sides) {
        await this.#disconnect(side)
        const { cpuMs, wallMs } = await this.#connect(side, clients)
        // The first is for the compiler.
        if (repetition === 0) continue
        side.figures.stormUs.push((cpuMs * 1000) / clients)
        side.figures.stormMs.push(wallMs)
      }
      say(`connect storm ${repetition} of ${repetitions}`)
    }
    // Servers run for long: what the compiler does in the first seconds is no cost of a change.
    for (const side of sides)
      for (let change = 0; change < warmUpChanges; change++) await this.#changeOnce(side, clients)
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
    await this.#disconnect(side)
    await this.#connect(side, half)
    const before: Memory = await side.server.ask('memory')
    await this.#connect(side, clients - half)
    const after: Memory = await side.server.ask('memory')
    side.figures.bytesPerClient = (after.liveBytes - before.liveBytes) / (clients - half)
    side.figures.residentBytes = after.residentBytes
  }

  /** The mean of some changes, one after another. */
  async #changes(side: Side): Promise<Usage> {
    const { clients, changes } = this.#options
    let [cpuMs, wallMs] = [0, 0]
    for (let change = 0; change < changes; change++) {
      const usage = await this.#changeOnce(side, clients)
      cpuMs += usage.cpuMs / changes
      wallMs += usage.wallMs / changes
    }
    return { cpuMs, wallMs }
  }

  async #changeOnce({ server }: Side, clients: number): Promise<Usage> {
    await server.ask('mark')
    await server.ask('change', this.#change++)
    return await server.ask('until', clients)
  }

  async #connect({ server, port }: Side, count: number): Promise<Usage> {
    const { protocol, clusters } = this.#options
    await server.ask('mark')
    await this.#fleet.ask('connect', { port, protocol, mesh: { services: clusters }, count })
    return await server.ask('until', count * benchTypes.length)
  }

  async #disconnect({ name, server, port }: Side): Promise<void> {
    await this.#fleet.ask('disconnect', port)
    for (;;) {
      const { streams, nacks } = await server.ask('counts')
      if (nacks > 0) throw new Error(`${name}: ${nacks} NACKs`)
      if (streams === 0) return
      await sleep(20)
    }
  }

  async #profile(side: Side, directory: string): Promise<void> {
    const { protocol, clusters, repetitions, clients } = this.#options
    const label = `${side.name}-${protocol}-${clusters}`
    await side.server.ask('startProfile')
    for (let repetition = 0; repetition < repetitions; repetition++) await this.#changes(side)
    await side.server.ask('stopProfile', join(directory, `${label}-change.cpuprofile`))
    await this.#disconnect(side)
    await side.server.ask('startProfile')
    await this.#connect(side, clients)
    await side.server.ask('stopProfile', join(directory, `${label}-storm.cpuprofile`))
  }
}

function noFigures(): Side['figures'] {
  return { changeUs: [], lastAckMs: [], stormUs: [], stormMs: [], bytesPerClient: 0, residentBytes: 0 }
}
