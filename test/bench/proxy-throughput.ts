import { findEnvoy } from '../support/envoy-binary.ts'
import { launchEnvoy } from '../support/envoy-process.ts'
import type { BareProxyCommands } from './bare-proxy.ts'
import { startChild } from './child.ts'
import { forwardingBootstrap } from './forwarding-bootstrap.ts'
import type { TrafficCommands, TrafficFigures } from './proxy-traffic.ts'
import type { ReferenceProxyCommands } from './reference-proxy.ts'
import { median } from './table.ts'

export interface ProxyThroughputOptions {
  readonly rounds: number
  /** Of one round, for each proxy. */
  readonly ms: number
  readonly say: (line: string) => void
}

/** The medians of the rounds. */
export interface ProxyFigures {
  readonly requestsPerS: number
  /** At a rate that none of them is busy with; what the way without a proxy takes is not in it. */
  readonly addedP99Ms: number
}

export type ProxyThroughput = Readonly<Record<'reference' | 'bare', ProxyFigures>> & {
  /** Absent where there is none on this machine. */
  readonly envoy?: ProxyFigures
}

const connections = 32
const calmRate = 300

/** Three proxies before the same app, in turns. @throws Error when a request fails */
export async function measureProxyThroughput(options: ProxyThroughputOptions): Promise<ProxyThroughput> {
  const traffic = startChild<TrafficCommands>('proxy-traffic.ts')
  const bare = startChild<BareProxyCommands>('bare-proxy.ts')
  const reference = startChild<ReferenceProxyCommands>('reference-proxy.ts')
  const binary = findEnvoy()
  try {
    const app = await traffic.ask('app')
    const bootstrap = forwardingBootstrap(app)
    const envoy = binary === undefined ? undefined : await launchEnvoy({ binary, bootstrap, logLevel: 'warning' })
    try {
      const ports = new Map([
        ['reference', await reference.ask('serve', app)],
        ['bare', await bare.ask('serve', app)],
      ])
      if (envoy) ports.set('envoy', await envoy.listenerPort('http'))
      const ask = async (port: number, rate?: number): Promise<TrafficFigures> => {
        const figures = await traffic.ask('send', { port, connections, ms: options.ms, ...(rate && { rate }) })
        if (figures.failed > 0) throw new Error(`${figures.failed} requests failed`)
        return figures
      }
      return await rounds(ports, app, ask, options)
    } finally {
      await envoy?.close()
    }
  } finally {
    await Promise.all([traffic.stop(), bare.stop(), reference.stop()])
  }
}

async function rounds(
  ports: ReadonlyMap<string, number>,
  app: number,
  ask: (port: number, rate?: number) => Promise<TrafficFigures>,
  { rounds: count, say }: ProxyThroughputOptions,
): Promise<ProxyThroughput> {
  const seen = new Map<string, { rates: number[]; added: number[] }>()
  // The first round warms: what it measures is forgotten.
  for (let round = 0; round <= count; round += 1) {
    const direct = await ask(app, calmRate)
    for (const [name, port] of ports) {
      const { requestsPerS } = await ask(port)
      const { p99Ms } = await ask(port, calmRate)
      if (round === 0) continue
      const own = seen.get(name) ?? { rates: [], added: [] }
      own.rates.push(requestsPerS)
      own.added.push(p99Ms - direct.p99Ms)
      seen.set(name, own)
      say(`proxies, ${name}: ${requestsPerS.toFixed(0)} requests/s, p99 +${(p99Ms - direct.p99Ms).toFixed(2)} ms`)
    }
  }
  const figures = Object.fromEntries(
    [...seen].map(([name, { rates, added }]) => [
      name,
      { requestsPerS: median(rates), addedP99Ms: median(added) } satisfies ProxyFigures,
    ]),
  )
  return figures as unknown as ProxyThroughput
}
