import { type NodeSelector, selectorKey } from '../resource/node-selector.ts'
import { selectorsOf } from '../snapshot/unit.ts'

/** Selectors of which any must match, whatever their order. */
export interface SelectorSet {
  /** Equal sets have equal keys; that of one selector is the selector's. */
  readonly key: string
  /** By key, in order of key. */
  readonly selectors: ReadonlyMap<string, NodeSelector>
}

/** By the list of selectors: thousands of units share one, and it can have thousands of selectors. */
const known = new WeakMap<readonly NodeSelector[], SelectorSet>()

/** Without selectors it is about every node. */
export function selectorSetOf(list: readonly NodeSelector[]): SelectorSet {
  const before = known.get(list)
  if (before !== undefined) return before
  const all = selectorsOf({ selectors: list }).map((one): [string, NodeSelector] => [selectorKey(one), one])
  const selectors = new Map(all.sort(([a], [b]) => (a < b ? -1 : 1)))
  const set: SelectorSet = { key: [...selectors.keys()].join('\n'), selectors }
  known.set(list, set)
  return set
}
