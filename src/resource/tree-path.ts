import type { MapTree, Position, Tree } from './tree.ts'

/** A field name, map key or list index. */
export type PathSegment = string | number

/** `resources[1]` and `['filters', 0, 'name']` make `resources[1].filters[0].name`; a key that is no word is quoted. */
export function formatPath(base: string, segments: readonly PathSegment[]): string {
  let path = base
  for (const segment of segments) {
    if (typeof segment === 'number') path += `[${segment}]`
    else if (isWord(segment)) path += path === '' ? segment : `.${segment}`
    else path += `[${JSON.stringify(segment.length > 64 ? `${segment.slice(0, 64)}…` : segment)}]`
  }
  return path
}

/** Whether `name` could be meant as the name of a field: only such names are repeated in messages. */
export function isWord(name: string): boolean {
  return name.length <= 64 && /^@?[A-Za-z_][\w-]*$/.test(name)
}

/** Where a field of a message stands in the tree that it was read from. */
export interface Place extends Position {
  /** As far as the tree goes, in its author's spelling; below that, in the one asked for. */
  readonly path: readonly PathSegment[]
}

/**
 * Finds the node at a path of proto field names, list indices and map keys, honouring both spellings of a field (an Any
 * adds nothing to a path). Where the tree ends before the path does, the place is that of the last node found.
 */
export function locate(tree: Tree, path: readonly PathSegment[]): Place {
  const written: PathSegment[] = []
  let node = tree
  for (const [depth, segment] of path.entries()) {
    const step = stepInto(node, segment)
    if (step === undefined) {
      return { ...positionOf(node), path: [...written, ...path.slice(depth)] }
    }
    written.push(step.segment)
    node = step.node
  }
  return { ...positionOf(node), path: written }
}

/** Where something stands, without what it is. */
export function positionOf({ line, column, of }: Position): Position {
  return of === undefined ? { line, column } : { line, column, of }
}

function stepInto(node: Tree, segment: PathSegment): { segment: PathSegment; node: Tree } | undefined {
  if (node.kind === 'list') {
    const item = typeof segment === 'number' ? node.items[segment] : undefined
    return item && { segment, node: item }
  }
  if (node.kind !== 'map') return undefined
  const key = String(segment)
  const entry = find(node, key) ?? find(node, camelCase(key))
  if (entry !== undefined) return { segment: entry.key, node: entry.value }
  // An Any of a type with JSON of its own (a Struct, say) has it under `value`.
  const wrapped = find(node, '@type') && find(node, 'value')
  return wrapped && stepInto(wrapped.value, segment)
}

const find = (node: MapTree, key: string): MapTree['entries'][number] | undefined =>
  node.entries.find((entry) => entry.key === key)

/** The JSON name that protobuf gives a field. */
function camelCase(name: string): string {
  return name.replace(/_+([a-z0-9])/gi, (_, letter: string) => letter.toUpperCase())
}
