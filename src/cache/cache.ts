import type { Node } from '../resource/node.ts'
import type { NodeSelector } from '../resource/node-selector.ts'
import type { Snapshot } from '../snapshot/snapshot.ts'
import type { Unit, Withheld } from '../snapshot/world.ts'

/** The set of selectors that a node matches. Nodes of one group share a snapshot object. */
export interface Group {
  /** Canonical: the sorted keys of its selectors. */
  readonly key: string
  /** For people: `cluster=edge`, `cluster=edge + metadata.env=prod`, `every node`, `nothing`. */
  readonly label: string
  readonly selectors: readonly NodeSelector[]
}

/** Why a group's nodes are not answered. */
export interface WithheldGroup {
  readonly group: Group
  readonly reasons: readonly string[]
}

export interface Watch {
  readonly group: Group
  /** The newest snapshot; undefined while there is none to serve (not ready, or the group is withheld). */
  readonly snapshot: Snapshot | undefined
  close(): void
}

/** Group -> Snapshot; knows no protocol. */
export interface SnapshotCache {
  /** Takes what is in force now. The first call makes the cache ready (rule 104). */
  apply(change: {
    readonly upserted: readonly Unit[]
    readonly removed: readonly string[]
    /** All that is, not only what is new. */
    readonly withheld: readonly Withheld[]
  }): void
  /**
   * One per stream. `onSnapshot` is called for every newer snapshot, with the group that the node is in now; never within
   * `watch` itself.
   */
  watch(node: Node, onSnapshot: (snapshot: Snapshot, group: Group) => void): Watch
  /** The snapshot that a node would be served, without a watch (REST xDS, `validate`, admin). */
  snapshotFor(node: Node): { readonly group: Group; readonly snapshot: Snapshot | undefined }
  /**
   * What a group had before each of the last changes of its configuration, oldest first, be it that nobody of it was here then:
   * for its nodes that come from another server. Of endpoints and the like it has the newest.
   */
  pastOf(group: Group): readonly Snapshot[]
  /** Groups with at least one watch. */
  groups(): readonly { readonly group: Group; readonly snapshot: Snapshot | undefined; readonly watches: number }[]
  /** Watched groups that are not answered; for a document that concerns none, the nodes that it is for. */
  withheld(): readonly WithheldGroup[]
}
