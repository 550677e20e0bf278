import { entryOf, type MapTree, type Tree } from '../../resource/tree.ts'
import type { ResourceWord } from '../../resource/type-url.ts'
import { nodeAt, withEntry, withNode, withoutNode } from '../patch/patch-tree.ts'

/**
 * A resource without what needs one of some Secrets whose files were never right: Envoy would wait for them, and all else with
 * it. Nobody gets through there in another way. Undefined where nothing is left.
 */
export function closeUnready(type: ResourceWord, tree: Tree, secrets: ReadonlySet<string>): Tree | undefined {
  if (tree.kind !== 'map' || !needsOneOf(tree, secrets)) return tree
  if (type === 'listener') return closeChains(tree, secrets)
  return type === 'cluster' ? closedCluster(tree) : tree
}

/** A chain that has no filter closes its connections, so that none of the others takes those for its names. */
function closeChains(listener: Tree, secrets: ReadonlySet<string>): Tree | undefined {
  const rest = nodeAt(listener, ['default_filter_chain'])
  const keepsRest = rest !== undefined && !needsOneOf(rest, secrets)
  const chains = nodeAt(listener, ['filter_chains'])
  const isOpen = chains?.kind === 'list' && chains.items.some((chain) => !needsOneOf(chain, secrets))
  if (!isOpen && !keepsRest) return undefined
  const closed = withNode(listener, ['filter_chains'], (list) =>
    list.kind === 'list'
      ? { ...list, items: list.items.map((chain) => (needsOneOf(chain, secrets) ? closedChain(chain) : chain)) }
      : list,
  )
  return rest === undefined || keepsRest ? closed : withoutNode(closed, ['default_filter_chain'])
}

const closedChain = (chain: Tree): Tree => (chain.kind === 'map' ? only(chain, ['name', 'filter_chain_match']) : chain)

/** It has no endpoint, so that its requests get 503. */
function closedCluster(cluster: MapTree): Tree {
  const { line, column, of } = cluster
  const type: Tree = { kind: 'scalar', value: 'STATIC', line, column, ...(of && { of }) }
  return withEntry(only(cluster, ['name', 'connect_timeout']), 'type', type)
}

function only(tree: MapTree, keys: readonly string[]): MapTree {
  return { ...tree, entries: tree.entries.filter(({ key }) => keys.includes(key)) }
}

/** Whether one of the Secrets is fetched for it. */
function needsOneOf(tree: Tree, secrets: ReadonlySet<string>): boolean {
  if (tree.kind === 'list') return tree.items.some((item) => needsOneOf(item, secrets))
  if (tree.kind !== 'map') return false
  const name = entryOf(tree, 'sds_config') && entryOf(tree, 'name')?.value
  if (name?.kind === 'scalar' && secrets.has(String(name.value))) return true
  return tree.entries.some(({ value }) => needsOneOf(value, secrets))
}
