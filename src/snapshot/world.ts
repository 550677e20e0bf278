import type { Origin, Problem } from '../errors.ts'
import type { NodeSelector } from '../resource/node-selector.ts'
import type { Resource } from '../resource/resource.ts'

/** One document's resources: what takes effect, stays or goes as a whole (MODEL.md: last good is per document). */
export interface Unit {
  readonly key: string
  readonly origin: Origin
  /** Any of them; empty selects every node. */
  readonly selectors: readonly NodeSelector[]
  readonly resources: readonly Resource[]
}

export type UnitChange =
  | { readonly kind: 'valid'; readonly unit: Unit }
  /** Its text has an error: it stays as it last was. */
  | {
      readonly kind: 'invalid'
      readonly key: string
      readonly origin: Origin
      readonly selectors: readonly NodeSelector[] | undefined
    }
  | { readonly kind: 'deleted'; readonly key: string }

/** What follows from some changes. */
export interface WorldStep {
  /** Units that are in force now in another form than before. */
  readonly upserted: readonly Unit[]
  /** Keys of units that are no longer in force. */
  readonly removed: readonly string[]
  /** All standing problems of consistency (not only new ones), in order of origin. */
  readonly problems: readonly Problem[]
  /** What must not be answered: groups that one of these selectors could touch (undefined: every group), and why. */
  readonly withheld: readonly Withheld[]
}

export interface Withheld {
  readonly selectors: readonly NodeSelector[] | undefined
  readonly problem: Problem
}
