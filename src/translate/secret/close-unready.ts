import { entryOf, type MapTree, plainValue, type Tree } from '../../resource/tree.ts'
import type { ResourceWord } from '../../resource/type-url.ts'
import { nodeAt, withEntry, withNode, withoutNode } from '../patch/patch-tree.ts'
import { type WayIn, waysOf } from './ways-in.ts'

export interface Closed {
  /** Undefined where nothing is left. */
  readonly tree: Tree | undefined
  readonly closed: readonly WayIn[]
}

/**
 * A resource without what needs one of some Secrets whose files were never right: Envoy would wait for them, and all else with
 * it. Nobody gets through there in another way.
 */
export function closeUnready(type: ResourceWord, tree: Tree, secrets: ReadonlySet<string>): Closed {
  if (tree.kind !== 'map' || !needsOneOf(tree, secrets)) return { tree, closed: [] }
  if (type === 'listener') return closeChains(tree, secrets)
  if (type !== 'cluster') return { tree, closed: [] }
  const cluster = closedCluster(tree)
  return { tree: cluster, closed: waysOf('cluster', plainValue(cluster)).closed }
}

/** A chain that has no filter closes its connections, so that none of the others takes those for its names. */
function closeChains(listener: Tree, secrets: ReadonlySet<string>): Closed {
  const rest = nodeAt(listener, ['default_filter_chain'])
  const keepsRest = rest !== undefined && !needsOneOf(rest, secrets)
  const chains = nodeAt(listener, ['filter_chains'])
  const all = chains?.kind === 'list' ? chains.items : []
  const closing = [...all, ...(rest === undefined ? [] : [rest])].filter((chain) => needsOneOf(chain, secrets))
  const { open: closed } = waysOf('listener', { ...(plainValue(listener) as object), ...chainsOf(closing) })
  if (closing.length === all.length + (rest === undefined ? 0 : 1)) return { tree: undefined, closed }
  const tree = withNode(listener, ['filter_chains'], (list) =>
    list.kind === 'list'
      ? { ...list, items: list.items.map((chain) => (needsOneOf(chain, secrets) ? closedChain(chain) : chain)) }
      : list,
  )
  return {
    tree: rest === undefined || keepsRest ? tree : withoutNode(tree, ['default_filter_chain']),
    closed,
  }
}

const chainsOf = (chains: readonly Tree[]): object => ({
  filter_chains: chains.map(plainValue),
  default_filter_chain: undefined,
})

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
