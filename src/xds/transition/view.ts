import type { Resource } from '../../resource/resource.ts'
import { resourceTypes, type TypeUrl } from '../../resource/type-url.ts'
import { diffSets, emptySet, type ResourceSet } from '../../snapshot/resource-set.ts'

/** What one client is to have of every type at this moment. A snapshot is one; so is a step between two. */
export interface View {
  /** Types with no resource have no entry. */
  readonly sets: ReadonlyMap<TypeUrl, ResourceSet>
}

export function setIn(view: View, typeUrl: TypeUrl): ResourceSet {
  return view.sets.get(typeUrl) ?? emptySet(typeUrl)
}

/** In which order the types of a view are sent: what is added before what names it (rules 68, 78). */
export const additionOrder: readonly TypeUrl[] = Object.values(resourceTypes).map((type) => type.typeUrl)

const { cluster, endpoint, secret, extension, runtime, localityEndpoint } = resourceTypes
const { listener, scopedRoute, route, virtualHost } = resourceTypes

/** What is named by others, and never goes before them (rules 69, 76). */
const providers: ReadonlySet<TypeUrl> = new Set(
  [cluster, endpoint, secret, extension, runtime, route, localityEndpoint].map((type) => type.typeUrl),
)

/** What sends requests to clusters, those first that are named by later ones (rules 70, 71). */
const users: readonly TypeUrl[] = [extension, virtualHost, route, scopedRoute, listener].map((type) => type.typeUrl)

/** Resources of this known type may send requests to clusters. */
export function isUser(typeUrl: TypeUrl): boolean {
  return users.includes(typeUrl)
}

/** The types of two views that may send requests to clusters, those first that are named by later ones. */
export function usersIn(a: View, b: View): readonly TypeUrl[] {
  const others = typesIn(a, b).filter((typeUrl) => !isKnown.has(typeUrl))
  return others.length === 0 ? users : [...others, ...users]
}

const isKnown: ReadonlySet<TypeUrl> = new Set(additionOrder)

export function typesIn(a: View, b: View): readonly TypeUrl[] {
  return [...new Set([...a.sets.keys(), ...b.sets.keys()])]
}

/** What tells two views apart. */
export interface Change {
  readonly types: readonly TypeUrl[]
  /** Only providers differ, and none goes: there is nothing to wait for, and the step is `to` for every client. */
  readonly isPlain: boolean
}

const changes = new WeakMap<View, WeakMap<View, Change>>()
let lastChange: { readonly from: View; readonly to: View; readonly change: Change } | undefined

/** Computed once for all clients that are at `from`. */
export function changeBetween(from: View, to: View): Change {
  // In a fan-out one client after the other asks the same.
  if (lastChange?.from === from && lastChange.to === to) return lastChange.change
  const ofFrom = changes.get(from) ?? new WeakMap<View, Change>()
  changes.set(from, ofFrom)
  let change = ofFrom.get(to)
  if (change === undefined) {
    const types = typesIn(from, to).filter((type) => setIn(from, type).version !== setIn(to, type).version)
    const isPlain = types.every((typeUrl) => isOnlyAdded(from, to, typeUrl))
    change = { types, isPlain }
    ofFrom.set(to, change)
  }
  lastChange = { from, to, change }
  return change
}

/** Nothing goes, and nothing of it may wait for a cluster. */
function isOnlyAdded(from: View, to: View, typeUrl: TypeUrl): boolean {
  if (!providers.has(typeUrl) || isUser(typeUrl)) return false
  const { changed, removed } = diffSets(setIn(from, typeUrl), setIn(to, typeUrl))
  return removed.length === 0 && (typeUrl !== cluster.typeUrl || !changed.some(isAggregate))
}

function isAggregate({ references }: Resource): boolean {
  return references.some(({ typeUrl }) => typeUrl === cluster.typeUrl)
}
