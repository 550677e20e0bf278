import type { HostSet } from '../balance/host-set.ts'
import { type ChosenPriority, choosePriority, type PriorityLoad, sharePriorities } from '../balance/priority-load.ts'
import type { ProxyContext } from '../proxy-context.ts'
import type { BalanceQuestion } from './cluster.ts'
import type { ClusterHost } from './cluster-host.ts'

/** A cluster that an aggregate one asks in its place. */
export interface AggregatedCluster {
  readonly sets: readonly HostSet[]
  chooseAt(question: BalanceQuestion, at: ChosenPriority): ClusterHost | undefined
  onHostsChanged(act: () => void): { cancel(): void }
}

export interface AggregateOwner {
  readonly context: Pick<ProxyContext, 'random' | 'runtime'>
  readonly panicThreshold: number
  find(name: string): AggregatedCluster | undefined
  /** Which cluster has that name is another now. */
  onChanged(act: (name: string) => void): { cancel(): void }
}

interface Step {
  readonly cluster: AggregatedCluster
  /** Of that cluster. */
  readonly priority: number
}

/**
 * Clusters one after the other: the priorities of the first, then those of the next, as if they were priorities of one
 * cluster. So the next one helps as soon as too few hosts of those before are healthy.
 */
export class Aggregate {
  readonly #names: readonly string[]
  readonly #owner: AggregateOwner
  readonly #watching: { cancel(): void }
  #watched: readonly { cancel(): void }[] = []
  readonly #ownerOf = new WeakMap<ClusterHost, AggregatedCluster>()
  #steps: readonly Step[] = []
  #load: PriorityLoad | undefined

  constructor(names: readonly string[], owner: AggregateOwner) {
    this.#names = names
    this.#owner = owner
    this.#watching = owner.onChanged((name) => {
      if (names.includes(name)) this.#gather()
    })
    this.#gather()
  }

  choose(question: BalanceQuestion): ClusterHost | undefined {
    const { random } = this.#owner.context
    const load = this.#shared()
    if (load === undefined) return undefined
    const { priority, isDegraded } = choosePriority(load, Math.floor(random() * 100))
    const step = this.#steps[priority]
    const host = step?.cluster.chooseAt(question, { priority: step.priority, isDegraded })
    if (host !== undefined && step !== undefined) this.#ownerOf.set(host, step.cluster)
    return host
  }

  ownerOf(host: ClusterHost): AggregatedCluster | undefined {
    return this.#ownerOf.get(host)
  }

  close(): void {
    this.#watching.cancel()
    for (const watching of this.#watched) watching.cancel()
  }

  /** Who is asked, in what order. */
  #gather(): void {
    for (const watching of this.#watched) watching.cancel()
    const clusters = this.#names.map((name) => this.#owner.find(name)).filter((found) => found !== undefined)
    this.#watched = clusters.map((cluster) =>
      cluster.onHostsChanged(() => {
        this.#load = undefined
      }),
    )
    this.#load = undefined
  }

  #shared(): PriorityLoad | undefined {
    if (this.#load !== undefined) return this.#load
    const clusters = this.#names.map((name) => this.#owner.find(name)).filter((found) => found !== undefined)
    this.#steps = clusters.flatMap((cluster) => cluster.sets.map(({ priority }): Step => ({ cluster, priority })))
    const sets = clusters.flatMap((cluster) => cluster.sets)
    if (sets.length === 0) return undefined
    const { context, panicThreshold } = this.#owner
    this.#load = sharePriorities(sets, context.runtime.number('upstream.healthy_panic_threshold', panicThreshold))
    return this.#load
  }
}
