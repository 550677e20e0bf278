import { isDeepStrictEqual } from 'node:util'
import type { JsonPatchStep } from '../../config/kinds/patch-form.ts'
import type { TreeShape } from '../../resource/json/tree-shape.ts'
import { plainValue, type Tree } from '../../resource/tree.ts'
import { nodeAt, spelled, type TreePath, withEntry, withItem, withNode, withoutNode } from './patch-tree.ts'

/** A step that cannot be done, and why. */
export interface FailedStep {
  readonly field: 'path' | 'from' | 'value'
  readonly message: string
  readonly fix: string
}

/** One step of RFC 6902; `value` stands in the place of the step's own. */
export function jsonPatchStep(
  tree: Tree,
  step: JsonPatchStep,
  value: Tree | undefined,
  shape: TreeShape,
): Tree | FailedStep {
  const place = find(tree, step.path, shape)
  switch (step.op) {
    case 'add':
      return value === undefined ? absent('value', '') : add(tree, place, step.path, value)
    case 'replace':
      if (value === undefined) return absent('value', '')
      return place.node === undefined
        ? absent('path', step.path)
        : withNode(tree, place.path, () => spelled(value, place.shape))
    case 'remove':
      if (place.node === undefined) return absent('path', step.path)
      return place.path.length === 0 ? whole('path') : withoutNode(tree, place.path)
    case 'test':
      return test(tree, place, step.path, value)
    case 'move':
    case 'copy':
      return transfer(tree, step, shape)
  }
}

function transfer(tree: Tree, { op, path, from = '' }: JsonPatchStep, shape: TreeShape): Tree | FailedStep {
  const source = find(tree, from, shape)
  if (source.node === undefined) return absent('from', from)
  if (op === 'copy') return add(tree, find(tree, path, shape), path, source.node)
  if (path === from) return tree
  if (path.startsWith(`${from}/`)) {
    return { field: 'path', message: 'What is moved cannot go into itself.', fix: 'Write another place.' }
  }
  const without = withoutNode(tree, source.path)
  return add(without, find(without, path, shape), path, source.node)
}

interface Found {
  /** As far as it is there, and the last segment. */
  readonly path: TreePath
  readonly node: Tree | undefined
  readonly shape: TreeShape
  /** What it is, or would be, in. */
  readonly parent: Tree | undefined
}

function find(tree: Tree, pointer: string, shape: TreeShape): Found {
  const path: (string | number)[] = []
  let node: Tree | undefined = tree
  let parent: Tree | undefined
  let below = shape
  for (const token of pointer.split('/').slice(1)) {
    const text = token.replaceAll('~1', '/').replaceAll('~0', '~')
    parent = node
    if (parent?.kind === 'list') {
      path.push(text === '-' ? parent.items.length : /^(0|[1-9]\d*)$/.test(text) ? Number(text) : text)
    } else {
      const here = parent === undefined ? below : below.at(parent)
      const name = here.nameOf(text)
      path.push(name)
      below = here.below(name)
    }
    node = parent && nodeAt(parent, path.slice(-1))
  }
  return { path, node, shape: below, parent }
}

function add(tree: Tree, { path, parent, shape }: Found, pointer: string, value: Tree): Tree | FailedStep {
  const made = spelled(value, shape)
  const last = path.at(-1)
  if (last === undefined) return made
  if (parent?.kind === 'map' && typeof last === 'string') {
    return withNode(tree, path.slice(0, -1), (map) => (map.kind === 'map' ? withEntry(map, last, made) : map))
  }
  if (parent?.kind === 'list' && typeof last === 'number' && last <= parent.items.length) {
    return withItem(tree, path.slice(0, -1), last, made)
  }
  return absent('path', pointer.slice(0, pointer.lastIndexOf('/')) || pointer)
}

function test(tree: Tree, { node, shape }: Found, pointer: string, value: Tree | undefined): Tree | FailedStep {
  if (node === undefined || value === undefined) return absent('path', pointer)
  if (isDeepStrictEqual(plainValue(node), plainValue(spelled(value, shape)))) return tree
  return {
    field: 'value',
    message: `At \`${pointer}\` stands something else.`,
    fix: 'Change the value, or write the patch anew for what is generated now (`fairlead explain`).',
  }
}

function absent(field: FailedStep['field'], pointer: string): FailedStep {
  return {
    field,
    message: `There is nothing at \`${pointer}\`.`,
    fix: 'Look at what is generated with `fairlead explain`; `add` makes what is not there, a level at a time.',
  }
}

function whole(field: FailedStep['field']): FailedStep {
  return { field, message: 'The whole resource cannot be taken out.', fix: 'Remove the document that it is made of.' }
}
