import type { ClusterHost } from '../cluster/cluster-host.ts'
import type { PeakEwmaConfig } from './balance-config.ts'
import { type BalancerOwner, below } from './balancer.ts'
import type { ListPolicy } from './list-balancer.ts'

/** How long a host takes to answer, as a mean in which what is long ago counts less and less. */
interface Latency {
  meanMs: number
  lastMs: number
}

/** One for each host, whichever of a cluster's balancers asks: it may be in several subsets. */
const latencies = new WeakMap<ClusterHost, Latency>()

/** Of two hosts drawn by chance the one that would cost less: by how long it takes, and how many wait for it already. */
export function peakEwma({ context: { clock, random } }: BalancerOwner, config: PeakEwmaConfig): ListPolicy {
  const take = (host: ClusterHost, ms: number): void => {
    const now = clock.now()
    const before = latencies.get(host)
    if (before === undefined) {
      latencies.set(host, { meanMs: ms, lastMs: now })
      return
    }
    before.meanMs = decayed(before.meanMs, ms, now - before.lastMs, config.decayMs)
    before.lastMs = now
  }
  const costOf = (host: ClusterHost): number => peakEwmaCost(latencies.get(host)?.meanMs, host.stats.rqActive, config)
  return {
    onUpdate(sets) {
      for (const { all } of sets) for (const host of all.hosts) host.takeLatency ??= (ms) => take(host, ms)
    },
    pick(hosts) {
      const first = below(random, hosts.length)
      if (hosts.length === 1) return hosts[first] as ClusterHost
      const second = (first + 1 + below(random, hosts.length - 1)) % hosts.length
      const [one, other] = [hosts[first] as ClusterHost, hosts[second] as ClusterHost]
      return costOf(other) < costOf(one) ? other : one
    },
  }
}

/** The mean after one more answer: the longer the last one is ago, the more the new one counts. */
export function decayed(meanMs: number, newMs: number, sinceMs: number, decayMs: number): number {
  const share = sinceMs <= 0 ? 1 : 1 - Math.exp(-sinceMs / decayMs)
  return share * newMs + (1 - share) * meanMs
}

/** A host that has requests and has never answered one costs more than any that has. */
export function peakEwmaCost(
  meanMs: number | undefined,
  active: number,
  { defaultMs, penalty }: Pick<PeakEwmaConfig, 'defaultMs' | 'penalty'>,
): number {
  if (meanMs !== undefined) return meanMs * (active + 1)
  return active > 0 ? penalty + active : defaultMs * (active + 1)
}
