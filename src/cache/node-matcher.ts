import type { Node } from '../resource/node.ts'
import { matchesNode, type NodeSelector } from '../resource/node-selector.ts'

/** Nodes remembered at most; more of them with different attributes are matched again. */
const rememberedAtMost = 10_000

/** Tells which of some selectors match a node, asking each once for all nodes that do not differ in what it looks at. */
export class NodeMatcher {
  readonly selectors: ReadonlyMap<string, NodeSelector>
  readonly #usesCluster: boolean
  readonly #usesId: boolean
  readonly #metadataKeys: readonly string[]
  readonly #remembered = new Map<string, readonly string[]>()

  /** By selector key. */
  constructor(selectors: ReadonlyMap<string, NodeSelector>) {
    this.selectors = selectors
    const all = [...selectors.values()]
    this.#usesCluster = all.some(({ cluster }) => cluster !== undefined)
    this.#usesId = all.some(({ id }) => id !== undefined)
    this.#metadataKeys = [...new Set(all.flatMap(({ metadata }) => Object.keys(metadata ?? {})))].sort()
  }

  /** The sorted keys of the selectors that match. */
  keysOf(node: Node): readonly string[] {
    const attributes = JSON.stringify([
      this.#usesCluster ? node.cluster : '',
      this.#usesId ? node.id : '',
      this.#metadataKeys.map((key) => node.metadata[key]),
    ])
    let keys = this.#remembered.get(attributes)
    if (keys === undefined) {
      keys = [...this.selectors].flatMap(([key, selector]) => (matchesNode(selector, node) ? [key] : [])).sort()
      if (this.#remembered.size >= rememberedAtMost) this.#remembered.clear()
      this.#remembered.set(attributes, keys)
    }
    return keys
  }
}
