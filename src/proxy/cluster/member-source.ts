import type { Discovery } from '../discovery/discovery.ts'
import type { ProxyContext } from '../proxy-context.ts'
import type { StatScope } from '../stats/stat-store.ts'
import type { Assignment } from './assignment.ts'

/** Where the hosts of a cluster come from, and go to when they change. */
export interface MemberSource {
  close(): void
}

export interface MemberSink {
  /** The hosts are these from now on. @returns whether anything is other than before */
  assign(assignment: Assignment): boolean
  /** It is known who the hosts are, or that nobody knows; called as often as anything comes. */
  settle(): void
}

export interface MemberOwner {
  readonly context: ProxyContext
  readonly discovery: Discovery
  /** `cluster.NAME.` */
  readonly stats: StatScope
  readonly sink: MemberSink
}
