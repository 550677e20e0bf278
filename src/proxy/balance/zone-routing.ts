import { localityKey } from '../config/locality.ts'
import type { HostSet } from './host-set.ts'

/** Where a proxy sends what falls to the first priority, by what it knows of its own zone and its peers'. */
export type ZoneRouting =
  /** Zones do not count. */
  | { readonly kind: 'none'; readonly because?: 'peers' | 'size' }
  /** All of it stays in the proxy's own zone. */
  | { readonly kind: 'direct' }
  /** A part stays, and the rest goes where more hosts are than proxies. */
  | {
      readonly kind: 'residual'
      /** What stays, of 10,000. */
      readonly stays: number
      /** Of each locality in its order, what it and all before it have to spare. */
      readonly spare: readonly number[]
    }

/**
 * Compares the share of the proxies that are in each zone with the share of the hosts there. In a zone with the larger
 * share of hosts all traffic may stay; from another one so much goes elsewhere that all hosts are loaded alike.
 */
export function planZones(set: HostSet, peers: HostSet, minClusterSize: number): ZoneRouting {
  if (set.localities.length < 2 || peers.localities.length < 2) return { kind: 'none' }
  const [own] = peers.localities
  if (!peers.hasOwnLocality || own === undefined || own.all.hosts.length === 0)
    return { kind: 'none', because: 'peers' }
  if (set.healthy.hosts.length < minClusterSize) return { kind: 'none', because: 'size' }
  const shares = shareLocalities(set, peers)
  const [first] = shares
  if (set.hasOwnLocality && first !== undefined && first.hosts > 0 && first.hosts >= first.peers) {
    return { kind: 'direct' }
  }
  const stays =
    set.hasOwnLocality && first !== undefined && first.peers > 0 ? Math.floor((first.hosts * 10_000) / first.peers) : 0
  let sum = 0
  const spare = shares.map(({ hosts, peers: there }, index) => {
    if (index > 0 || !set.hasOwnLocality) sum += Math.max(0, hosts - there)
    return sum
  })
  return { kind: 'residual', stays, spare }
}

/** Of each locality, its share of the healthy hosts and of the healthy peers, of 10,000. */
function shareLocalities(set: HostSet, peers: HostSet): readonly { readonly hosts: number; readonly peers: number }[] {
  const share = (part: number, whole: number): number => (whole > 0 ? Math.floor((10_000 * part) / whole) : 0)
  const peersByLocality = new Map(
    peers.localities.map(({ locality, healthy }) => [localityKey(locality), healthy.hosts.length]),
  )
  const allPeers = peers.healthy.hosts.length
  const allHosts = set.healthy.hosts.length
  return set.localities.map(({ locality, healthy: { hosts } }) =>
    hosts.length === 0
      ? { hosts: 0, peers: 0 }
      : {
          hosts: share(hosts.length, allHosts),
          peers: share(peersByLocality.get(localityKey(locality)) ?? 0, allPeers),
        },
  )
}
