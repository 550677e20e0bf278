import type { HostSet } from './host-set.ts'

/** How the load is shared among the priorities, in percent of it all. */
export interface PriorityLoad {
  /** What the healthy hosts of each priority take. */
  readonly healthy: readonly number[]
  /** What the degraded ones take, where the healthy ones are too few. */
  readonly degraded: readonly number[]
  /** Priorities with so few available hosts that their health does not count. */
  readonly isPanicking: readonly boolean[]
}

/** What is available of one priority, in percent of what it needs; 100 at most. */
interface Availability {
  readonly healthy: number
  readonly degraded: number
}

/**
 * Shares the load: each priority takes what it is able to, the first ones first. Its health is the share of its healthy
 * hosts times the overprovisioning factor, so that some may fail before the next priority helps. Healthy hosts of all
 * priorities are asked before degraded ones of any. All numbers are whole, as Envoy's are.
 */
export function sharePriorities(sets: readonly HostSet[], panicThreshold: number): PriorityLoad {
  const availabilities = sets.map(availabilityOf)
  const total = totalOf(availabilities)
  const nothing = sets.map(() => 0)
  const calm = sets.map(() => false)
  if (total === 0 && panicThreshold === 0) {
    // Somebody must be asked; there is nobody, so the answer will be that.
    return { healthy: onlyFirst(sets), degraded: nothing, isPanicking: calm }
  }
  const isPanicking = total === 100 ? calm : sets.map((set) => isInPanic(set, panicThreshold))
  if (isPanicking.every(Boolean)) return { healthy: shareByCount(sets), degraded: nothing, isPanicking }
  if (total === 0) return { healthy: onlyFirst(sets), degraded: nothing, isPanicking }
  return { ...shareByAvailability(availabilities, total), isPanicking }
}

/**
 * The load of a retry that is to go to another priority than those before it: they count as if nothing of them were
 * available. Where nothing else is, all are asked as ever.
 */
export function sharePrioritiesWithout(
  sets: readonly HostSet[],
  load: PriorityLoad,
  tried: readonly number[],
): PriorityLoad {
  const availabilities = sets.map((set) =>
    tried.includes(set.priority) ? { healthy: 0, degraded: 0 } : availabilityOf(set),
  )
  const total = totalOf(availabilities)
  return total === 0 ? load : { ...shareByAvailability(availabilities, total), isPanicking: load.isPanicking }
}

const totalOf = (availabilities: readonly Availability[]): number =>
  Math.min(
    100,
    availabilities.reduce((sum, { healthy, degraded }) => sum + healthy + degraded, 0),
  )

function availabilityOf({ all, healthy, degraded, excluded, ...set }: HostSet): Availability {
  const count = all.hosts.length - excluded
  if (count <= 0) return { healthy: 0, degraded: 0 }
  const share = (part: number, whole: number): number =>
    Math.min(100, Math.floor((set.overprovisioningFactor * part) / whole))
  if (!set.weighsPriorityHealth) {
    return { healthy: share(healthy.hosts.length, count), degraded: share(degraded.hosts.length, count) }
  }
  const whole = weightOf(all.hosts.filter(({ isUnchecked }) => !isUnchecked))
  return { healthy: share(weightOf(healthy.hosts), whole), degraded: share(weightOf(degraded.hosts), whole) }
}

const weightOf = (hosts: readonly { readonly weight: number }[]): number =>
  hosts.reduce((sum, { weight }) => sum + weight, 0)

/** Whether so few hosts are available that it is better to ask any of them. */
export function isInPanic({ all, healthy, degraded, excluded }: HostSet, panicThreshold: number): boolean {
  const count = all.hosts.length - excluded
  const available = count === 0 ? 0 : (100 * (healthy.hosts.length + degraded.hosts.length)) / count
  return available < Math.min(100, panicThreshold)
}

function shareByAvailability(
  availabilities: readonly Availability[],
  total: number,
): Pick<PriorityLoad, 'healthy' | 'degraded'> {
  let left = 100
  const take = (available: number): number => {
    const load = Math.min(left, Math.floor((available * 100) / total))
    left -= load
    return load
  }
  const healthy = availabilities.map((of) => take(of.healthy))
  const degraded = availabilities.map((of) => take(of.degraded))
  // What rounding has left goes to the first that is there at all.
  const firstHealthy = availabilities.findIndex((of) => of.healthy > 0)
  if (firstHealthy >= 0) healthy[firstHealthy] = (healthy[firstHealthy] as number) + left
  else {
    const first = availabilities.findIndex((of) => of.degraded > 0)
    if (first >= 0) degraded[first] = (degraded[first] as number) + left
  }
  return { healthy, degraded }
}

/** In panic everywhere: by how many hosts there are, whatever their health. */
function shareByCount(sets: readonly HostSet[]): readonly number[] {
  const count = sets.reduce((sum, { all }) => sum + all.hosts.length, 0)
  if (count === 0) return onlyFirst(sets)
  const shares = sets.map(({ all }) => Math.floor((100 * all.hosts.length) / count))
  const first = sets.findIndex(({ all }) => all.hosts.length > 0)
  shares[first] = (shares[first] as number) + 100 - shares.reduce((sum, share) => sum + share, 0)
  return shares
}

const onlyFirst = (sets: readonly HostSet[]): readonly number[] => sets.map((_, index) => (index === 0 ? 100 : 0))

export interface ChosenPriority {
  readonly priority: number
  readonly isDegraded: boolean
}

/** The priority that a number from 0 to 99 falls to. */
export function choosePriority({ healthy, degraded }: PriorityLoad, draw: number): ChosenPriority {
  let sum = 0
  for (let priority = 0; priority < healthy.length; priority++) {
    sum += healthy[priority] as number
    if (draw < sum) return { priority, isDegraded: false }
  }
  for (let priority = 0; priority < degraded.length; priority++) {
    sum += degraded[priority] as number
    if (draw < sum) return { priority, isDegraded: true }
  }
  return { priority: 0, isDegraded: false }
}
