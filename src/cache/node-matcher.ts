import { type Node, ownServiceOf } from '../resource/node.ts'
import { isPattern, matchesNode, type NodeSelector } from '../resource/node-selector.ts'

/** A selector with its key. */
type Candidate = readonly [key: string, selector: NodeSelector]

/** Nodes remembered at most; more of them with different attributes are matched again. */
const rememberedAtMost = 10_000

/**
 * Tells which of some selectors match a node, asking each once for all nodes that do not differ in what it looks at, and
 * one that names a cluster or an id without `*`, or a Service of its own, only for nodes of that: a large mesh has a
 * selector for each service.
 */
export class NodeMatcher {
  readonly selectors: ReadonlyMap<string, NodeSelector>
  readonly #usesCluster: boolean
  readonly #usesId: boolean
  readonly #usesRegion: boolean
  readonly #metadataKeys: readonly string[]
  readonly #ofCluster = new Map<string, Candidate[]>()
  readonly #ofId = new Map<string, Candidate[]>()
  readonly #ofService = new Map<string, Candidate[]>()
  readonly #others: Candidate[] = []
  readonly #remembered = new Map<string, readonly string[]>()

  /** By selector key. */
  constructor(selectors: ReadonlyMap<string, NodeSelector>) {
    this.selectors = selectors
    const all = [...selectors.values()]
    this.#usesCluster = all.some(({ cluster }) => cluster !== undefined)
    this.#usesId = all.some(({ id }) => id !== undefined)
    this.#usesRegion = all.some(({ region, notRegions }) => region !== undefined || notRegions !== undefined)
    this.#metadataKeys = [...new Set(all.flatMap(({ metadata }) => Object.keys(metadata ?? {})))].sort()
    for (const candidate of selectors) this.#listFor(candidate[1]).push(candidate)
  }

  /** The sorted keys of the selectors that match. */
  keysOf(node: Node): readonly string[] {
    const attributes = JSON.stringify([
      this.#usesCluster ? node.cluster : '',
      this.#usesId ? node.id : '',
      this.#usesRegion ? node.locality?.region : '',
      this.#metadataKeys.map((key) => node.metadata[key]),
    ])
    let keys = this.#remembered.get(attributes)
    if (keys === undefined) {
      const candidates = [
        this.#ofCluster.get(node.cluster) ?? [],
        this.#ofId.get(node.id) ?? [],
        this.#ofService.get(ownServiceOf(node.metadata) ?? '') ?? [],
        this.#others,
      ].flat()
      keys = candidates.flatMap(([key, selector]) => (matchesNode(selector, node) ? [key] : [])).sort()
      if (this.#remembered.size >= rememberedAtMost) this.#remembered.clear()
      this.#remembered.set(attributes, keys)
    }
    return keys
  }

  /** Each selector is in one list. */
  #listFor({ cluster, id, metadata = {} }: NodeSelector): Candidate[] {
    if (cluster !== undefined && !isPattern(cluster)) return listOf(this.#ofCluster, cluster)
    if (id !== undefined && !isPattern(id)) return listOf(this.#ofId, id)
    const service = ownServiceOf(metadata)
    return service === undefined ? this.#others : listOf(this.#ofService, service)
  }
}

function listOf(lists: Map<string, Candidate[]>, name: string): Candidate[] {
  const list = lists.get(name) ?? []
  lists.set(name, list)
  return list
}
