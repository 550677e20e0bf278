import type { BalanceQuestion } from '../cluster/cluster.ts'
import type { ClusterHost } from '../cluster/cluster-host.ts'
import type { Json, JsonObject } from '../config/field-reader.ts'
import type { StatScope } from '../stats/stat-store.ts'
import type { SubsetConfig, SubsetFallback, SubsetSelector } from './balance-config.ts'
import type { Balancer } from './balancer.ts'
import { filterHostSet, type HostSet } from './host-set.ts'
import type { ChosenPriority } from './priority-load.ts'
import { hasLabels, type Labels, labelKey, labelsOf, subsetsOf } from './subset-labels.ts'

/**
 * Groups hosts by their labels. A request that asks for labels goes to the hosts that have just those, if somebody has
 * said that there are groups by them; else to whom the fallback says.
 */
export class SubsetBalancer implements Balancer {
  readonly #config: SubsetConfig
  readonly #stats: StatScope
  readonly #create: () => Balancer
  /** How hosts that have the same labels are balanced among themselves. */
  #subsets = new Map<string, Balancer>()
  #any: Balancer | undefined
  #default: Balancer | undefined

  constructor(config: SubsetConfig, stats: StatScope, create: () => Balancer) {
    this.#config = config
    this.#stats = stats
    this.#create = create
  }

  update(sets: readonly HostSet[]): void {
    const { selectors, defaultSubset, listsAsAny } = this.#config
    const hosts = sets.flatMap(({ all }) => all.hosts)
    const members = new Map<string, Set<ClusterHost>>()
    let duplicates = 0
    for (const host of hosts) {
      for (const { keys, isSingleHost } of selectors) {
        for (const labels of subsetsOf(host, keys, listsAsAny)) {
          const key = labelKey(labels)
          const there = members.get(key)
          if (there === undefined) members.set(key, new Set([host]))
          else if (isSingleHost) duplicates++
          else there.add(host)
        }
      }
    }
    this.#stats.gauge('lb_subsets_single_host_per_subset_duplicate').set(duplicates)
    this.#replace(members, sets)
    const needs = (fallback: SubsetFallback): boolean =>
      this.#config.fallback === fallback || selectors.some((selector) => selector.fallback === fallback)
    if (needs('any endpoint') || this.#config.panicsToAny) this.#any = this.#fill(this.#any, new Set(hosts), sets)
    if (needs('default subset')) {
      const chosen = hosts.filter((host) => hasLabels(host, defaultSubset, listsAsAny))
      this.#default = this.#fill(this.#default, new Set(chosen), sets)
    }
  }

  choose(question: BalanceQuestion, at?: ChosenPriority): ClusterHost | undefined {
    const { metadataMatch } = question
    const choices = metadataMatch?.['fallback_list']
    if (!this.#config.hasFallbackList || !Array.isArray(choices)) return this.#chooseBy(metadataMatch, question, at)
    const { fallback_list: _, ...asked } = metadataMatch as JsonObject
    if (choices.length === 0) return this.#chooseBy(asked, question, at)
    for (const choice of choices as readonly JsonObject[]) {
      const host = this.#chooseBy({ ...asked, ...choice }, question, at)
      if (host !== undefined) return host
    }
    return undefined
  }

  close(): void {
    for (const subset of [this.#any, this.#default, ...this.#subsets.values()]) subset?.close()
    this.#stats.gauge('lb_subsets_active').add(-this.#subsets.size)
    this.#subsets.clear()
  }

  #chooseBy(
    asked: Readonly<Record<string, unknown>> | undefined,
    question: BalanceQuestion,
    at: ChosenPriority | undefined,
  ): ClusterHost | undefined {
    const labels = asked === undefined ? [] : this.#wanted(labelsOf(asked as Readonly<Record<string, Json>>))
    if (labels.length > 0) {
      const subset = this.#subsets.get(labelKey(labels))
      if (subset !== undefined) {
        this.#stats.counter('lb_subsets_selected').add()
        return subset.choose(question, at)
      }
      const selector = this.#selectorOf(labels)
      if (selector?.fallback !== undefined) return this.#fallBack(selector, labels, question, at)
    }
    return this.#fallBackAtLast(question, at)
  }

  /** Labels that no selector has are left out, where that is allowed. */
  #wanted(labels: Labels): Labels {
    if (!this.#config.allowsRedundantKeys) return labels
    for (const { keys } of this.#config.selectors) {
      const known = labels.filter(([name]) => keys.includes(name))
      if (known.length === keys.length) return known
    }
    return labels
  }

  #selectorOf(labels: Labels): SubsetSelector | undefined {
    const names = labels.map(([name]) => name)
    return this.#config.selectors.find(
      ({ keys }) => keys.length === names.length && keys.every((key, index) => key === names[index]),
    )
  }

  #fallBack(
    { fallback, fallbackKeys }: SubsetSelector,
    labels: Labels,
    question: BalanceQuestion,
    at: ChosenPriority | undefined,
  ): ClusterHost | undefined {
    if (fallback === 'any endpoint') return this.#any?.choose(question, at)
    if (fallback === 'default subset') return this.#default?.choose(question, at)
    if (fallback !== 'keys') return undefined
    const fewer = labels.filter(([name]) => fallbackKeys.includes(name))
    return this.#chooseBy(Object.fromEntries(fewer), question, at)
  }

  #fallBackAtLast(question: BalanceQuestion, at: ChosenPriority | undefined): ClusterHost | undefined {
    const { fallback, panicsToAny } = this.#config
    if (fallback === 'none') return undefined
    const subset = fallback === 'any endpoint' ? this.#any : this.#default
    const host = subset?.choose(question, at)
    if (host !== undefined) {
      this.#stats.counter('lb_subsets_fallback').add()
      return host
    }
    const any = panicsToAny ? this.#any?.choose(question, at) : undefined
    if (any !== undefined) this.#stats.counter('lb_subsets_fallback_panic').add()
    return any
  }

  #replace(members: ReadonlyMap<string, ReadonlySet<ClusterHost>>, sets: readonly HostSet[]): void {
    const before = this.#subsets
    const after = new Map<string, Balancer>()
    for (const [key, hosts] of members) after.set(key, this.#fill(before.get(key), hosts, sets))
    const created = [...after.keys()].filter((key) => !before.has(key)).length
    const removed = [...before].filter(([key]) => !after.has(key))
    for (const [, balancer] of removed) balancer.close()
    this.#subsets = after
    this.#stats.counter('lb_subsets_created').add(created)
    this.#stats.counter('lb_subsets_removed').add(removed.length)
    this.#stats.gauge('lb_subsets_active').add(created - removed.length)
  }

  #fill(before: Balancer | undefined, hosts: ReadonlySet<ClusterHost>, sets: readonly HostSet[]): Balancer {
    const balancer = before ?? this.#create()
    balancer.update(sets.map((set) => this.#filter(set, hosts)))
    return balancer
  }

  #filter(set: HostSet, hosts: ReadonlySet<ClusterHost>): HostSet {
    const { isLocalityWeightAware, scalesLocalityWeight } = this.#config
    const filtered = filterHostSet(set, (host) => hosts.has(host))
    return {
      ...filtered,
      localities: filtered.localities.map((locality, index) => {
        const whole = set.localities[index]?.all.hosts.length ?? 0
        const scaled = whole === 0 ? 0 : Math.round((locality.weight * locality.all.hosts.length) / whole)
        return { ...locality, weight: !isLocalityWeightAware ? 0 : scalesLocalityWeight ? scaled : locality.weight }
      }),
    }
  }
}
