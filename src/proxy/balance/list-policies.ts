import type { ClusterHost } from '../cluster/cluster-host.ts'
import { valueOf } from '../config/runtime-double.ts'
import type { LeastRequestConfig, ReportedWeightConfig, RoundRobinConfig, SlowStartConfig } from './balance-config.ts'
import { type BalancerOwner, below } from './balancer.ts'
import type { ListPolicy } from './list-balancer.ts'
import { ReportedWeights } from './reported-weights.ts'
import { SlowStart } from './slow-start.ts'

/** One after the other; by turns that follow the weights where they differ. */
export function roundRobin({ context }: BalancerOwner, { slowStart }: RoundRobinConfig): ListPolicy {
  const starting = slowStartOf(context, slowStart)
  return {
    weightOf: (host) => host.weight * (starting?.factorOf(host) ?? 1),
    pick: (hosts, turn) => hosts[turn % hosts.length] as ClusterHost,
    isWeighing: () => starting?.isAnyStarting() === true,
    onUpdate: (sets) => starting?.onUpdate(sets),
  }
}

/** The one with the fewest requests of some drawn by chance; where weights differ, turns that shrink with the requests. */
export function leastRequest({ context }: BalancerOwner, config: LeastRequestConfig): ListPolicy {
  const starting = slowStartOf(context, config.slowStart)
  return {
    weightOf: (host) => {
      const bias = valueOf(config.activeRequestBias, context.runtime)
      const weight = host.weight / (host.stats.rqActive + 1) ** Math.max(0, bias)
      return weight * (starting?.factorOf(host) ?? 1)
    },
    pick: (hosts) =>
      config.isFullScan ? leastOf(hosts, context.random) : leastOfSome(hosts, config.choices, context.random),
    isWeighing: () => starting?.isAnyStarting() === true,
    onUpdate: (sets) => starting?.onUpdate(sets),
  }
}

/** One after the other, by the weights that they give themselves. */
export function reportedWeights({ context }: BalancerOwner, config: ReportedWeightConfig): ListPolicy {
  const weights = new ReportedWeights(config, context.clock)
  return {
    weightOf: (host) => weights.weightOf(host),
    pick: (hosts, turn) => hosts[turn % hosts.length] as ClusterHost,
    isWeighing: () => true,
    weightsVersion: () => weights.version(),
    onUpdate: (sets) => weights.onUpdate(sets),
  }
}

/** Any, whatever its weight. */
export function random({ context }: BalancerOwner): ListPolicy {
  return { pick: (hosts) => hosts[below(context.random, hosts.length)] as ClusterHost }
}

/** The same host may be drawn twice. Of two with as many requests the one that was drawn first is taken. */
function leastOfSome(hosts: readonly ClusterHost[], choices: number, chance: () => number): ClusterHost {
  let least = hosts[below(chance, hosts.length)] as ClusterHost
  for (let drawn = 1; drawn < choices; drawn++) {
    const other = hosts[below(chance, hosts.length)] as ClusterHost
    if (other.stats.rqActive < least.stats.rqActive) least = other
  }
  return least
}

/** Any of those that have the fewest. */
function leastOf(hosts: readonly ClusterHost[], chance: () => number): ClusterHost {
  let least = hosts[0] as ClusterHost
  let ties = 1
  for (let at = 1; at < hosts.length; at++) {
    const other = hosts[at] as ClusterHost
    if (other.stats.rqActive < least.stats.rqActive) {
      least = other
      ties = 1
    } else if (other.stats.rqActive === least.stats.rqActive && below(chance, ++ties) === 0) {
      least = other
    }
  }
  return least
}

function slowStartOf(context: BalancerOwner['context'], config: SlowStartConfig | undefined): SlowStart | undefined {
  return config === undefined || config.windowMs === 0 ? undefined : new SlowStart(context, config)
}
