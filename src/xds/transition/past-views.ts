import type { Clock } from '../../clock.ts'
import { canName, resourceTypes, type TypeUrl } from '../../resource/type-url.ts'
import type { ResourceSet } from '../../snapshot/resource-set.ts'
import type { Protocol } from '../stream-event.ts'
import { isClaiming, isTrueTo, type Remembered, type Stated } from './client-memory.ts'
import { noDrains } from './drain.ts'
import { plan } from './planner.ts'
import { noTypes } from './progress.ts'
import { setIn, typesIn, type View } from './view.ts'

/** For how long a client may still be at what its group had, in milliseconds. */
const maxAgeMs = 10 * 60_000

/** Of one group. */
const maxViews = 8

/** A client that is between two views is so because of one change, or a few that came close together. */
const maxSkipped = 3

const maxGroups = 1000

const clusterType = resourceTypes.cluster.typeUrl

/**
 * What groups of nodes had lately. A client that comes from another replica, which had not taken the newest change yet, or
 * whose stream ended just before, is where all of its group were, or was on the way from one such place to another: from there
 * it is led on as if it had been here (rule 69).
 */
export class PastViews {
  /** The group last noted comes last, and so does its newest view. */
  readonly #groups = new Map<string, { readonly view: View; readonly atMs: number }[]>()
  /** By what the group has now. */
  readonly #older = new WeakMap<View, Map<string, readonly View[]>>()
  readonly #clock: Pick<Clock, 'now'>
  #last: { readonly group: string; readonly view: View } | undefined

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock
  }

  /** The group has something newer than `view`. */
  note(group: string, view: View): void {
    // Each stream of the group says so, one after the other.
    if (this.#last?.view === view && this.#last.group === group) return
    this.#last = { group, view }
    const nowMs = this.#clock.now()
    const views = this.#groups.get(group) ?? []
    const kept = views.filter((past) => !isSameButLeaves(past.view, view) && nowMs - past.atMs < maxAgeMs)
    this.#groups.delete(group)
    this.#groups.set(group, [...kept, { view, atMs: nowMs }].slice(-maxViews))
    const [oldest] = this.#groups.keys()
    if (this.#groups.size > maxGroups && oldest !== undefined) this.#groups.delete(oldest)
  }

  /**
   * What a client has by what it says, if that is what its group had before and not what it has now.
   * @param older what the group had, for when none of its clients was here then
   */
  recall(
    group: string,
    protocol: Protocol,
    stated: Stated,
    now: View,
    older: () => readonly View[] = () => [],
  ): Remembered | undefined {
    if (!isClaiming(stated) || isTrueTo(clientAt(now, protocol), stated)) return undefined
    const nowMs = this.#clock.now()
    const noted = (this.#groups.get(group) ?? []).filter(({ atMs }) => nowMs - atMs < maxAgeMs).map(({ view }) => view)
    return (
      findClient([...noted, now], protocol, stated) ??
      findClient([...this.#olderOf(group, now, older), now], protocol, stated)
    )
  }

  /** Made once for all clients of a group that come at one time. */
  #olderOf(group: string, now: View, older: () => readonly View[]): readonly View[] {
    const ofNow = this.#older.get(now) ?? new Map<string, readonly View[]>()
    this.#older.set(now, ofNow)
    const views = ofNow.get(group) ?? older()
    ofNow.set(group, views)
    return views
  }
}

/** A client that has all of one of these views but the last, the newest that fits; or else one on the way between two of them. */
function findClient(views: readonly View[], protocol: Protocol, stated: Stated): Remembered | undefined {
  for (const view of views.slice(0, -1).toReversed()) {
    const client = clientAt(view, protocol)
    if (isTrueTo(client, stated)) return client
  }
  for (let to = views.length - 1; to > 0; to--) {
    for (let from = to - 1; from >= Math.max(0, to - maxSkipped); from--) {
      const client = clientBetween(views[from] as View, views[to] as View, protocol)
      if (isTrueTo(client, stated)) return client
    }
  }
  return undefined
}

/** They differ in endpoints and the like at most: of such, which change often, the newest will do. */
function isSameButLeaves(a: View, b: View): boolean {
  return typesIn(a, b).every((typeUrl) => !canName(typeUrl) || setIn(a, typeUrl).version === setIn(b, typeUrl).version)
}

const steps = new WeakMap<View, WeakMap<View, View>>()

/** What one that has all of `from` has when it was told what is new in `to`, and nothing yet to do without. */
function stepBetween(from: View, to: View): View {
  const ofFrom = steps.get(from) ?? new WeakMap<View, View>()
  steps.set(from, ofFrom)
  const known = ofFrom.get(to)
  if (known !== undefined) return known
  const mayHold = [...from.sets.values()].filter(({ typeUrl }) => canName(typeUrl))
  const clusters = from.sets.get(clusterType)
  const client = { clusters: clusters && [clusters], mayHold, drains: noDrains, unanswered: noTypes }
  const { view } = plan(from, to, client)
  ofFrom.set(to, view)
  return view
}

/** A client that has accepted the clusters of the step between two views, and of the rest may have either. */
function clientBetween(from: View, to: View, protocol: Protocol): Remembered {
  const step = stepBetween(from, to)
  const client = clientAt(step, protocol)
  const mayHold = new Map(client.mayHold)
  for (const { sets } of [from, to]) {
    for (const [typeUrl, set] of sets) {
      if (typeUrl === clusterType) continue
      mayHold.set(typeUrl, [...new Set([...(mayHold.get(typeUrl) ?? []), set])])
    }
  }
  return { ...client, mayHold }
}

/** A client that has accepted all of a view. */
function clientAt(view: View, protocol: Protocol): Remembered {
  const mayHold = new Map<TypeUrl, readonly ResourceSet[]>()
  const accepted = new Map<TypeUrl, string>()
  for (const [typeUrl, set] of view.sets) {
    mayHold.set(typeUrl, [set])
    accepted.set(typeUrl, set.version)
  }
  return { protocol, view, mayHold, accepted, clusters: view.sets.get(clusterType), drains: noDrains }
}
