import { setTimeout as sleep } from 'node:timers/promises'
import { type Child, startChild } from './child.ts'
import type { ClientsCommands } from './clients.ts'
import type { Usage } from './meter.ts'
import type { ProductCommands } from './product.ts'
import { benchTypes } from './services.ts'
import { callersPerService, type SidecarMeshShape } from './sidecar-mesh.ts'

export interface SidecarFleetOptions {
  readonly shape: SidecarMeshShape
  readonly endpointChanges: number
  readonly routeChanges: number
  readonly meshChanges: number
  readonly say: (line: string) => void
}

/** What a mesh in documents of kinds costs with every sidecar connected. */
export interface SidecarFleetFigures {
  readonly shape: SidecarMeshShape
  /** From the texts to what the first sidecar is served, in milliseconds. */
  readonly buildMs: number
  /** From the first connection to the last sidecar's last ACK, in milliseconds. */
  readonly connectMs: number
  /** Of all first answers to one sidecar. */
  readonly firstBytes: number
  /** Sidecars that hear of a change. */
  readonly callers: number
  /** One value per change. */
  readonly endpointChanges: readonly Usage[]
  readonly routeChanges: readonly Usage[]
  /** Of the Mesh, which every sidecar hears of. */
  readonly meshChanges: readonly MeshChange[]
  /** CPUs in use while ten endpoints move a second. */
  readonly busyCpus: number
  /** Of the process with every sidecar connected. */
  readonly residentBytes: number
}

export interface MeshChange extends Usage {
  /** Until what every sidecar is served is made anew, in milliseconds. */
  readonly makingMs: number
}

const changesPerSecond = 10

/** Of large fleets. */
const protocol = 'delta'

export async function measureSidecarFleet(options: SidecarFleetOptions): Promise<SidecarFleetFigures> {
  const product = startChild<ProductCommands>('product.ts')
  const fleet = startChild<ClientsCommands>('clients.ts')
  try {
    const figures = await new SidecarFleetBench(options, product, fleet).measure()
    const failures = await fleet.ask('failures')
    const { nacks } = await product.ask('counts')
    if (failures.length > 0 || nacks > 0) throw new Error(`${nacks} NACKs; ${failures.slice(0, 3).join('; ')}`)
    return figures
  } finally {
    await Promise.all([product.stop(), fleet.stop()])
  }
}

class SidecarFleetBench {
  readonly #options: SidecarFleetOptions
  readonly #product: Child<ProductCommands>
  readonly #fleet: Child<ClientsCommands>
  readonly #callers: number
  #change = 0

  constructor(options: SidecarFleetOptions, product: Child<ProductCommands>, fleet: Child<ClientsCommands>) {
    this.#options = options
    this.#product = product
    this.#fleet = fleet
    this.#callers = callersPerService(options.shape)
  }

  async measure(): Promise<SidecarFleetFigures> {
    const { shape, say } = this.#options
    const { port, buildMs } = await this.#product.ask('serve', shape)
    say(`built in ${buildMs.toFixed(0)} ms`)
    await this.#connect(port, 1)
    const firstBytes = Object.values(await this.#product.ask('sizes')).reduce((sum, size) => sum + size, 0)
    const { wallMs: connectMs } = await this.#connect(port, shape.sidecars - 1)
    say('connected')
    const endpointChanges = await this.#changes('change', this.#options.endpointChanges)
    say('endpoints changed')
    const busyCpus = await this.#busyCpus()
    const routeChanges = await this.#changes('changeRoute', this.#options.routeChanges)
    say('routes changed')
    const { residentBytes } = await this.#product.ask('memory')
    const meshChanges = await this.#meshChanges()
    say('Mesh changed')
    return {
      shape,
      buildMs,
      connectMs,
      firstBytes,
      callers: this.#callers,
      endpointChanges,
      routeChanges,
      meshChanges,
      busyCpus,
      residentBytes,
    }
  }

  async #meshChanges(): Promise<readonly MeshChange[]> {
    const changes: MeshChange[] = []
    for (let done = 0; done <= this.#options.meshChanges; done++) {
      await this.#product.ask('mark')
      const makingMs = await this.#product.ask('changeMesh', done)
      changes.push({ makingMs, ...(await this.#product.ask('until', this.#options.shape.sidecars)) })
    }
    // The first is for the compiler.
    return changes.slice(1)
  }

  async #connect(port: number, count: number): Promise<Usage> {
    await this.#product.ask('mark')
    await this.#fleet.ask('connect', { port, protocol, mesh: this.#options.shape, count })
    return await this.#product.ask('until', count * benchTypes.length)
  }

  async #changes(command: 'change' | 'changeRoute', count: number): Promise<readonly Usage[]> {
    const usages: Usage[] = []
    for (let done = 0; done <= count; done++) {
      await this.#product.ask('mark')
      await this.#product.ask(command, this.#change++)
      usages.push(await this.#product.ask('until', this.#callers))
    }
    // The first is for the compiler.
    return usages.slice(1)
  }

  /** Each change waits for the ACKs of the last: together they would be one push. */
  async #busyCpus(): Promise<number> {
    const total = this.#options.endpointChanges
    const start = performance.now()
    await this.#product.ask('mark')
    for (let done = 1; done <= total; done++) {
      await this.#product.ask('change', this.#change++)
      await this.#product.ask('until', done * this.#callers)
      await sleep(Math.max(0, start + (done * 1000) / changesPerSecond - performance.now()))
    }
    const { cpuMs } = await this.#product.ask('until', total * this.#callers)
    return cpuMs / ((total * 1000) / changesPerSecond)
  }
}
