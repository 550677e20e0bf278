import type { Cluster } from '../cluster/cluster.ts'
import type { Counter, Histogram, StatScope } from '../stats/stat-store.ts'

/** What the router counts of a cluster. */
export interface ClusterCounts {
  readonly retry: Counter
  readonly retrySuccess: Counter
  readonly retryOverflow: Counter
  readonly retryLimitExceeded: Counter
  readonly retryBackOff: Counter
  readonly retryBackOffRateLimited: Counter
  readonly retryOrShadowAbandoned: Counter
  readonly timeout: Counter
  readonly perTryTimeout: Counter
  readonly perTryIdleTimeout: Counter
  readonly maxDuration: Counter
  readonly cancelled: Counter
  readonly maintenance: Counter
  /** A response's status, or what was answered in its place. */
  countStatus(status: number, isInternal: boolean): void
  countTime(ms: number, isInternal: boolean): void
}

const known = new WeakMap<Cluster, ClusterCounts>()

export function countsOf(cluster: Cluster): ClusterCounts {
  const before = known.get(cluster)
  if (before !== undefined) return before
  const counts = createCounts(cluster.stats)
  known.set(cluster, counts)
  return counts
}

function createCounts(stats: StatScope): ClusterCounts {
  const counter = (name: string): Counter => stats.counter(name)
  const all = new StatusCounts(stats, '')
  const internal = new StatusCounts(stats, 'internal.')
  const external = new StatusCounts(stats, 'external.')
  return {
    retry: counter('upstream_rq_retry'),
    retrySuccess: counter('upstream_rq_retry_success'),
    retryOverflow: counter('upstream_rq_retry_overflow'),
    retryLimitExceeded: counter('upstream_rq_retry_limit_exceeded'),
    retryBackOff: counter('upstream_rq_retry_backoff_exponential'),
    retryBackOffRateLimited: counter('upstream_rq_retry_backoff_ratelimited'),
    retryOrShadowAbandoned: counter('retry_or_shadow_abandoned'),
    timeout: counter('upstream_rq_timeout'),
    perTryTimeout: counter('upstream_rq_per_try_timeout'),
    perTryIdleTimeout: counter('upstream_rq_per_try_idle_timeout'),
    maxDuration: counter('upstream_rq_max_duration_reached'),
    cancelled: counter('upstream_rq_cancelled'),
    maintenance: counter('upstream_rq_maintenance_mode'),
    countStatus(status, isInternal) {
      all.count(status)
      ;(isInternal ? internal : external).count(status)
    },
    countTime(ms, isInternal) {
      all.time.record(ms)
      ;(isInternal ? internal : external).time.record(ms)
    },
  }
}

/** `upstream_rq_2xx`, `upstream_rq_200`, `upstream_rq_completed`, made when they are first needed. */
class StatusCounts {
  readonly #stats: StatScope
  readonly #prefix: string
  readonly #byStatus = new Map<number, readonly Counter[]>()
  #time: Histogram | undefined

  constructor(stats: StatScope, prefix: string) {
    this.#stats = stats
    this.#prefix = prefix
  }

  get time(): Histogram {
    this.#time ??= this.#stats.histogram(`${this.#prefix}upstream_rq_time`)
    return this.#time
  }

  count(status: number): void {
    let counters = this.#byStatus.get(status)
    if (counters === undefined) {
      const names = [`${Math.floor(status / 100)}xx`, `${status}`, 'completed']
      counters = names.map((name) => this.#stats.counter(`${this.#prefix}upstream_rq_${name}`))
      this.#byStatus.set(status, counters)
    }
    for (const counter of counters) counter.add()
  }
}
