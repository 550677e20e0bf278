import { type NodeSelector, selectorKey } from '../../resource/node-selector.ts'
import type { Audience, CallerRegion } from '../contract.ts'

const everyNode: NodeSelector = {}

/** Audiences in use, by key: thousands of Services are for the same proxies. */
const known = new Map<string, WeakRef<Audience>>()
const forget = new FinalizationRegistry<string>((key) => {
  if (known.get(key)?.deref() === undefined) known.delete(key)
})

/** Any of some selectors; of none, undefined: it is for nobody. Equal sets are one object while somebody holds it. */
export function audienceOf(selectors: Iterable<NodeSelector>): Audience | undefined {
  const byKey = new Map<string, NodeSelector>()
  for (const selector of selectors) byKey.set(keyOfSelector(selector), selector)
  if (byKey.size === 0) return undefined
  const keys = [...byKey.keys()].sort()
  const key = keys.join('\n')
  const before = known.get(key)?.deref()
  if (before !== undefined) return before
  const audience: Audience = { key, selectors: keys.map((one) => byKey.get(one) as NodeSelector) }
  known.set(key, new WeakRef(audience))
  forget.register(audience, key)
  return audience
}

/** An audience and some selectors more; where it has them all, it is that audience. */
export function joinAudience(base: Audience | undefined, more: readonly NodeSelector[]): Audience | undefined {
  if (base === undefined) return audienceOf(more)
  const keys = keysOf(base)
  const added = more.filter((selector) => !keys.has(keyOfSelector(selector)))
  return added.length === 0 ? base : audienceOf([...base.selectors, ...added])
}

/** By the list of all callers, and then the region. */
const regional = new WeakMap<readonly NodeSelector[], Map<string, readonly NodeSelector[]>>()

/** Of the callers that these select, those of a region; thousands of Services have the same callers and regions. */
export function regionalAudience(all: readonly NodeSelector[], callers: CallerRegion): readonly NodeSelector[] {
  const known = regional.get(all) ?? new Map<string, readonly NodeSelector[]>()
  regional.set(all, known)
  const key = 'region' in callers ? callers.region : `\0${callers.notRegions.join('\0')}`
  const found = known.get(key) ?? all.map((selector) => ({ ...selector, ...callers }))
  known.set(key, found)
  return found
}

/** The proxies whose bootstrap says that they are in front of a Service (`fairlead bootstrap --service`). */
export function peersOf(service: string): Audience {
  return audienceOf([{ metadata: { fairlead: { service } } }]) as Audience
}

const keySets = new WeakMap<Audience, ReadonlySet<string>>()

function keysOf(audience: Audience): ReadonlySet<string> {
  const known = keySets.get(audience) ?? new Set(audience.selectors.map(keyOfSelector))
  keySets.set(audience, known)
  return known
}

const selectorKeys = new WeakMap<NodeSelector, string>()

/** Looked up, as thousands of audiences hold the same selectors. */
function keyOfSelector(selector: NodeSelector): string {
  const known = selectorKeys.get(selector) ?? selectorKey(selector)
  selectorKeys.set(selector, known)
  return known
}

/** What a document's `nodes` mean: absent is every node. */
export function selectorsOfNodes(nodes: readonly NodeSelector[]): readonly NodeSelector[] {
  return nodes.length === 0 ? [everyNode] : nodes
}
