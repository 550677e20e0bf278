import type { KindDocument } from '../../config/kinds/kind-document.ts'
import type { TreeShape } from '../../resource/json/tree-shape.ts'
import type { MapEntry, MapTree, Position, Tree } from '../../resource/tree.ts'
import { formatPath } from '../../resource/tree-path.ts'

/** A path of a tree: keys of maps and indices of lists. */
export type TreePath = readonly (string | number)[]

/** A tree of a Patch as a part of what is generated: each of its nodes is made of what stands at its place in the Patch. */
export function madeOf(document: KindDocument, path: string, tree: Tree): Tree {
  const position: Position = { line: 0, column: 0, of: { key: document.key, path } }
  switch (tree.kind) {
    case 'scalar':
      return { ...tree, ...position }
    case 'list':
      return {
        kind: 'list',
        items: tree.items.map((item, index) => madeOf(document, formatPath(path, [index]), item)),
        ...position,
      }
    case 'map':
      return {
        kind: 'map',
        entries: tree.entries.map(({ key, value }) => {
          const made = madeOf(document, formatPath(path, [key]), value)
          return { key, value: made, line: 0, column: 0, ...(made.of && { of: made.of }) }
        }),
        ...position,
      }
  }
}

/** With all fields in the schema's spelling, which generated trees have. */
export function spelled(tree: Tree, shape: TreeShape): Tree {
  const here = shape.at(tree)
  if (tree.kind === 'list') return { ...tree, items: tree.items.map((item) => spelled(item, shape)) }
  if (tree.kind === 'scalar') return tree
  const entries = tree.entries.map((entry) => ({
    ...entry,
    key: here.nameOf(entry.key),
    value: spelled(entry.value, here.below(entry.key)),
  }))
  return { ...tree, entries }
}

/** What stands at a path; undefined where nothing does. */
export function nodeAt(tree: Tree, path: TreePath): Tree | undefined {
  let node: Tree | undefined = tree
  for (const segment of path) node = node && childOf(node, segment)
  return node
}

function childOf(tree: Tree, segment: string | number): Tree | undefined {
  if (tree.kind === 'list') return typeof segment === 'number' ? tree.items[segment] : undefined
  return tree.kind === 'map' ? tree.entries.find(({ key }) => key === segment)?.value : undefined
}

/** The tree with another node at a path that is there. */
export function withNode(tree: Tree, path: TreePath, change: (node: Tree) => Tree): Tree {
  const [segment, ...rest] = path
  if (segment === undefined) return change(tree)
  if (tree.kind === 'list') {
    return {
      ...tree,
      items: tree.items.map((item, index) => (index === segment ? withNode(item, rest, change) : item)),
    }
  }
  if (tree.kind !== 'map') return tree
  const entries = tree.entries.map((entry) =>
    entry.key === segment ? { ...entry, value: withNode(entry.value, rest, change) } : entry,
  )
  return { ...tree, entries }
}

/** The map with a value under a key, in place of what is there. */
export function withEntry(tree: MapTree, key: string, value: Tree): MapTree {
  const { line, column, of } = value
  const entry: MapEntry = { key, value, line, column, ...(of && { of }) }
  const isThere = tree.entries.some((one) => one.key === key)
  const entries = isThere ? tree.entries.map((one) => (one.key === key ? entry : one)) : [...tree.entries, entry]
  return { ...tree, entries }
}

export function withoutEntry(tree: MapTree, key: string): MapTree {
  return { ...tree, entries: tree.entries.filter((entry) => entry.key !== key) }
}

/** The tree without the item or entry at a path that is there. */
export function withoutNode(tree: Tree, path: TreePath): Tree {
  const last = path.at(-1)
  return withNode(tree, path.slice(0, -1), (parent) => {
    if (parent.kind === 'list') return { ...parent, items: parent.items.filter((_, index) => index !== last) }
    return parent.kind === 'map' && typeof last === 'string' ? withoutEntry(parent, last) : parent
  })
}

/** The tree with a further item in a list that is there. */
export function withItem(tree: Tree, list: TreePath, index: number, item: Tree): Tree {
  return withNode(tree, list, (parent) =>
    parent.kind === 'list' ? { ...parent, items: parent.items.toSpliced(index, 0, item) } : parent,
  )
}
