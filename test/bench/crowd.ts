import { setTimeout as sleep } from 'node:timers/promises'
import type { Child } from './child.ts'
import type { ClientsCommands } from './clients.ts'
import type { Protocol } from './envelope.ts'
import type { FloorCommands } from './floor.ts'
import type { Usage } from './meter.ts'
import type { ProductCommands } from './product.ts'
import { benchTypes, endpointType } from './services.ts'

export interface CrowdOptions {
  readonly protocol: Protocol
  readonly clusters: number
}

/** A server that a crowd comes to. */
export interface CrowdSide<Commands extends CrowdCommands = CrowdCommands> {
  readonly name: 'product' | 'floor'
  readonly server: Child<Commands>
  readonly port: number
}

type CrowdCommands = Pick<ProductCommands, 'mark' | 'change' | 'until' | 'counts'>

/** Clients in one or several processes, which come to each server, are told of changes, and go. */
export class Crowd {
  readonly #options: CrowdOptions
  readonly #fleet: readonly Child<ClientsCommands>[]
  #change = 0

  constructor(options: CrowdOptions, fleet: readonly Child<ClientsCommands>[]) {
    this.#options = options
    this.#fleet = fleet
  }

  /** Has the floor write as many bytes as the product answers with: of one change, and of all first answers to one client. */
  async levelSizes(
    product: CrowdSide<ProductCommands>,
    floor: Child<FloorCommands>,
  ): Promise<{ readonly pushBytes: number; readonly firstBytes: number }> {
    await this.connect(product, 1)
    const first = await product.server.ask('sizes')
    await this.changeOnce(product, 1)
    const { [endpointType]: pushBytes = 0 } = await product.server.ask('sizes')
    await this.disconnect(product)
    await floor.ask('setFirstSizes', first)
    await floor.ask('setPushSize', pushBytes)
    return { pushBytes, firstBytes: Object.values(first).reduce((sum, size) => sum + size, 0) }
  }

  async connect({ server, port }: CrowdSide, count: number): Promise<Usage> {
    const { protocol, clusters } = this.#options
    await server.ask('mark')
    const share = Math.ceil(count / this.#fleet.length)
    await Promise.all(
      this.#fleet.map(async (one, index) => {
        const own = Math.min(share, Math.max(0, count - index * share))
        // Node ids are each client's own, over all processes and rounds.
        const firstClient = index * 1_000_000
        await one.ask('connect', { port, protocol, mesh: { services: clusters }, count: own, firstClient })
      }),
    )
    try {
      return await server.ask('until', count * benchTypes.length)
    } catch (error) {
      await this.expectNoFailures(error)
      throw error
    }
  }

  async changeOnce({ server }: CrowdSide, clients: number): Promise<Usage> {
    await server.ask('mark')
    await server.ask('change', this.#change++)
    return await server.ask('until', clients)
  }

  async disconnect({ name, server, port }: CrowdSide): Promise<void> {
    await Promise.all(this.#fleet.map((one) => one.ask('disconnect', port)))
    for (;;) {
      const { streams, nacks } = await server.ask('counts')
      if (nacks > 0) throw new Error(`${name}: ${nacks} NACKs`)
      if (streams === 0) return
      await sleep(20)
    }
  }

  /** @throws Error with what clients met, if any met something */
  async expectNoFailures(cause?: unknown): Promise<void> {
    const failures = (await Promise.all(this.#fleet.map((one) => one.ask('failures')))).flat()
    if (failures.length === 0) return
    throw new Error(`${failures.length} clients failed: ${failures.slice(0, 3).join('; ')}`, { cause })
  }
}
