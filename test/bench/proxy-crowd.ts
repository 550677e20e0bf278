import { buildBootstrap } from '../../src/cli/bootstrap-config.ts'
import { findEnvoy } from '../support/envoy-binary.ts'
import { launchEnvoy } from '../support/envoy-process.ts'
import { startChild } from './child.ts'
import type { ProductCommands } from './product.ts'
import type { ProxyFleetCommands } from './proxy-fleet.ts'

export interface ProxyCrowdOptions {
  readonly proxies: number
  readonly clusters: number
  /** How often it is measured how long one takes to be live. */
  readonly starts: number
  readonly say: (line: string) => void
}

export interface ProxyCrowdFigures {
  /** Of each that was alone while it started, in milliseconds, in a process that has started one before. */
  readonly liveMs: readonly number[]
  /** Of a stock Envoy, from its process on; undefined where there is none. */
  readonly envoyLiveMs: readonly number[] | undefined
  /** From the first to the last, many at a time. */
  readonly allLiveMs: number
  /** Of the process with all of them, settled, and the most that it ever was. */
  readonly residentBytes: number
  readonly peakBytes: number
}

const atOnce = 50

/** Many proxies in one process before one server. @throws Error when one of them has not what it is to have */
export async function measureProxyCrowd(options: ProxyCrowdOptions): Promise<ProxyCrowdFigures> {
  const { proxies, clusters, starts, say } = options
  const product = startChild<ProductCommands>('product.ts')
  const fleet = startChild<ProxyFleetCommands>('proxy-fleet.ts')
  try {
    const { port } = await product.ask('serve', { services: clusters, listensOnFreePorts: true })
    const server = `127.0.0.1:${port}`
    await fleet.ask('startOne', server)
    const liveMs: number[] = []
    const envoyLiveMs: number[] = []
    const binary = findEnvoy()
    for (let start = 0; start < starts; start++) {
      liveMs.push(await fleet.ask('startOne', server))
      if (binary !== undefined) envoyLiveMs.push(await envoyLive(binary, server))
    }
    say(`live after ${liveMs.map((ms) => ms.toFixed(0)).join(', ')} ms`)
    const startedAt = performance.now()
    await fleet.ask('start', { server, count: proxies - starts - 1, atOnce })
    const allLiveMs = performance.now() - startedAt
    await check(fleet, options)
    const residentBytes = await fleet.ask('residentBytes')
    const peakBytes = await fleet.ask('peakBytes')
    say(`${proxies} live after ${allLiveMs.toFixed(0)} ms, ${(peakBytes / 1e6).toFixed(0)} MB`)
    return { liveMs, envoyLiveMs: binary === undefined ? undefined : envoyLiveMs, allLiveMs, residentBytes, peakBytes }
  } finally {
    await Promise.all([product.stop(), fleet.stop()])
  }
}

async function check(
  fleet: ReturnType<typeof startChild<ProxyFleetCommands>>,
  { proxies, clusters }: ProxyCrowdOptions,
): Promise<void> {
  const counts = await fleet.ask('clusters')
  // One is the server's own.
  const lacking = counts.filter((count) => count < clusters + 1).length
  if (counts.length !== proxies || lacking > 0) throw new Error(`${lacking} of ${counts.length} proxies lack clusters`)
  const rejections = await fleet.ask('rejections')
  if (rejections > 0) throw new Error(`${rejections} updates were rejected`)
}

async function envoyLive(binary: string, server: string): Promise<number> {
  const startedAt = performance.now()
  const bootstrap = buildBootstrap({ id: 'envoy', cluster: 'bench', server, delta: true })
  const envoy = await launchEnvoy({ binary, bootstrap, logLevel: 'warning' })
  try {
    await envoy.waitLive()
    return performance.now() - startedAt
  } finally {
    await envoy.close()
  }
}
