import type { Node } from '../resource/node.ts'
import { matchesNode, type NodeSelector } from '../resource/node-selector.ts'
import { type Shape, shapeOf, valuesOfNode } from '../resource/selector-shape.ts'

/** A selector with its key. */
type Candidate = readonly [key: string, selector: NodeSelector]

/** Selectors that ask for the same values of a node, by what these are to be. */
interface Alike {
  readonly shape: Shape
  readonly byValues: Map<string, Candidate[]>
}

/** Nodes remembered at most; more of them with different attributes are matched again. */
const rememberedAtMost = 10_000

/**
 * Tells which of some selectors match a node, asking each once for all nodes that do not differ in what it looks at, and
 * one that asks for some values to the letter (a cluster, an id, a value of the metadata) only for nodes that have them: a
 * large mesh has a selector for each workload.
 */
export class NodeMatcher {
  readonly selectors: ReadonlyMap<string, NodeSelector>
  readonly #usesCluster: boolean
  readonly #usesId: boolean
  readonly #usesRegion: boolean
  readonly #metadataKeys: readonly string[]
  readonly #alike = new Map<string, Alike>()
  readonly #remembered = new Map<string, readonly string[]>()

  /** By selector key. */
  constructor(selectors: ReadonlyMap<string, NodeSelector>) {
    this.selectors = selectors
    const all = [...selectors.values()]
    this.#usesCluster = all.some(({ cluster }) => cluster !== undefined)
    this.#usesId = all.some(({ id }) => id !== undefined)
    this.#usesRegion = all.some(({ region, notRegions }) => region !== undefined || notRegions !== undefined)
    this.#metadataKeys = [...new Set(all.flatMap(({ metadata }) => Object.keys(metadata ?? {})))].sort()
    for (const candidate of selectors) this.#add(candidate)
  }

  /** The sorted keys of the selectors that match. */
  keysOf(node: Node): readonly string[] {
    const attributes = JSON.stringify([
      this.#usesCluster ? node.cluster : '',
      this.#usesId ? node.id : '',
      this.#usesRegion ? node.locality?.region : '',
      // What is absent is not what is null.
      this.#metadataKeys.map((key) => (Object.hasOwn(node.metadata, key) ? [node.metadata[key]] : [])),
    ])
    let keys = this.#remembered.get(attributes)
    if (keys === undefined) {
      const candidates = [...this.#alike.values()].flatMap(({ shape, byValues }) => {
        const values = valuesOfNode(node, shape)
        return (values && byValues.get(keyOfValues(values))) ?? []
      })
      keys = candidates.flatMap(([key, selector]) => (matchesNode(selector, node) ? [key] : [])).sort()
      if (this.#remembered.size >= rememberedAtMost) this.#remembered.clear()
      this.#remembered.set(attributes, keys)
    }
    return keys
  }

  #add(candidate: Candidate): void {
    const shape = shapeOf(candidate[1])
    const alike = this.#alike.get(shape.key) ?? { shape, byValues: new Map<string, Candidate[]>() }
    this.#alike.set(shape.key, alike)
    const key = keyOfValues(shape.values.values())
    const list = alike.byValues.get(key)
    if (list === undefined) alike.byValues.set(key, [candidate])
    else list.push(candidate)
  }
}

const keyOfValues = (values: Iterable<string>): string => [...values].join('\0')
