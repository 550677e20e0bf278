/** Many reference proxies in one process, which ask one server. */
import type { Proxy } from '../../src/proxy/create-proxy.ts'
import { answer } from './answer.ts'
import { buildBootstrap, createProxy } from './built-proxy.ts'

const proxies: Proxy[] = []

/** One more, which is waited for. @returns how long it took until it was live, in milliseconds */
async function startOne(server: string): Promise<number> {
  const { admin: _, ...bootstrap } = buildBootstrap({
    id: `proxy-${proxies.length}`,
    cluster: 'bench',
    server,
    delta: true,
  }) as { readonly admin: object }
  const startedAt = performance.now()
  const proxy = await createProxy({ bootstrap })
  proxies.push(proxy)
  await proxy.live
  return performance.now() - startedAt
}

const commands = {
  startOne: (server: string): Promise<number> => startOne(server),
  async start({ server, count, atOnce }: { server: string; count: number; atOnce: number }): Promise<void> {
    let left = count
    const next = async (): Promise<void> => {
      while (left-- > 0) await startOne(server)
    }
    await Promise.all(Array.from({ length: atOnce }, next))
  },
  /** Of each, the clusters that it has; those of the bootstrap are among them. */
  clusters: (): number[] => proxies.map(({ clusters }) => clusters.all.size),
  /** Of each, what it was sent and did not take. */
  rejections: (): number =>
    proxies.reduce((sum, { stats }) => {
      for (const [name, { value }] of stats.counters) if (name.endsWith('.update_rejected')) sum += value
      return sum
    }, 0),
  residentBytes(): number {
    globalThis.gc?.()
    return process.memoryUsage().rss
  },
  /** Over the life of the process. */
  peakBytes: (): number => process.resourceUsage().maxRSS * 1024,
}
export type ProxyFleetCommands = typeof commands

answer(commands)
