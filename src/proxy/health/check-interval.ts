import type { ProxyContext } from '../proxy-context.ts'
import type { HealthCheckConfig } from './health-check-config.ts'

/** What a check has done to a host's state: it waits for more of the same before it is another. */
export type Edge = 'unchanged' | 'pending' | 'changed'

export interface CheckOutcome {
  readonly hasPassed: boolean
  readonly edge: Edge
  /** The cluster was used at some time. */
  readonly hasTraffic: boolean
}

/** How long until the next check, jitter included. */
export function intervalOf(
  config: HealthCheckConfig,
  { random, runtime }: Pick<ProxyContext, 'random' | 'runtime'>,
  outcome: CheckOutcome,
): number {
  const baseMs = baseOf(config, outcome)
  const percentMs = Math.floor((config.intervalJitterPercent * baseMs) / 100)
  const jittered = baseMs + Math.floor(random() * percentMs) + Math.floor(random() * config.intervalJitterMs)
  const longest = runtime.number('health_check.max_interval', Number.POSITIVE_INFINITY)
  const shortest = runtime.number('health_check.min_interval', 0)
  return Math.max(1, shortest, Math.min(jittered, longest))
}

function baseOf(config: HealthCheckConfig, { hasPassed, edge, hasTraffic }: CheckOutcome): number {
  const isPending = edge === 'pending'
  if (!hasTraffic) {
    return hasPassed && !isPending ? config.noTrafficHealthyIntervalMs : config.noTrafficIntervalMs
  }
  if (hasPassed) return isPending ? config.healthyEdgeIntervalMs : config.intervalMs
  return isPending ? config.unhealthyEdgeIntervalMs : config.unhealthyIntervalMs
}
