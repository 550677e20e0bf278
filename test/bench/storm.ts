import { setTimeout as sleep } from 'node:timers/promises'
import { type Child, startChild } from './child.ts'
import type { ClientsCommands } from './clients.ts'
import type { Protocol } from './envelope.ts'
import type { ProductCommands } from './product.ts'
import { benchTypes } from './services.ts'

export interface StormOptions {
  readonly protocol: Protocol
  readonly clients: number
  readonly clusters: number
  readonly say: (line: string) => void
}

/** What a whole fleet that comes back at once costs. */
export interface StormFigures {
  /** From the first connection to the last client's last ACK, in milliseconds. */
  readonly lastAckMs: number
  /** From a client's connection to its first answer, in milliseconds: 99 of 100 had it by then. */
  readonly firstAnswerP99Ms: number
  /** The most that the server ever was, in its life so far. */
  readonly peakBytes: number
  /** The server with the whole fleet connected and settled. */
  readonly settledBytes: number
}

/** The whole fleet connects, goes, and comes back at once. @throws Error when a client is not answered in full */
export async function measureStorm({ protocol, clients, clusters, say }: StormOptions): Promise<StormFigures> {
  const product = startChild<ProductCommands>('product.ts')
  const fleet = startChild<ClientsCommands>('clients.ts')
  try {
    const { port } = await product.ask('serve', { services: clusters })
    const come = async (): Promise<number> => {
      await product.ask('mark')
      await fleet.ask('connect', { port, protocol, mesh: { services: clusters }, count: clients })
      return (await product.ask('until', clients * benchTypes.length)).wallMs
    }
    await come()
    say('connected')
    await fleet.ask('disconnect', port)
    await untilGone(product)
    const lastAckMs = await come()
    say(`back after ${lastAckMs.toFixed(0)} ms`)
    const firstAnswers = await fleet.ask('firstAnswers', port)
    const failures = await fleet.ask('failures')
    if (firstAnswers.length !== clients || failures.length > 0) {
      throw new Error(`${firstAnswers.length} of ${clients} were answered; ${failures.slice(0, 3).join('; ')}`)
    }
    return {
      lastAckMs,
      firstAnswerP99Ms: [...firstAnswers].sort((a, b) => a - b)[Math.ceil(clients * 0.99) - 1] ?? Number.NaN,
      peakBytes: await product.ask('peakBytes'),
      settledBytes: (await product.ask('memory')).residentBytes,
    }
  } finally {
    await Promise.all([product.stop(), fleet.stop()])
  }
}

async function untilGone(product: Child<ProductCommands>): Promise<void> {
  for (;;) {
    const { streams, nacks } = await product.ask('counts')
    if (nacks > 0) throw new Error(`${nacks} NACKs`)
    if (streams === 0) return
    await sleep(20)
  }
}
