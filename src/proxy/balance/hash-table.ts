import type { ClusterHost } from '../cluster/cluster-host.ts'

/** A host and its share of all, from 0 to 1. */
export interface WeightedHost {
  readonly host: ClusterHost
  readonly weight: number
}

/** Leads a hash to a host, and to the same one as long as it is there. */
export interface HashTable {
  /** `attempt` from 1 on leads elsewhere, if it can. */
  find(hash: bigint, attempt: number): ClusterHost | undefined
}

/** What a host's places in a table follow from. */
export function hashKeyOf(host: ClusterHost, usesHostname: boolean): string {
  const own = (host.metadata['envoy.lb'] as Readonly<Record<string, unknown>> | undefined)?.['hash_key']
  if (typeof own === 'string' && own !== '') return own
  return usesHostname && host.hostname !== '' ? host.hostname : host.address
}
