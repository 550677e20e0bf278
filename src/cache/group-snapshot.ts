import type { NodeSelector } from '../resource/node-selector.ts'
import type { Resource } from '../resource/resource.ts'
import { selectorLabel } from '../resource/selector-label.ts'
import { resourceTypes, type TypeUrl } from '../resource/type-url.ts'
import { diffSets, emptySet, internSet, type ResourceSet } from '../snapshot/resource-set.ts'
import { buildSnapshot, type Snapshot } from '../snapshot/snapshot.ts'
import type { Group } from './cache.ts'
import { assignmentsOf, type Layer } from './layer.ts'
import { buildUnion, type Union } from './union.ts'

const clusterUrl = resourceTypes.cluster.typeUrl
const endpointUrl = resourceTypes.endpoint.typeUrl

/** The group of a set of selectors, given by their sorted keys. */
export function buildGroup(selectors: ReadonlyMap<string, NodeSelector>): Group {
  const all = [...selectors.values()]
  const labels = all.map(selectorLabel)
  const narrow = labels.filter((label) => label !== selectorLabel({}))
  const label = labels.length === 0 ? 'nothing' : narrow.length === 0 ? selectorLabel({}) : narrow.join(' + ')
  return { key: [...selectors.keys()].join('+'), label, selectors: all }
}

/** What some layers give together, kept up to date change by change. */
export class GroupSnapshot {
  readonly #layers: readonly Layer[]
  readonly #unions = new Map<TypeUrl, Union>()
  /** Explicit assignments without endpoints, for clusters that have no other (rule 24). */
  #missing: ResourceSet = emptySet(endpointUrl)
  #endpoints: Union | undefined
  #snapshot: Snapshot

  constructor(layers: readonly Layer[]) {
    this.#layers = layers
    for (const typeUrl of new Set(layers.flatMap((layer) => [...layer.typeUrls]))) this.#unite(typeUrl)
    this.#addMissing(layers.flatMap((layer) => [...layer.unmet]))
    this.#snapshot = this.#build()
  }

  get snapshot(): Snapshot {
    return this.#snapshot
  }

  /** Follows changes of the layers' sets of some types. */
  update(typeUrls: Iterable<TypeUrl>): void {
    const names = new Set<string>()
    for (const typeUrl of typeUrls) {
      const before = this.#unions.get(typeUrl)?.result ?? emptySet(typeUrl)
      const after = this.#unite(typeUrl)?.result ?? emptySet(typeUrl)
      if (typeUrl !== clusterUrl && typeUrl !== endpointUrl) continue
      const { changed, removed } = diffSets(before, after)
      for (const name of [...removed, ...changed.map((resource) => resource.name)]) {
        const forms = [before.get(name), after.get(name)]
        for (const wanted of typeUrl === endpointUrl ? [name] : forms.flatMap(assignmentsOf)) names.add(wanted)
      }
    }
    this.#addMissing(names)
    this.#snapshot = this.#build()
  }

  #unite(typeUrl: TypeUrl): Union | undefined {
    const [first, ...others] = this.#layers.flatMap((layer) => layer.set(typeUrl) ?? [])
    if (first === undefined) {
      this.#unions.delete(typeUrl)
      return undefined
    }
    const union = buildUnion([first, ...others], this.#unions.get(typeUrl))
    this.#unions.set(typeUrl, union)
    return union
  }

  /** Sees to it that each of `names` has an explicit empty assignment exactly if a cluster wants it and there is no other. */
  #addMissing(names: Iterable<string>): void {
    const given = this.#unions.get(endpointUrl)?.result ?? emptySet(endpointUrl)
    const changes = new Map<string, Resource | undefined>()
    for (const name of names) {
      const layer = given.get(name) === undefined ? this.#layers.find((one) => one.wants(name)) : undefined
      changes.set(name, layer?.emptyAssignment(name))
    }
    this.#missing = internSet(this.#missing.with(changes))
    this.#endpoints = buildUnion(this.#missing.size === 0 ? [given] : [given, this.#missing], this.#endpoints)
  }

  #build(): Snapshot {
    const sets = new Map([...this.#unions].map(([typeUrl, { result }]) => [typeUrl, result]))
    if (this.#endpoints !== undefined) sets.set(endpointUrl, this.#endpoints.result)
    return buildSnapshot(sets.values())
  }
}
