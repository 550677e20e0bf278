import { type NodeSelector, selectorKey } from '../../resource/node-selector.ts'
import type { Audience } from '../contract.ts'

const everyNode: NodeSelector = {}

/** Audiences in use, by key: thousands of Services are for the same proxies. */
const known = new Map<string, WeakRef<Audience>>()
const forget = new FinalizationRegistry<string>((key) => {
  if (known.get(key)?.deref() === undefined) known.delete(key)
})

/** Any of some selectors; of none, undefined: it is for nobody. Equal sets are one object while somebody holds it. */
export function audienceOf(selectors: Iterable<NodeSelector>): Audience | undefined {
  const byKey = new Map<string, NodeSelector>()
  for (const selector of selectors) byKey.set(selectorKey(selector), selector)
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

/** What a document's `nodes` mean: absent is every node. */
export function selectorsOfNodes(nodes: readonly NodeSelector[]): readonly NodeSelector[] {
  return nodes.length === 0 ? [everyNode] : nodes
}
