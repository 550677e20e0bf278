import { entryOf, type Tree } from '../../resource/tree.ts'
import { nodeAt, withNode, withoutNode } from '../patch/patch-tree.ts'

/**
 * A listener without the filter chains that need one of some Secrets, whose files were never right: Envoy would wait for them
 * with all else. A chain that has no filter closes its connections, so that none of the others takes those for its names.
 * Undefined where no other is left.
 */
export function closeChains(listener: Tree, secrets: ReadonlySet<string>): Tree | undefined {
  const rest = nodeAt(listener, ['default_filter_chain'])
  const keepsRest = rest !== undefined && !needsOneOf(rest, secrets)
  const chains = nodeAt(listener, ['filter_chains'])
  const isOpen = chains?.kind === 'list' && chains.items.some((chain) => !needsOneOf(chain, secrets))
  if (!isOpen && !keepsRest) return undefined
  const closed = withNode(listener, ['filter_chains'], (list) =>
    list.kind === 'list'
      ? { ...list, items: list.items.map((chain) => (needsOneOf(chain, secrets) ? closing(chain) : chain)) }
      : list,
  )
  return rest === undefined || keepsRest ? closed : withoutNode(closed, ['default_filter_chain'])
}

function closing(chain: Tree): Tree {
  if (chain.kind !== 'map') return chain
  return { ...chain, entries: chain.entries.filter(({ key }) => key === 'name' || key === 'filter_chain_match') }
}

/** Whether one of the Secrets is fetched for it. */
function needsOneOf(tree: Tree, secrets: ReadonlySet<string>): boolean {
  if (tree.kind === 'list') return tree.items.some((item) => needsOneOf(item, secrets))
  if (tree.kind !== 'map') return false
  const name = entryOf(tree, 'sds_config') && entryOf(tree, 'name')?.value
  if (name?.kind === 'scalar' && secrets.has(String(name.value))) return true
  return tree.entries.some(({ value }) => needsOneOf(value, secrets))
}
