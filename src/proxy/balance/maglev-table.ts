import type { ClusterHost } from '../cluster/cluster-host.ts'
import type { MaglevConfig } from './balance-config.ts'
import { type HashTable, hashKeyOf, type WeightedHost } from './hash-table.ts'
import { xxHash64 } from './xx-hash.ts'

export interface MaglevTable extends HashTable {
  readonly minEntriesPerHost: number
  readonly maxEntriesPerHost: number
}

/** A host that takes entries of the table, each next one in an order of its own. */
interface Taker {
  readonly host: ClusterHost
  readonly weight: number
  readonly skip: number
  /** The next entry in its order. */
  entry: number
  /** It takes part in a round when that many rounds times its weight come to this. */
  target: number
  count: number
}

/**
 * Maglev: in each round each host takes the next free entry of its own order of all entries, the heaviest in every round
 * and others as often as their weight is to the heaviest's. One host less moves few entries of the others.
 */
export function buildMaglevTable(weighted: readonly WeightedHost[], { tableSize, hashing }: MaglevConfig): MaglevTable {
  if (weighted.length === 0) return emptyTable
  const size = BigInt(tableSize)
  const takers = weighted
    .map(({ host, weight }) => ({ host, weight, key: hashKeyOf(host, hashing.usesHostname) }))
    // The order must not follow from how the hosts were listed.
    .sort((one, other) => (one.key < other.key ? -1 : one.key > other.key ? 1 : 0))
    .map(
      ({ host, weight, key }): Taker => ({
        host,
        weight,
        skip: Number(xxHash64(key, 1n) % (size - 1n)) + 1,
        entry: Number(xxHash64(key) % size),
        target: 0,
        count: 0,
      }),
    )
  const table = fill(takers, tableSize)
  return {
    minEntriesPerHost: Math.min(...takers.map(({ count }) => count)),
    maxEntriesPerHost: Math.max(...takers.map(({ count }) => count)),
    find(hash, attempt) {
      const mixed = attempt === 0 ? hash : hash ^ (mask - BigInt(attempt) + 1n)
      return takers[table[Number(mixed % size)] as number]?.host
    },
  }
}

const mask = 0xffff_ffff_ffff_ffffn
const emptyTable: MaglevTable = { minEntriesPerHost: 0, maxEntriesPerHost: 0, find: () => undefined }

/** Which taker has each entry, by its index. */
function fill(takers: readonly Taker[], tableSize: number): Uint32Array {
  const free = 0xffff_ffff
  const table = new Uint32Array(tableSize).fill(free)
  const heaviest = Math.max(...takers.map(({ weight }) => weight))
  let taken = 0
  for (let round = 1; taken < tableSize; round++) {
    for (let index = 0; index < takers.length && taken < tableSize; index++) {
      const taker = takers[index] as Taker
      if (round * taker.weight < taker.target) continue
      taker.target += heaviest
      while (table[taker.entry] !== free) taker.entry = (taker.entry + taker.skip) % tableSize
      table[taker.entry] = index
      taker.entry = (taker.entry + taker.skip) % tableSize
      taker.count++
      taken++
    }
  }
  return table
}
