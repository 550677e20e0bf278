import { emptyAssignment } from '../resource/empty-assignment.ts'
import { keyOf } from '../resource/named.ts'
import type { Resource } from '../resource/resource.ts'
import { resourceTypes, type TypeUrl } from '../resource/type-url.ts'
import { diffSets, emptySet, type ResourceSet } from '../snapshot/resource-set.ts'
import type { Unit } from '../snapshot/world.ts'
import type { SelectorSet } from './selector-set.ts'

const clusterUrl = resourceTypes.cluster.typeUrl
const endpointUrl = resourceTypes.endpoint.typeUrl

/** What a unit gives to a layer, and gave before; undefined is nothing. */
export interface Replacement {
  readonly key: string
  readonly before: Unit | undefined
  readonly after: Unit | undefined
}

interface Provider {
  readonly unitKey: string
  readonly resource: Resource
}

/** A cluster name and, once asked for, the assignment without endpoints that says it has none. */
interface Wish {
  readonly clusters: Map<string, Resource>
  empty: Resource | undefined
}

/** What all units for the same nodes, given by one set of selectors, give together. Groups that have only this layer share its sets. */
export class Layer {
  readonly key: string
  readonly selectors: SelectorSet['selectors']
  readonly #sets = new Map<TypeUrl, ResourceSet>()
  readonly #providers = new Map<TypeUrl, Map<string, readonly Provider[]>>()
  readonly #wishes = new Map<string, Wish>()
  readonly #unmet = new Set<string>()

  constructor({ key, selectors }: SelectorSet) {
    this.key = key
    this.selectors = selectors
  }

  get isEmpty(): boolean {
    return this.#sets.size === 0
  }

  get typeUrls(): Iterable<TypeUrl> {
    return this.#sets.keys()
  }

  /** Undefined where it has none of the type. */
  set(typeUrl: TypeUrl): ResourceSet | undefined {
    return this.#sets.get(typeUrl)
  }

  /** One of its clusters takes its endpoints from the assignment `name`. */
  wants(name: string): boolean {
    return this.#wishes.has(name)
  }

  /** The names of the assignments that its clusters want and that it has not itself. */
  get unmet(): Iterable<string> {
    return this.#unmet
  }

  /** The explicit assignment without endpoints for a name that it wants; made once, shared by its groups (rule 24). */
  emptyAssignment(name: string): Resource | undefined {
    const wish = this.#wishes.get(name)
    if (wish === undefined) return undefined
    if (wish.empty === undefined) {
      const [first] = [...wish.clusters.keys()].sort()
      const cluster = first === undefined ? undefined : wish.clusters.get(first)
      if (cluster !== undefined) wish.empty = emptyAssignment(name, cluster.origin)
    }
    return wish.empty
  }

  /** Replaces what some units gave, together. Returns the types whose set is another one now. */
  replace(units: Iterable<Replacement>): ReadonlySet<TypeUrl> {
    const changes = new Map<TypeUrl, Map<string, Resource | undefined>>()
    for (const { key, before, after } of units) {
      const kept = new Map<string, Resource>()
      for (const resource of after?.resources ?? []) kept.set(keyOf(resource), resource)
      for (const resource of before?.resources ?? []) {
        if (!kept.has(keyOf(resource))) this.#provide(key, resource.typeUrl, resource.name, undefined, changes)
      }
      for (const resource of kept.values()) this.#provide(key, resource.typeUrl, resource.name, resource, changes)
    }
    const changed = new Set<TypeUrl>()
    const assignments = new Set<string>()
    for (const [typeUrl, byName] of changes) {
      const before = this.#sets.get(typeUrl) ?? emptySet(typeUrl)
      const after = before.with(byName)
      if (after === before) continue
      changed.add(typeUrl)
      if (after.size === 0) this.#sets.delete(typeUrl)
      else this.#sets.set(typeUrl, after)
      if (typeUrl === clusterUrl) this.#noteWishes(before, after, assignments)
      if (typeUrl === endpointUrl) for (const name of byName.keys()) assignments.add(name)
    }
    for (const name of assignments) {
      if (this.wants(name) && this.#sets.get(endpointUrl)?.get(name) === undefined) this.#unmet.add(name)
      else this.#unmet.delete(name)
    }
    return changed
  }

  /** Of several units that give one name, which is an error elsewhere, the first by key counts: on every replica the same. */
  #provide(
    unitKey: string,
    typeUrl: TypeUrl,
    name: string,
    resource: Resource | undefined,
    changes: Map<TypeUrl, Map<string, Resource | undefined>>,
  ): void {
    const byName = this.#providers.get(typeUrl) ?? new Map<string, readonly Provider[]>()
    this.#providers.set(typeUrl, byName)
    const others = (byName.get(name) ?? []).filter((provider) => provider.unitKey !== unitKey)
    const providers = resource === undefined ? others : [...others, { unitKey, resource }]
    if (providers.length > 1) providers.sort((a, b) => (a.unitKey < b.unitKey ? -1 : 1))
    if (providers.length === 0) byName.delete(name)
    else byName.set(name, providers)
    const ofType = changes.get(typeUrl) ?? new Map<string, Resource | undefined>()
    changes.set(typeUrl, ofType.set(name, providers[0]?.resource))
  }

  /** Adds to `assignments` what the clusters that changed want, or wanted. */
  #noteWishes(before: ResourceSet, after: ResourceSet, assignments: Set<string>): void {
    const { changed, removed } = diffSets(before, after)
    for (const name of [...removed, ...changed.map((cluster) => cluster.name)]) {
      for (const wanted of assignmentsOf(before.get(name))) {
        assignments.add(wanted)
        const wish = this.#wishes.get(wanted)
        wish?.clusters.delete(name)
        if (wish?.clusters.size === 0) this.#wishes.delete(wanted)
      }
    }
    for (const cluster of changed) {
      for (const wanted of assignmentsOf(cluster)) {
        assignments.add(wanted)
        const wish = this.#wishes.get(wanted) ?? { clusters: new Map<string, Resource>(), empty: undefined }
        wish.clusters.set(cluster.name, cluster)
        this.#wishes.set(wanted, wish)
      }
    }
  }
}

/** The assignments that a cluster takes its endpoints from by EDS. */
export function assignmentsOf(cluster: Resource | undefined): readonly string[] {
  return (cluster?.references ?? []).flatMap(({ typeUrl, name }) => (typeUrl === endpointUrl ? [name] : []))
}
