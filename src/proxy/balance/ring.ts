import type { ClusterHost } from '../cluster/cluster-host.ts'
import type { RingHashConfig } from './balance-config.ts'
import { type HashTable, hashKeyOf, type WeightedHost } from './hash-table.ts'
import { murmurHash2 } from './murmur-hash.ts'
import { xxHash64 } from './xx-hash.ts'

export interface Ring extends HashTable {
  readonly size: number
  readonly minHashesPerHost: number
  readonly maxHashesPerHost: number
}

/**
 * A ring of hashes (Ketama): each host is at as many places as its weight says, and a request belongs to the next place
 * at or after its own hash. The ring is so large that the lightest host has a whole number of places, unless that is more
 * than it may have.
 */
export function buildRing(
  weighted: readonly WeightedHost[],
  { hash, minimumRingSize, maximumRingSize, hashing }: RingHashConfig,
): Ring {
  if (weighted.length === 0) return emptyRing
  const least = Math.min(...weighted.map(({ weight }) => weight))
  const scale = Math.min(Math.ceil(least * minimumRingSize) / least, maximumRingSize)
  const hashOf = hash === 'murmur' ? murmurHash2 : xxHash64
  const places: { readonly hash: bigint; readonly host: ClusterHost }[] = []
  let target = 0
  const counts = weighted.map(({ host, weight }) => {
    const key = hashKeyOf(host, hashing.usesHostname)
    const before = places.length
    // Sums are kept over all hosts, so that parts of places are not lost.
    target += scale * weight
    while (places.length < target) places.push({ hash: hashOf(`${key}_${places.length - before}`), host })
    return places.length - before
  })
  places.sort((one, other) => (one.hash < other.hash ? -1 : one.hash > other.hash ? 1 : 0))
  const hashes = BigUint64Array.from(places, (place) => place.hash)
  return {
    size: Math.ceil(scale),
    minHashesPerHost: Math.min(...counts),
    maxHashesPerHost: Math.max(...counts),
    find(wanted, attempt) {
      const at = firstFrom(hashes, wanted)
      return places[(at + attempt) % places.length]?.host
    },
  }
}

const emptyRing: Ring = { size: 0, minHashesPerHost: 0, maxHashesPerHost: 0, find: () => undefined }

/** The first place whose hash is not before the one wanted; behind the last comes the first again. */
function firstFrom(hashes: BigUint64Array, wanted: bigint): number {
  let low = 0
  let high = hashes.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((hashes[middle] as bigint) < wanted) low = middle + 1
    else high = middle
  }
  return low === hashes.length ? 0 : low
}
