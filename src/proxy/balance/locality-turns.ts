import { EdfSchedule } from './edf-schedule.ts'
import type { HostSet, LocalityHosts } from './host-set.ts'

/** Gives each locality of a priority its turns by its weight, of which it loses what it has no hosts for. */
export class LocalityTurns {
  readonly #healthy: EdfSchedule<Weighted> | undefined
  readonly #degraded: EdfSchedule<Weighted> | undefined

  constructor(set: HostSet, random: () => number) {
    const schedule = (count: (locality: LocalityHosts) => number): EdfSchedule<Weighted> | undefined => {
      const weighted = set.localities
        .map((locality) => ({
          locality,
          weight: effectiveWeight(locality, count(locality), set.overprovisioningFactor),
        }))
        .filter(({ weight }) => weight > 0)
      return weighted.length === 0 ? undefined : new EdfSchedule(weighted, ({ weight }) => weight, random())
    }
    this.#healthy = schedule(({ healthy }) => healthy.hosts.length)
    this.#degraded = schedule(({ degraded }) => degraded.hosts.length)
  }

  /** Undefined where no locality with such hosts has a weight. */
  next(isDegraded: boolean): LocalityHosts | undefined {
    return (isDegraded ? this.#degraded : this.#healthy)?.next()?.locality
  }
}

interface Weighted {
  readonly locality: LocalityHosts
  readonly weight: number
}

/**
 * A locality keeps its weight as long as enough of its hosts are available, the overprovisioning factor allowed for; with
 * fewer, its weight shrinks with them.
 */
function effectiveWeight(
  { weight, all, excluded }: Pick<LocalityHosts, 'weight' | 'all' | 'excluded'>,
  available: number,
  overprovisioningFactor: number,
): number {
  const count = all.hosts.length - excluded
  if (count <= 0 || available === 0) return 0
  return weight * Math.min(1, (overprovisioningFactor / 100) * (available / count))
}
