import type { Timer } from '../../clock.ts'
import type { ClusterHost } from '../cluster/cluster-host.ts'
import type { TryOutcome } from '../cluster/host.ts'
import type { ProxyContext } from '../proxy-context.ts'
import type { StatScope } from '../stats/stat-store.ts'
import type { OutlierConfig } from './outlier-config.ts'
import { type HostRate, OutlierRecord } from './outlier-record.ts'
import { successRateThreshold } from './success-rate.ts'

/** What a host was found out by, as Envoy's stats call it. */
type Finding =
  | 'consecutive_5xx'
  | 'consecutive_gateway_failure'
  | 'consecutive_local_origin_failure'
  | 'success_rate'
  | 'local_origin_success_rate'
  | 'failure_percentage'
  | 'local_origin_failure_percentage'

/** From where a failure is: what a host answered, or what happened before it could. */
type Origin = 'external' | 'local'

export interface OutlierOwner {
  readonly context: Pick<ProxyContext, 'clock' | 'random' | 'runtime'>
  /** `cluster.NAME.` */
  readonly stats: StatScope
  /** A host was let out, or in again: its health is another. */
  onChange(host: ClusterHost): void
}

/**
 * Lets hosts out of a cluster by what becomes of their requests: after so many failures in a row at once, and at the end
 * of each interval those that fail far more often than the others. They come back by themselves.
 */
export class OutlierDetector {
  readonly #config: OutlierConfig
  readonly #owner: OutlierOwner
  readonly #stats: StatScope
  readonly #records = new Map<ClusterHost, OutlierRecord>()
  #ejected = 0
  #timer: Timer

  constructor(config: OutlierConfig, owner: OutlierOwner) {
    this.#config = config
    this.#owner = owner
    this.#stats = owner.stats.scope('outlier_detection.')
    this.#stats.gauge('ejections_active').add(0)
    this.#timer = this.#arm()
  }

  /** Who the hosts are from now on. */
  update(hosts: Iterable<ClusterHost>): void {
    const members = new Set(hosts)
    for (const host of this.#records.keys()) {
      if (members.has(host)) continue
      this.#records.delete(host)
      host.judge = undefined
      if (host.isEjected) this.#count(-1)
    }
    for (const host of members) {
      if (this.#records.has(host)) continue
      const record = new OutlierRecord()
      this.#records.set(host, record)
      host.judge = (outcome) => this.#judge(host, record, outcome)
    }
  }

  /** An active check found it well. */
  onCheckPassed(host: ClusterHost): void {
    if (this.#config.checkUnejects && host.isEjected && !host.isFailing) this.#uneject(host)
  }

  close(): void {
    this.#timer.cancel()
    for (const host of this.#records.keys()) host.judge = undefined
    this.#records.clear()
    // Who takes its place counts in the same stat.
    this.#count(-this.#ejected)
    this.#stats.close()
  }

  #judge(host: ClusterHost, record: OutlierRecord, outcome: TryOutcome): void {
    const splits = this.#config.splitsLocalOrigin
    if ('status' in outcome) {
      if (splits) this.#countLocal(host, record, true)
      this.#countStatus(host, record, outcome.status)
    } else if (splits) {
      this.#countLocal(host, record, 'connected' in outcome)
    } else {
      // Without the distinction everything is as if the host had answered it.
      const status = 'connected' in outcome ? 200 : outcome.failure === 'timeout' ? 504 : 503
      this.#countStatus(host, record, status)
    }
  }

  #countStatus(host: ClusterHost, record: OutlierRecord, status: number): void {
    const isFailure = status >= 500 && status < 600
    record.external.count(!isFailure)
    if (!isFailure) {
      record.failures.consecutive_5xx = 0
      record.failures.consecutive_gateway_failure = 0
      return
    }
    const isGateway = status >= 502 && status <= 504
    if (!isGateway) record.failures.consecutive_gateway_failure = 0
    else this.#countFailure(host, record, 'consecutive_gateway_failure', this.#config.consecutiveGatewayFailure)
    this.#countFailure(host, record, 'consecutive_5xx', this.#config.consecutive5xx)
  }

  #countLocal(host: ClusterHost, record: OutlierRecord, isSuccess: boolean): void {
    record.local.count(isSuccess)
    if (isSuccess) record.failures.consecutive_local_origin_failure = 0
    else {
      const { consecutiveLocalOriginFailure } = this.#config
      this.#countFailure(host, record, 'consecutive_local_origin_failure', consecutiveLocalOriginFailure)
    }
  }

  #countFailure(
    host: ClusterHost,
    record: OutlierRecord,
    kind: keyof OutlierRecord['failures'],
    threshold: number,
  ): void {
    if (++record.failures[kind] !== this.#number(kind, threshold) || host.isEjected) return
    this.#stats.counter(`ejections_detected_${kind}`).add()
    this.#eject(host, record, kind)
    if (kind === 'consecutive_5xx') this.#stats.counter('ejections_consecutive_5xx').add()
    record.failures[kind] = 0
  }

  /** Lets it out, if not too many are out already. */
  #eject(host: ClusterHost, record: OutlierRecord, finding: Finding): void {
    const { maxEjectionPercent, alwaysEjectsOneHost, maxEjectionTimeJitterMs } = this.#config
    const { random, clock, runtime } = this.#owner.context
    const share = (100 * (this.#ejected + 1)) / this.#records.size
    const isAllowed = share <= Math.min(100, this.#number('max_ejection_percent', maxEjectionPercent))
    if (!isAllowed && !(alwaysEjectsOneHost && this.#ejected === 0)) {
      this.#stats.counter('ejections_overflow').add()
      return
    }
    if (finding === 'consecutive_5xx' || finding === 'success_rate') this.#stats.counter('ejections_total').add()
    const enforced = { numerator: this.#enforcing(finding), denominator: 100 }
    if (!runtime.isChosen(`outlier_detection.enforcing_${finding}`, enforced, random())) return
    this.#stats.counter('ejections_enforced_total').add()
    this.#stats.counter(`ejections_enforced_${finding}`).add()
    this.#count(1)
    host.isEjected = true
    record.ejectedMs = clock.now()
    record.jitterMs = Math.floor(random() * (this.#number('max_ejection_time_jitter_ms', maxEjectionTimeJitterMs) + 1))
    const { baseMs, maxMs } = this.#ejectionTimes()
    if (record.backoff * baseMs < maxMs + baseMs) record.backoff++
    this.#owner.onChange(host)
  }

  #uneject(host: ClusterHost): void {
    this.#count(-1)
    host.isEjected = false
    this.#records.get(host)?.restart(this.#owner.context.clock.now())
    this.#owner.onChange(host)
  }

  #arm(): Timer {
    const { clock } = this.#owner.context
    return clock.after(this.#number('interval_ms', this.#config.intervalMs), () => {
      this.#endInterval(clock.now())
      this.#timer = this.#arm()
    })
  }

  #endInterval(now: number): void {
    const { baseMs, maxMs } = this.#ejectionTimes()
    for (const [host, record] of this.#records) {
      const outMs = Math.min(baseMs * record.backoff, maxMs) + record.jitterMs
      if (host.isEjected && now - record.ejectedMs >= outMs) this.#uneject(host)
      record.external.turn()
      record.local.turn()
    }
    this.#compare('external')
    this.#compare('local')
    const intervalMs = this.#number('interval_ms', this.#config.intervalMs)
    for (const [host, record] of this.#records) {
      const isBack = record.unejectedMs !== undefined && now - record.unejectedMs >= intervalMs
      if (!host.isEjected && isBack && record.backoff > 0) record.backoff--
    }
  }

  /** Holds each host's last interval against the others'. */
  #compare(origin: Origin): void {
    const config = this.#config
    const minimumHosts = this.#number('success_rate_minimum_hosts', config.successRateMinimumHosts)
    const minimumForPercentage = this.#number('failure_percentage_minimum_hosts', config.failurePercentageMinimumHosts)
    if (this.#records.size < Math.min(minimumHosts, minimumForPercentage)) return
    const rates: HostRate[] = []
    for (const [host, record] of this.#records) {
      const rate = host.isEjected ? undefined : record[origin].last()
      if (rate !== undefined) rates.push({ host, record, ...rate })
    }
    const volume = this.#number('success_rate_request_volume', config.successRateRequestVolume)
    const busy = rates.filter(({ total }) => total >= volume)
    if (busy.length > 0 && busy.length >= minimumHosts) {
      const factor = this.#number('success_rate_stdev_factor', config.successRateStdevFactor) / 1000
      const threshold = successRateThreshold(
        busy.map(({ percent }) => percent),
        factor,
      )
      for (const { host, record, percent } of busy) {
        if (percent < threshold)
          this.#find(host, record, origin === 'local' ? 'local_origin_success_rate' : 'success_rate')
      }
    }
    const percentageVolume = this.#number('failure_percentage_request_volume', config.failurePercentageRequestVolume)
    const counted = rates.filter(({ total }) => total >= percentageVolume)
    if (counted.length === 0 || counted.length < minimumForPercentage) return
    const threshold = this.#number('failure_percentage_threshold', config.failurePercentageThreshold)
    for (const { host, record, percent } of counted) {
      if (100 - percent < threshold) continue
      this.#find(host, record, origin === 'local' ? 'local_origin_failure_percentage' : 'failure_percentage')
    }
  }

  #find(host: ClusterHost, record: OutlierRecord, finding: Finding): void {
    this.#stats.counter(`ejections_detected_${finding}`).add()
    if (finding.endsWith('success_rate')) this.#stats.counter('ejections_success_rate').add()
    if (!host.isEjected) this.#eject(host, record, finding)
  }

  #enforcing(finding: Finding): number {
    const config = this.#config
    switch (finding) {
      case 'consecutive_5xx':
        return config.enforcingConsecutive5xx
      case 'consecutive_gateway_failure':
        return config.enforcingConsecutiveGatewayFailure
      case 'consecutive_local_origin_failure':
        return config.enforcingConsecutiveLocalOriginFailure
      case 'success_rate':
        return config.enforcingSuccessRate
      case 'local_origin_success_rate':
        return config.enforcingLocalOriginSuccessRate
      case 'failure_percentage':
        return config.enforcingFailurePercentage
      case 'local_origin_failure_percentage':
        return config.enforcingFailurePercentageLocalOrigin
    }
  }

  #ejectionTimes(): { readonly baseMs: number; readonly maxMs: number } {
    return {
      baseMs: this.#number('base_ejection_time_ms', this.#config.baseEjectionTimeMs),
      maxMs: this.#number('max_ejection_time_ms', this.#config.maxEjectionTimeMs),
    }
  }

  #number(key: string, byDefault: number): number {
    return this.#owner.context.runtime.number(`outlier_detection.${key}`, byDefault)
  }

  #count(change: number): void {
    this.#ejected += change
    this.#stats.gauge('ejections_active').add(change)
  }
}
