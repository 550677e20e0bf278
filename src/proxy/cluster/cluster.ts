import type { Headers } from '../http/headers.ts'
import type { StatScope } from '../stats/stat-store.ts'
import type { ClusterConfig } from './cluster-config.ts'
import type { Host } from './host.ts'
import type { RoutingPriority } from './routing-priority.ts'

export type { RoutingPriority }

/** The clusters that take requests now: those that are warm. */
export interface Clusters {
  get(name: string): Cluster | undefined
  readonly all: ReadonlyMap<string, Cluster>
}

/** One cluster in use. A change of its configuration makes a new one, which takes over when it is warm. */
export interface Cluster {
  readonly name: string
  readonly config: ClusterConfig
  /** `cluster.NAME.` */
  readonly stats: StatScope
  readonly hosts: Iterable<Host>
  /** Undefined where no host may take it: `UH`, no healthy upstream. */
  chooseHost(question: BalanceQuestion): Host | undefined | Promise<Host | undefined>
  /** The cluster that a host of its choice belongs to: of an aggregate cluster, one of those that it is made of. */
  ownerOf?(host: Host): Cluster
  circuit(priority: RoutingPriority): Circuit
  /** Whether this request is one of those that the control plane wants dropped, before any host is asked. */
  dropsOverload?(): boolean
  /** Called when it is removed or replaced. */
  onClosed(act: () => void): void
}

/** What a balancer may go by. */
export interface BalanceQuestion {
  /** Of the route's hash policies. */
  readonly hash?: bigint
  readonly headers?: Headers
  /** SNI or `:authority`: whom a dynamic forward proxy looks up. */
  readonly serverName?: string
  readonly port?: number
  /** `envoy.lb` metadata that a host of the subset must have. */
  readonly metadataMatch?: Readonly<Record<string, unknown>>
  /** Of a retry: hosts that were tried, which another is preferred to. */
  readonly tried?: ReadonlySet<Host>
  /** How often another one is chosen in place of a tried one. */
  readonly maxAttempts?: number
  /** Priorities that were tried, of `retry_priority: previous_priorities`. */
  readonly triedPriorities?: readonly number[]
}

/** What is under way in a cluster for one routing priority, and how much of it there may be. */
export interface Circuit {
  readonly connections: Resource
  readonly pending: Resource
  readonly requests: Resource
  readonly retries: Resource
}

export interface Resource {
  /** Takes one; `false`, and nothing taken, where it would be too many. */
  take(): boolean
  give(): void
  readonly active: number
}
