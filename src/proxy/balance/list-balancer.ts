import type { BalanceQuestion } from '../cluster/cluster.ts'
import type { ClusterHost } from '../cluster/cluster-host.ts'
import type { LocalityConfig } from './balance-config.ts'
import { type Balancer, type BalancerOwner, below } from './balancer.ts'
import { EdfSchedule } from './edf-schedule.ts'
import type { HostList, HostSet } from './host-set.ts'
import { LocalityTurns } from './locality-turns.ts'
import {
  type ChosenPriority,
  choosePriority,
  isInPanic,
  type PriorityLoad,
  sharePriorities,
  sharePrioritiesWithout,
} from './priority-load.ts'
import { planZones, type ZoneRouting } from './zone-routing.ts'

/** How one host of a list is chosen. */
export interface ListPolicy {
  /** Where weights differ; it may be another at each turn. Undefined: weights do not count. */
  weightOf?(host: ClusterHost): number
  /** Where all weigh the same. `turn` grows by one from pick to pick of this list. */
  pick(hosts: readonly ClusterHost[], turn: number): ClusterHost
  /** Whether weights have to be looked at though all are the same: hosts are slowly starting. */
  isWeighing?(): boolean
  /** Another one where all weights are others at once, and turns have to be given anew. */
  weightsVersion?(): number
  /** Called with the healthy hosts of all priorities when they have changed. */
  onUpdate?(sets: readonly HostSet[]): void
}

/** A list as it was picked from since it last changed. */
interface ListState {
  hosts: readonly ClusterHost[]
  turn: number
  schedule: EdfSchedule<ClusterHost> | undefined
  readonly weightsVersion: number
}

/**
 * Chooses a list of hosts, then one of it: first the priority by how the load is shared, then healthy, degraded or (in
 * panic) all hosts, then the locality where localities count.
 */
export class ListBalancer implements Balancer {
  readonly #owner: BalancerOwner
  readonly #policy: ListPolicy
  readonly #locality: LocalityConfig
  /** Made when it is first asked: most clusters of a proxy never are. */
  #states: Map<string, ListState> | undefined
  readonly #firstTurn: number
  readonly #watching: { cancel(): void } | undefined
  #sets: readonly HostSet[] = []
  #load: PriorityLoad = { healthy: [], degraded: [], isPanicking: [] }
  #zones: ZoneRouting = { kind: 'none' }
  #turns: readonly LocalityTurns[] = []

  constructor(owner: BalancerOwner, policy: ListPolicy, locality: LocalityConfig) {
    this.#owner = owner
    this.#policy = policy
    this.#locality = locality
    this.#firstTurn = below(owner.context.random, 2 ** 20)
    this.#watching = locality.by === 'zone' ? owner.peers?.onChanged(() => this.#planZones()) : undefined
  }

  update(sets: readonly HostSet[]): void {
    const { context, panicThreshold } = this.#owner
    this.#sets = sets
    this.#load = sharePriorities(sets, context.runtime.number('upstream.healthy_panic_threshold', panicThreshold))
    for (const state of this.#states?.values() ?? []) state.hosts = none
    this.#policy.onUpdate?.(sets)
    if (this.#locality.by === 'weight') this.#turns = sets.map((set) => new LocalityTurns(set, context.random))
    this.#planZones()
  }

  choose(question: BalanceQuestion, at?: ChosenPriority): ClusterHost | undefined {
    let host = this.#chooseOnce(question, at)
    for (let left = question.maxAttempts ?? 0; left > 0 && host !== undefined; left--) {
      if (question.tried?.has(host) !== true) break
      host = this.#chooseOnce(question, at)
    }
    return host
  }

  close(): void {
    this.#watching?.cancel()
  }

  #chooseOnce(question: BalanceQuestion, at: ChosenPriority | undefined): ClusterHost | undefined {
    const list = this.#chooseList(at ?? this.#choosePriority(question))
    return list === undefined || list.hosts.length === 0 ? undefined : this.#pick(list)
  }

  #pick(list: HostList): ClusterHost | undefined {
    const state = this.#stateOf(list)
    return state.schedule === undefined ? this.#policy.pick(list.hosts, state.turn++) : state.schedule.next()
  }

  #stateOf({ name, hosts }: HostList): ListState {
    this.#states ??= new Map()
    const before = this.#states.get(name)
    const policy = this.#policy
    const weightsVersion = policy.weightsVersion?.() ?? 0
    if (before?.hosts === hosts && before.weightsVersion === weightsVersion) return before
    const weightOf = policy.weightOf?.bind(policy)
    const needsWeights =
      weightOf !== undefined && hosts.length > 1 && (!areEqual(hosts) || policy.isWeighing?.() === true)
    const state: ListState = {
      hosts,
      turn: before?.turn ?? this.#firstTurn,
      schedule: needsWeights ? new EdfSchedule(hosts, weightOf, this.#owner.context.random()) : undefined,
      weightsVersion,
    }
    this.#states.set(name, state)
    return state
  }

  #choosePriority({ triedPriorities }: BalanceQuestion): ChosenPriority {
    const load =
      triedPriorities === undefined || triedPriorities.length === 0
        ? this.#load
        : sharePrioritiesWithout(this.#sets, this.#load, triedPriorities)
    return choosePriority(load, below(this.#owner.context.random, 100))
  }

  #chooseList({ priority, isDegraded }: ChosenPriority): HostList | undefined {
    const { context, stats, peers } = this.#owner
    const set = this.#sets[priority]
    if (set === undefined) return undefined
    const locality = this.#locality
    const failsTraffic = locality.by === 'zone' && locality.failsTrafficOnPanic
    if (this.#load.isPanicking[priority] === true) {
      stats.counter('lb_healthy_panic').add()
      return failsTraffic ? undefined : set.all
    }
    const whole = isDegraded ? set.degraded : set.healthy
    if (locality.by === 'weight') {
      const chosen = this.#turns[priority]?.next(isDegraded)
      return chosen === undefined ? whole : isDegraded ? chosen.degraded : chosen.healthy
    }
    if (priority > 0 || this.#zones.kind === 'none') return whole
    const enabled = { numerator: locality.routingEnabledPercent, denominator: 100 }
    if (!context.runtime.isChosen('upstream.zone_routing.enabled', enabled, context.random())) return whole
    if (peers?.hosts !== undefined && isInPanic(peers.hosts, this.#owner.panicThreshold)) {
      stats.counter('lb_local_cluster_not_ok').add()
      return failsTraffic ? undefined : whole
    }
    const chosen = set.localities[this.#chooseZone(set.localities.length)]
    return isDegraded ? chosen?.degraded : chosen?.healthy
  }

  /** Which locality, by its index; the first is the proxy's own. */
  #chooseZone(count: number): number {
    const { stats, context } = this.#owner
    const zones = this.#zones
    if (zones.kind !== 'residual') {
      stats.counter('lb_zone_routing_all_directly').add()
      return 0
    }
    if (below(context.random, 10_000) < zones.stays) {
      stats.counter('lb_zone_routing_sampled').add()
      return 0
    }
    stats.counter('lb_zone_routing_cross_zone').add()
    const spare = zones.spare.at(-1) ?? 0
    if (spare === 0) {
      stats.counter('lb_zone_no_capacity_left').add()
      return below(context.random, count)
    }
    const draw = below(context.random, spare)
    return zones.spare.findIndex((sum) => draw < sum)
  }

  #planZones(): void {
    const { peers, stats, context } = this.#owner
    const [first] = this.#sets
    if (this.#locality.by !== 'zone' || peers?.hosts === undefined || first === undefined) {
      this.#zones = { kind: 'none' }
      return
    }
    stats.counter('lb_recalculate_zone_structures').add()
    const minimum = context.runtime.number('upstream.zone_routing.min_cluster_size', this.#locality.minClusterSize)
    this.#zones = planZones(first, peers.hosts, minimum)
    if (this.#zones.kind !== 'none') return
    if (this.#zones.because === 'peers') stats.counter('lb_local_cluster_not_ok').add()
    if (this.#zones.because === 'size') stats.counter('lb_zone_cluster_too_small').add()
  }
}

const none: readonly ClusterHost[] = []

function areEqual(hosts: readonly ClusterHost[]): boolean {
  const [first] = hosts
  return hosts.every(({ weight }) => weight === first?.weight)
}
