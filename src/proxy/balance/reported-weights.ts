import type { Clock } from '../../clock.ts'
import type { ClusterHost } from '../cluster/cluster-host.ts'
import type { ReportedWeightConfig } from './balance-config.ts'
import type { HostSet } from './host-set.ts'
import { type LoadReport, parseLoadReport } from './load-report.ts'

interface Reported {
  weight: number
  /** Since when its reports have said something. */
  readonly sinceMs: number
  lastMs: number
}

/**
 * Weights that hosts give themselves by what they report of their load: how many requests each serves for how much of what
 * it can do. Whoever says nothing weighs as much as the middle one of those that do.
 */
export class ReportedWeights {
  readonly #config: ReportedWeightConfig
  readonly #clock: Clock
  readonly #watched = new WeakSet<ClusterHost>()
  readonly #reported = new Map<ClusterHost, Reported>()
  #weights: ReadonlyMap<ClusterHost, number> = new Map()
  #middle = 1
  #version = 0
  #computedMs = Number.NEGATIVE_INFINITY

  constructor(config: ReportedWeightConfig, clock: Clock) {
    this.#config = config
    this.#clock = clock
  }

  onUpdate(sets: readonly HostSet[]): void {
    const members = new Set(sets.flatMap(({ all }) => all.hosts))
    for (const host of this.#reported.keys()) if (!members.has(host)) this.#reported.delete(host)
    for (const host of members) {
      if (this.#watched.has(host)) continue
      this.#watched.add(host)
      host.loadTakers ??= new Set()
      host.loadTakers.add((header) => this.#take(host, parseLoadReport(header)))
    }
  }

  /** Grows whenever the weights are others. */
  version(): number {
    const now = this.#clock.now()
    if (now - this.#computedMs >= this.#config.updatePeriodMs) this.#compute(now)
    return this.#version
  }

  weightOf(host: ClusterHost): number {
    return this.#weights.get(host) ?? this.#middle
  }

  #take(host: ClusterHost, report: LoadReport | undefined): void {
    const weight = report === undefined ? 0 : reportedWeight(report, this.#config.errorPenalty)
    if (weight === 0) return
    const now = this.#clock.now()
    const before = this.#reported.get(host)
    if (before === undefined) this.#reported.set(host, { weight, sinceMs: now, lastMs: now })
    else {
      before.weight = weight
      before.lastMs = now
    }
  }

  #compute(now: number): void {
    this.#computedMs = now
    const { blackoutMs, expirationMs } = this.#config
    const weights = new Map<ClusterHost, number>()
    for (const [host, { weight, sinceMs, lastMs }] of this.#reported) {
      if (now - lastMs > expirationMs) this.#reported.delete(host)
      // The first reports of a host that has just begun say little.
      else if (now - sinceMs >= blackoutMs) weights.set(host, weight)
    }
    const isSame =
      weights.size === this.#weights.size && [...weights].every(([host, weight]) => this.#weights.get(host) === weight)
    if (!isSame) this.#version++
    this.#weights = weights
    this.#middle = median([...weights.values()])
  }
}

/** Requests for each part of the utilization, to which errors add; 0 where the report does not say it. */
export function reportedWeight({ requestRate, errorRate, utilization }: LoadReport, errorPenalty: number): number {
  if (requestRate <= 0) return 0
  const used = utilization + (errorRate / requestRate) * errorPenalty
  return used <= 0 ? 0 : Math.max(1, Math.floor((1000 * requestRate) / used))
}

function median(values: readonly number[]): number {
  if (values.length === 0) return 1
  const sorted = values.toSorted((one, other) => one - other)
  return sorted[Math.floor(sorted.length / 2)] as number
}
