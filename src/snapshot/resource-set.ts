import type { Resource } from '../resource/resource.ts'
import type { TypeUrl } from '../resource/type-url.ts'

/** All resources of one type that somebody should have. Immutable; equal content has an equal version. */
export interface ResourceSet {
  readonly typeUrl: TypeUrl
  /** Order-free hash of (type, name, resource version) over its members; never '' (rule 33). */
  readonly version: string
  readonly size: number
  get(name: string): Resource | undefined
  /** In order of name, so that equal sets are written as equal bytes (rule 39). */
  values(): Iterable<Resource>
  /** The set after some changes; `undefined` removes. Costs the changes, not the set. */
  with(changes: ReadonlyMap<string, Resource | undefined>): ResourceSet
}

/** What leads from one set to another, in order of name. */
export interface SetDiff {
  readonly changed: readonly Resource[]
  readonly removed: readonly string[]
}
