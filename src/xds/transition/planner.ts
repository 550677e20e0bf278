import type { Named } from '../../resource/named.ts'
import { listenerAddresses } from '../../resource/references/listener-address.ts'
import type { Resource } from '../../resource/resource.ts'
import { resourceTypes, type TypeUrl } from '../../resource/type-url.ts'
import { diffSets, type ResourceSet } from '../../snapshot/resource-set.ts'
import { buildSnapshot } from '../../snapshot/snapshot.ts'
import { heldForAddresses } from './address-hold.ts'
import { type Drains, noDrains } from './drain.ts'
import { IdentityMemo } from './identity-memo.ts'
import { outdatedIn, reachedBy } from './removal.ts'
import { heldBack } from './user-hold.ts'
import { setIn, type View } from './view.ts'

/** What the plan must know of a client. */
export interface ClientState {
  /**
   * The sets of clusters of which the client may have any: what it accepted, and what is unanswered. A route may name what
   * is in all of them (rule 71). Undefined when it takes no clusters on this stream: then nothing is held back.
   */
  readonly clusters: readonly ResourceSet[] | undefined
  /**
   * Of all types that name others and that it asked for, the sets of which it may have any: accepted, unanswered, rejected.
   * What they name stays (rule 76).
   */
  readonly mayHold: readonly ResourceSet[]
  /** What its draining listeners hold on to (rule 74). */
  readonly drains: Drains
  /** The types that it asked for of which it has nothing yet. One object for equal ones. */
  readonly unanswered: ReadonlySet<TypeUrl>
}

export interface Step {
  /** What the client is to have now. The same object for every client that is in the same step. */
  readonly view: View
  /** Of the target, what waits for a cluster's ACK, or for an address. */
  readonly held: readonly Resource[]
  /** Beyond the target, what stays for those that may still name it. */
  readonly kept: readonly Resource[]
}

const clusterType = resourceTypes.cluster.typeUrl
const listenerType = resourceTypes.listener.typeUrl

interface Asked {
  readonly from: View
  readonly to: View
  readonly client: ClientState
  readonly step: Step
}

const memo = new IdentityMemo<Step>()
const noClusters: object = {}
const endOfClusters: object = {}
let last: Asked | undefined

/**
 * The next step from what a client has to what it should have (rules 68–71, 74, 76, 101): all of `to`, save the listeners
 * and routes that name a cluster which the client may lack yet, which stay as they are, and the listeners that change
 * places; and beside it whatever the client may still use. Nothing is awaited as a whole: each resource comes and goes by its own names. Once the client has answered
 * everything and nothing drains, the view is `to` itself.
 */
export function plan(from: View, to: View, client: ClientState): Step {
  // In a fan-out one client after the other asks the same.
  if (last !== undefined && last.from === from && last.to === to && isSameClient(last.client, client)) return last.step
  const mayHold = client.mayHold.filter((set) => set !== to.sets.get(set.typeUrl))
  const keys = [
    from,
    to,
    client.drains,
    client.unanswered,
    ...(client.clusters ?? [noClusters]),
    endOfClusters,
    ...mayHold,
  ]
  const step = memo.get(keys, () => computeStep(from, to, { ...client, mayHold }))
  last = { from, to, client, step }
  return step
}

function isSameClient(a: ClientState, b: ClientState): boolean {
  if (a.drains !== b.drains || a.unanswered !== b.unanswered || !isSameList(a.mayHold, b.mayHold)) return false
  if (a.clusters === undefined || b.clusters === undefined) return a.clusters === b.clusters
  return isSameList(a.clusters, b.clusters)
}

function isSameList(a: readonly object[], b: readonly object[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index])
}

function computeStep(view: View, to: View, { clusters, mayHold, drains, unanswered }: ClientState): Step {
  const from = withClustersNotYetTaken(view, clusters?.at(-1))
  const users = clusters === undefined ? [] : heldBack(from, to, clusters, unanswered)
  const waiting = [...users, ...heldForAddresses(from, to, mayHold, users)]
  const held = waiting.map(({ resource }) => resource)
  const stays = waiting.flatMap(({ instead }) => instead ?? [])
  const replaced = listenersAwaitingSuccessors(held, from, to)
  const names = namesIn([...stays, ...replaced], mayHold, to)
  const kept = [...replaced, ...reachedBy(drains === noDrains ? names : [...names, ...drains.names], from, to)]
  if (held.length === 0 && kept.length === 0) return { view: to, held, kept }
  const changes = new Map<TypeUrl, Map<string, Resource | undefined>>()
  const change = (typeUrl: TypeUrl, name: string, resource: Resource | undefined): void => {
    const ofType = changes.get(typeUrl) ?? new Map<string, Resource | undefined>()
    changes.set(typeUrl, ofType.set(name, resource))
  }
  for (const { resource, instead } of waiting) change(resource.typeUrl, resource.name, instead)
  for (const resource of kept) change(resource.typeUrl, resource.name, resource)
  const sets = new Map(to.sets)
  for (const [typeUrl, ofType] of changes) sets.set(typeUrl, setIn(to, typeUrl).with(ofType))
  // Of equal content it is one object, so that nobody takes a wait for a step.
  return { view: buildSnapshot(sets.values()), held, kept }
}

/**
 * A view, and the clusters that are to go but of which the client was not told yet, for `sent` has them: they can stay, and
 * if they come back in another form, that is a change of what is in use.
 */
function withClustersNotYetTaken(view: View, sent: ResourceSet | undefined): View {
  if (sent === undefined) return view
  const had = setIn(view, clusterType)
  const gone = diffSets(had, sent).changed.filter(({ name }) => had.get(name) === undefined)
  if (gone.length === 0) return view
  const clusters = had.with(new Map(gone.map((cluster) => [cluster.name, cluster])))
  return { sets: new Map(view.sets).set(clusterType, clusters) }
}

/** What these resources name, and what the versions name that a client may have and `to` has not. */
function namesIn(resources: readonly Resource[], mayHold: readonly ResourceSet[], to: View): readonly Named[] {
  const names: Named[] = []
  for (const { references } of resources) names.push(...references)
  for (const set of mayHold) for (const { references } of outdatedIn(set, to)) names.push(...references)
  return names
}

/**
 * Listeners that go while the one that takes their address is held back. They go in the same push as that one comes, for
 * only then Envoy hands the socket over and no connection is refused in between.
 */
function listenersAwaitingSuccessors(held: readonly Resource[], from: View, to: View): readonly Resource[] {
  const successors = held.filter(({ typeUrl }) => typeUrl === listenerType)
  if (successors.length === 0) return []
  const before = setIn(from, listenerType)
  const { removed } = diffSets(before, setIn(to, listenerType))
  if (removed.length === 0) return []
  const taken = new Set(successors.flatMap(listenerAddresses))
  return removed
    .flatMap((name) => before.get(name) ?? [])
    .filter((listener) => listenerAddresses(listener).some((address) => taken.has(address)))
}
