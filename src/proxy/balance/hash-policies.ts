import type { MaglevConfig, RingHashConfig } from './balance-config.ts'
import type { Balancer, BalancerOwner } from './balancer.ts'
import { HashBalancer } from './hash-balancer.ts'
import { buildMaglevTable } from './maglev-table.ts'
import { buildRing } from './ring.ts'

export function ringHash(owner: BalancerOwner, config: RingHashConfig): Balancer {
  const stats = owner.stats.scope('ring_hash_lb.')
  return new HashBalancer(owner, config.hashing, (weighted) => {
    const ring = buildRing(weighted, config)
    stats.gauge('size').set(ring.size)
    stats.gauge('min_hashes_per_host').set(ring.minHashesPerHost)
    stats.gauge('max_hashes_per_host').set(ring.maxHashesPerHost)
    return ring
  })
}

export function maglev(owner: BalancerOwner, config: MaglevConfig): Balancer {
  const stats = owner.stats.scope('maglev_lb.')
  return new HashBalancer(owner, config.hashing, (weighted) => {
    const table = buildMaglevTable(weighted, config)
    stats.gauge('min_entries_per_host').set(table.minEntriesPerHost)
    stats.gauge('max_entries_per_host').set(table.maxEntriesPerHost)
    return table
  })
}
