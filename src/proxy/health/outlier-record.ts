import type { ClusterHost } from '../cluster/cluster-host.ts'

/** What outlier detection remembers of one host. */
export class OutlierRecord {
  /** In a row, up to now. */
  readonly failures = {
    consecutive_5xx: 0,
    consecutive_gateway_failure: 0,
    consecutive_local_origin_failure: 0,
  }
  readonly external: Tally = new Tally()
  readonly local: Tally = new Tally()
  /** By how much its time outside is longer than the first: it grows when it is let out, and shrinks while it is well. */
  backoff = 0
  ejectedMs = 0
  unejectedMs: number | undefined
  jitterMs = 0

  /** It is back: what it had failed at before is forgotten. */
  restart(now: number): void {
    this.unejectedMs = now
    this.failures.consecutive_5xx = 0
    this.failures.consecutive_gateway_failure = 0
    this.failures.consecutive_local_origin_failure = 0
  }
}

export interface Rate {
  /** Of successes, from 0 to 100. */
  readonly percent: number
  readonly total: number
}

export interface HostRate extends Rate {
  readonly host: ClusterHost
  readonly record: OutlierRecord
}

/** Counts successes interval by interval. */
class Tally {
  #successes = 0
  #total = 0
  #lastSuccesses = 0
  #lastTotal = 0

  count(isSuccess: boolean): void {
    this.#total++
    if (isSuccess) this.#successes++
  }

  /** An interval is over. */
  turn(): void {
    this.#lastSuccesses = this.#successes
    this.#lastTotal = this.#total
    this.#successes = 0
    this.#total = 0
  }

  /** Of the last whole interval; undefined where nothing was counted. */
  last(): Rate | undefined {
    const total = this.#lastTotal
    return total === 0 ? undefined : { percent: (this.#lastSuccesses * 100) / total, total }
  }
}
