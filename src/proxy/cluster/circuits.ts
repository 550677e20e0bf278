import type { Runtime } from '../runtime.ts'
import type { Gauge, StatScope } from '../stats/stat-store.ts'
import type { CircuitConfig } from './circuit-config.ts'
import type { Circuit, Resource, RoutingPriority } from './cluster.ts'

/** What a circuit is told by, beside its configuration. */
export interface CircuitOwner {
  /** `cluster.NAME.` */
  readonly stats: StatScope
  readonly runtime: Runtime
  readonly cluster: string
}

/** Counts what is under way in a cluster for one priority, and says when it is too much. */
export function createCircuit(config: CircuitConfig, priority: RoutingPriority, owner: CircuitOwner): Circuit {
  const scope = owner.stats.scope(`circuit_breakers.${priority}.`)
  const limited = (key: string, stat: string, byDefault: number): CountedResource => {
    const runtimeKey = `circuit_breakers.${owner.cluster}.${priority}.${key}`
    const limit = (): number => owner.runtime.number(runtimeKey, byDefault)
    return new CountedResource(limit, scope.gauge(`${stat}_open`), remainingOf(scope, stat, config, byDefault))
  }
  const requests = limited('max_requests', 'rq', config.maxRequests)
  const pending = limited('max_pending_requests', 'rq_pending', config.maxPendingRequests)
  return {
    connections: limited('max_connections', 'cx', config.maxConnections),
    pending,
    requests,
    retries: retriesOf(config, { requests, pending, limited, scope }),
  }
}

interface RetrySources {
  readonly requests: Resource
  readonly pending: Resource
  readonly limited: (key: string, stat: string, byDefault: number) => CountedResource
  readonly scope: StatScope
}

function retriesOf({ retryBudget, maxRetries }: CircuitConfig, sources: RetrySources): Resource {
  if (retryBudget === undefined) return sources.limited('max_retries', 'rq_retry', maxRetries)
  const { requests, pending, scope } = sources
  const limit = (): number =>
    Math.max(retryBudget.minConcurrency, Math.floor((requests.active + pending.active) * retryBudget.share))
  return new CountedResource(limit, scope.gauge('rq_retry_open'), undefined)
}

function remainingOf(
  scope: StatScope,
  stat: string,
  { tracksRemaining }: CircuitConfig,
  limit: number,
): Gauge | undefined {
  if (!tracksRemaining) return undefined
  const gauge = scope.gauge(remainingNames[stat] ?? `remaining_${stat}`)
  gauge.set(limit)
  return gauge
}

const remainingNames: Readonly<Record<string, string>> = {
  cx: 'remaining_cx',
  rq: 'remaining_rq',
  rq_pending: 'remaining_pending',
  rq_retry: 'remaining_retries',
}

class CountedResource implements Resource {
  active = 0
  readonly #limit: () => number
  readonly #open: Gauge
  readonly #remaining: Gauge | undefined

  constructor(limit: () => number, open: Gauge, remaining: Gauge | undefined) {
    this.#limit = limit
    this.#open = open
    this.#remaining = remaining
  }

  take(): boolean {
    const limit = this.#limit()
    if (this.active >= limit) return false
    this.active++
    this.#show(limit)
    return true
  }

  give(): void {
    this.active--
    this.#show(this.#limit())
  }

  #show(limit: number): void {
    this.#open.set(this.active >= limit ? 1 : 0)
    this.#remaining?.set(Math.max(0, limit - this.active))
  }
}
