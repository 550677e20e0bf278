import type { ClusterHost } from '../cluster/cluster-host.ts'
import type { HashTable, WeightedHost } from './hash-table.ts'
import { createMersenneTwister } from './mersenne-twister.ts'

/**
 * A table whose hosts take no more than so many percent of what falls to each on average: what is beyond goes to others,
 * in an order that follows from the request's hash.
 */
export function boundLoad(table: HashTable, weighted: readonly WeightedHost[], balanceFactor: number): HashTable {
  const weights = new Map(weighted.map(({ host, weight }) => [host, weight]))
  return {
    find(hash, attempt) {
      const first = table.find(hash, attempt)
      if (first === undefined) return undefined
      const active = weighted.reduce((sum, { host }) => sum + host.stats.rqActive, 0)
      const slots = Math.floor(((active + 1) * balanceFactor + 99) / 100)
      const overload = (host: ClusterHost): number =>
        host.stats.rqActive / Math.max(1, Math.ceil(slots * (weights.get(host) ?? 0)))
      let least = { host: first, factor: overload(first) }
      if (least.factor <= 1) return first
      for (const host of shuffled(weighted, hash)) {
        if (host === first) continue
        const factor = overload(host)
        if (factor <= 1) return host
        if (factor < least.factor) least = { host, factor }
      }
      return least.host
    },
  }
}

function* shuffled(weighted: readonly WeightedHost[], hash: bigint): Iterable<ClusterHost> {
  const random = createMersenneTwister(Number(hash & 0xffff_ffffn))
  const order = weighted.map((_, index) => index)
  for (let at = 0; at < order.length; at++) {
    const other = at + evenly(random, order.length - at)
    const chosen = order[other] as number
    order[other] = order[at] as number
    order[at] = chosen
    yield (weighted[chosen] as WeightedHost).host
  }
}

/** From 0 to below `limit`, each as often as the others. */
function evenly(random: () => number, limit: number): number {
  const width = Math.floor(2 ** 32 / limit)
  for (;;) {
    const value = Math.floor(random() / width)
    if (value < limit) return value
  }
}
