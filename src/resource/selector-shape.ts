import type { Node } from './node.ts'
import { isPattern, type NodeSelector } from './node-selector.ts'

/** Where in a node a value is: `metadata`, `app`. */
type Path = readonly string[]

/** Which single values of a node selectors ask for: those that ask for the same ones are told apart by what these are to be. */
export interface Shape {
  /** Equal for selectors of one shape. */
  readonly key: string
  readonly paths: readonly Path[]
}

/** What a selector asks for to the letter; what else it asks for (patterns, lists), this does not tell. */
export interface ShapedSelector extends Shape {
  /** By the text of the path (`pathText`), in the order of `paths`. */
  readonly values: ReadonlyMap<string, string>
}

export const pathText = (path: Path): string => JSON.stringify(path)

const shaped = new WeakMap<NodeSelector, ShapedSelector>()

export function shapeOf(selector: NodeSelector): ShapedSelector {
  const known = shaped.get(selector) ?? newShapeOf(selector)
  shaped.set(selector, known)
  return known
}

function newShapeOf({ cluster, id, region, metadata }: NodeSelector): ShapedSelector {
  const found: { readonly path: Path; readonly text: string; readonly value: string }[] = []
  const note = (path: Path, value: unknown): void => {
    if (isObject(value)) for (const [key, inner] of Object.entries(value)) note([...path, key], inner)
    else if (value !== undefined && !Array.isArray(value))
      found.push({ path, text: pathText(path), value: JSON.stringify(value) })
  }
  if (cluster !== undefined && !isPattern(cluster)) note(['cluster'], cluster)
  if (id !== undefined && !isPattern(id)) note(['id'], id)
  note(['region'], region)
  note(['metadata'], metadata)
  found.sort((a, b) => (a.text < b.text ? -1 : 1))
  return {
    key: found.map(({ text }) => text).join(),
    paths: found.map(({ path }) => path),
    values: new Map(found.map(({ text, value }) => [text, value])),
  }
}

/** What a node has where a shape asks, in the order of its paths; undefined where one of them leads to no single value. */
export function valuesOfNode(node: Node, { paths }: Shape): readonly string[] | undefined {
  const all = { cluster: node.cluster, id: node.id, region: node.locality?.region, metadata: node.metadata }
  const values: string[] = []
  for (const path of paths) {
    let value: unknown = all
    for (const key of path) value = isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined
    if (value === undefined || isObject(value)) return undefined
    values.push(JSON.stringify(value))
  }
  return values
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
