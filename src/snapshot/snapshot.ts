import type { TypeUrl } from '../resource/type-url.ts'
import type { ResourceSet } from './resource-set.ts'

/** Everything that the nodes of one group should have. Immutable. */
export interface Snapshot {
  /** Hash over the versions of its sets. */
  readonly version: string
  /** Types with no resource have no entry: use `setOf`. */
  readonly sets: ReadonlyMap<TypeUrl, ResourceSet>
}
