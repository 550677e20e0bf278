import type { Resource } from '../resource/resource.ts'
import { resourceTypes, type TypeUrl } from '../resource/type-url.ts'
import { diffSets, emptySet, internSet, type ResourceSet } from '../snapshot/resource-set.ts'

/** What one client is to have of every type at this moment. A snapshot is one; so is a step between two. */
export interface View {
  /** Types with no resource have no entry. */
  readonly sets: ReadonlyMap<TypeUrl, ResourceSet>
}

/** What is known of a client that is to move from one view to the next. */
export interface Progress {
  /** The clusters that it accepted, which are warm then (rule 71); undefined when it takes no clusters on this stream. */
  readonly clusters: ResourceSet | undefined
  /** It accepted every listener and route of the view that it has, of the types that it asked for (rule 77). */
  readonly hasUsers: boolean
}

export interface Step {
  /** What the client is to have now. The same object for every client that is in the same step. */
  readonly view: View
  /** Resources that wait for a cluster's ACK, in order. */
  readonly held: readonly Resource[]
  /** It only takes away what nothing uses any more: `removalOrder` is its order of types. */
  readonly isRemoval: boolean
}

const { cluster, endpoint, secret, extension, runtime, listener, scopedRoute, route, virtualHost } = resourceTypes
const clusterType = cluster.typeUrl

/** What other resources name: added before their users, removed after them (rules 68, 69). */
const providers: readonly TypeUrl[] = [cluster, endpoint, secret, extension, runtime, route].map((type) => type.typeUrl)

/** What sends requests to clusters: held back while it names one that is not accepted (rules 70, 71). What names it comes later. */
const users: readonly TypeUrl[] = [extension, virtualHost, route, scopedRoute, listener].map((type) => type.typeUrl)

/** Whose acceptance the removals wait for. */
export const userTypes: ReadonlySet<TypeUrl> = new Set(users)

/** In which order the types of a step are sent: what is added before what names it (rules 68, 78). */
export const additionOrder: readonly TypeUrl[] = Object.values(resourceTypes).map((type) => type.typeUrl)

/** For the last step, which removes: users first, clusters and their endpoints last. */
export const removalOrder: readonly TypeUrl[] = [
  ...additionOrder.filter((typeUrl) => userTypes.has(typeUrl)),
  ...additionOrder.filter((typeUrl) => !userTypes.has(typeUrl)),
]

export function setIn(view: View, typeUrl: TypeUrl): ResourceSet {
  return view.sets.get(typeUrl) ?? emptySet(typeUrl)
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
    const types = [...new Set([...from.sets.keys(), ...to.sets.keys()])].filter((type) => !isEqualIn(from, to, type))
    const isPlain = types.every(
      (typeUrl) => !userTypes.has(typeUrl) && diffSets(setIn(from, typeUrl), setIn(to, typeUrl)).removed.length === 0,
    )
    change = { types, isPlain }
    ofFrom.set(to, change)
  }
  lastChange = { from, to, change }
  return change
}

type Memo = WeakMap<View, WeakMap<View, WeakMap<object, Step>>>

const nobody = {}
const [memoWhileUsing, memoWhenMoved]: [Memo, Memo] = [new WeakMap(), new WeakMap()]

/**
 * The next step from what a client has to what it should have (rules 68–71, 76): first additions, clusters united with the
 * old ones; then the listeners and routes that use them, each as soon as its clusters are accepted; and when those are
 * accepted, the removals. The last step's view is `to` itself. No step leads on while the client's ACKs are awaited:
 * then the view is `from`.
 */
export function plan(from: View, to: View, progress: Progress): Step {
  if (from === to) return { view: to, held: [], isRemoval: false }
  const memo = progress.hasUsers ? memoWhenMoved : memoWhileUsing
  const ofFrom = memo.get(from) ?? new WeakMap<View, WeakMap<object, Step>>()
  memo.set(from, ofFrom)
  const ofTo = ofFrom.get(to) ?? new WeakMap<object, Step>()
  ofFrom.set(to, ofTo)
  const key = progress.clusters ?? nobody
  let step = ofTo.get(key)
  if (step === undefined) {
    step = computeStep(from, to, progress)
    ofTo.set(key, step)
  }
  return step
}

function computeStep(from: View, to: View, progress: Progress): Step {
  const sets = new Map(to.sets)
  for (const typeUrl of providers) sets.set(typeUrl, union(setIn(from, typeUrl), setIn(to, typeUrl)))
  const held = holdBack(sets, from, progress)
  const view: View = { sets: new Map([...sets].filter(([, set]) => set.size > 0)) }
  const isMoved = held.length === 0 && users.every((typeUrl) => isEqualIn(view, from, typeUrl))
  if (isMoved && progress.hasUsers) return { view: to, held, isRemoval: true }
  if (isEqual(view, to)) return { view: to, held, isRemoval: false }
  // The same object, so that nobody takes the wait for a step.
  return { view: isEqual(view, from) ? from : view, held, isRemoval: false }
}

function isEqual(a: View, b: View): boolean {
  return [...new Set([...a.sets.keys(), ...b.sets.keys()])].every((typeUrl) => isEqualIn(a, b, typeUrl))
}

function isEqualIn(a: View, b: View, typeUrl: TypeUrl): boolean {
  return setIn(a, typeUrl).version === setIn(b, typeUrl).version
}

/** All of `to`, and what only `from` has. */
function union(from: ResourceSet, to: ResourceSet): ResourceSet {
  const { removed } = diffSets(from, to)
  if (removed.length === 0) return to
  return internSet(to.with(new Map(removed.map((name) => [name, from.get(name)]))))
}

/** Puts held-back users at their old version into `sets`, or out of it where they are new, and with them what names those. */
function holdBack(sets: Map<TypeUrl, ResourceSet>, from: View, progress: Progress): readonly Resource[] {
  if (progress.clusters === undefined) return []
  const { clusters } = progress
  const added = diffSets(clusters, sets.get(clusterType) ?? emptySet(clusterType)).changed
  const missing = new Set<string>()
  for (const { name } of added) if (clusters.get(name) === undefined) missing.add(`${clusterType}\0${name}`)
  if (missing.size === 0) return []
  const held: Resource[] = []
  for (const typeUrl of users) {
    const after = sets.get(typeUrl) ?? emptySet(typeUrl)
    const before = setIn(from, typeUrl)
    const waiting = diffSets(before, after).changed.filter((resource) =>
      resource.references.some((reference) => missing.has(`${reference.typeUrl}\0${reference.name}`)),
    )
    if (waiting.length === 0) continue
    held.push(...waiting)
    sets.set(typeUrl, internSet(after.with(new Map(waiting.map(({ name }) => [name, before.get(name)])))))
    for (const { name } of waiting) if (before.get(name) === undefined) missing.add(`${typeUrl}\0${name}`)
  }
  return held
}
