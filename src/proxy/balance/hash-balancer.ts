import type { BalanceQuestion } from '../cluster/cluster.ts'
import type { ClusterHost } from '../cluster/cluster-host.ts'
import type { ConsistentHashing } from './balance-config.ts'
import { type Balancer, type BalancerOwner, random64 } from './balancer.ts'
import { boundLoad } from './bounded-load.ts'
import type { HashTable, WeightedHost } from './hash-table.ts'
import type { HostList, HostSet } from './host-set.ts'
import { type ChosenPriority, choosePriority, type PriorityLoad, sharePriorities } from './priority-load.ts'

/**
 * Chooses by the hash of a request, with a table for each priority. Which priority, too, follows from the hash, so that
 * the same request goes to the same host as long as nothing changes. Degraded hosts are in no table.
 */
export class HashBalancer implements Balancer {
  readonly #owner: BalancerOwner
  readonly #hashing: ConsistentHashing
  readonly #build: (weighted: readonly WeightedHost[]) => HashTable
  #sets: readonly HostSet[] = []
  #load: PriorityLoad = { healthy: [], degraded: [], isPanicking: [] }
  /** Made when first asked for, for that takes a while. */
  #tables: (HashTable | undefined)[] = []

  constructor(
    owner: BalancerOwner,
    hashing: ConsistentHashing,
    build: (weighted: readonly WeightedHost[]) => HashTable,
  ) {
    this.#owner = owner
    this.#hashing = hashing
    this.#build = build
  }

  update(sets: readonly HostSet[]): void {
    const { context, panicThreshold } = this.#owner
    this.#sets = sets
    this.#load = sharePriorities(sets, context.runtime.number('upstream.healthy_panic_threshold', panicThreshold))
    this.#tables = []
  }

  choose({ hash, tried, maxAttempts = 0 }: BalanceQuestion, at?: ChosenPriority): ClusterHost | undefined {
    const wanted = hash ?? random64(this.#owner.context.random)
    const { priority } = at ?? choosePriority(this.#load, Number(wanted % 100n))
    if (this.#load.isPanicking[priority] === true) this.#owner.stats.counter('lb_healthy_panic').add()
    const table = this.#tableOf(priority)
    let host = table?.find(wanted, 0)
    for (let attempt = 1; attempt <= maxAttempts && host !== undefined; attempt++) {
      if (tried?.has(host) !== true) break
      host = table?.find(wanted, attempt)
    }
    return host
  }

  close(): void {
    this.#tables = []
  }

  #tableOf(priority: number): HashTable | undefined {
    const set = this.#sets[priority]
    if (set === undefined) return undefined
    this.#tables[priority] ??= this.#buildTable(set, this.#load.isPanicking[priority] === true)
    return this.#tables[priority]
  }

  #buildTable(set: HostSet, isPanicking: boolean): HashTable {
    const weighted = weigh(set, isPanicking, this.#hashing.isLocalityWeighted)
    const table = this.#build(weighted)
    const { balanceFactor } = this.#hashing
    return balanceFactor === 0 ? table : boundLoad(table, weighted, balanceFactor)
  }
}

/** All hosts that are in the table, with their shares: by their own weights, within the share of their locality. */
export function weigh(set: HostSet, isPanicking: boolean, isLocalityWeighted: boolean): readonly WeightedHost[] {
  const listOf = (from: { readonly all: HostList; readonly healthy: HostList }): HostList =>
    isPanicking ? from.all : from.healthy
  const sum = set.localities.reduce((all, { weight }) => all + weight, 0)
  if (!isLocalityWeighted || set.localities.length === 0) return shareOut(listOf(set).hosts, 1)
  return set.localities.flatMap((locality) =>
    locality.weight === 0 ? [] : shareOut(listOf(locality).hosts, locality.weight / sum),
  )
}

function shareOut(hosts: readonly ClusterHost[], share: number): readonly WeightedHost[] {
  const sum = hosts.reduce((all, { weight }) => all + weight, 0)
  return hosts.map((host) => ({ host, weight: (host.weight * share) / sum }))
}
