import { entryOf, type MapTree, type Tree } from '../../resource/tree.ts'
import type { ResourceWord } from '../../resource/type-url.ts'
import { nodeAt, withEntry, withNode, withoutNode } from '../patch/patch-tree.ts'

export interface Closed {
  /** Undefined where nothing is left. */
  readonly tree: Tree | undefined
  /** What is closed of it: the names of filter chains, or '' where it is all. */
  readonly parts: readonly string[]
}

/**
 * A resource without what needs one of some Secrets whose files were never right: Envoy would wait for them, and all else with
 * it. Nobody gets through there in another way.
 */
export function closeUnready(type: ResourceWord, tree: Tree, secrets: ReadonlySet<string>): Closed {
  if (tree.kind !== 'map' || !needsOneOf(tree, secrets)) return { tree, parts: [] }
  if (type === 'listener') return closeChains(tree, secrets)
  return type === 'cluster' ? { tree: closedCluster(tree), parts: [''] } : { tree, parts: [] }
}

/** A chain that has no filter closes its connections, so that none of the others takes those for its names. */
function closeChains(listener: Tree, secrets: ReadonlySet<string>): Closed {
  const rest = nodeAt(listener, ['default_filter_chain'])
  const keepsRest = rest !== undefined && !needsOneOf(rest, secrets)
  const chains = nodeAt(listener, ['filter_chains'])
  const all = chains?.kind === 'list' ? chains.items : []
  const closing = [...all, ...(rest === undefined ? [] : [rest])].filter((chain) => needsOneOf(chain, secrets))
  if (closing.length === all.length + (rest === undefined ? 0 : 1)) return { tree: undefined, parts: [''] }
  const closed = withNode(listener, ['filter_chains'], (list) =>
    list.kind === 'list'
      ? { ...list, items: list.items.map((chain) => (needsOneOf(chain, secrets) ? closedChain(chain) : chain)) }
      : list,
  )
  return {
    tree: rest === undefined || keepsRest ? closed : withoutNode(closed, ['default_filter_chain']),
    parts: closing.map((chain) => String(nameOf(chain))),
  }
}

function nameOf(chain: Tree): unknown {
  const name = entryOf(chain, 'name')?.value
  return name?.kind === 'scalar' ? name.value : ''
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
