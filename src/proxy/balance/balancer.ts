import type { BalanceQuestion } from '../cluster/cluster.ts'
import type { ClusterHost } from '../cluster/cluster-host.ts'
import type { ProxyContext } from '../proxy-context.ts'
import type { StatScope } from '../stats/stat-store.ts'
import type { HostSet } from './host-set.ts'
import type { ChosenPriority } from './priority-load.ts'

/** Chooses one host of a cluster for each request. */
export interface Balancer {
  /** @param at of an aggregate cluster, which has chosen the priority already */
  choose(question: BalanceQuestion, at?: ChosenPriority): ClusterHost | undefined
  /** The hosts, or their health, are others now. */
  update(sets: readonly HostSet[]): void
  close(): void
}

/** What balancers of one cluster have in common. */
export interface BalancerOwner {
  readonly context: Pick<ProxyContext, 'clock' | 'random' | 'runtime'>
  /** `cluster.NAME.` */
  readonly stats: StatScope
  /** In percent. */
  readonly panicThreshold: number
  /** The proxy and its peers, where it knows them; the hosts of their first priority. */
  readonly peers: Peers | undefined
}

export interface Peers {
  readonly hosts: HostSet | undefined
  onChanged(act: () => void): { cancel(): void }
}

/** A whole number from 0 to below `limit`. */
export function below(random: () => number, limit: number): number {
  return Math.floor(random() * limit)
}

/** 64 random bits. */
export function random64(random: () => number): bigint {
  return (BigInt(below(random, 2 ** 32)) << 32n) | BigInt(below(random, 2 ** 32))
}
