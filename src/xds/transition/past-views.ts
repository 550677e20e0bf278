import { hash } from 'node:crypto'
import type { Clock } from '../../clock.ts'
import type { Resource } from '../../resource/resource.ts'
import { canName, resourceTypes, type TypeUrl } from '../../resource/type-url.ts'
import { diffSets, type ResourceSet } from '../../snapshot/resource-set.ts'
import { buildSnapshot } from '../../snapshot/snapshot.ts'
import { type NameSet, noNames, unionNames } from '../protocol/names.ts'
import type { Protocol } from '../stream-event.ts'
import { isClaiming, isTrueTo, type Remembered, type Stated } from './client-memory.ts'
import { followersOf } from './cluster-news.ts'
import { noDrains } from './drain.ts'
import { plan } from './planner.ts'
import { noTypes } from './progress.ts'
import { isUser, setIn, typesIn, type View } from './view.ts'

/** For how long a client may still be at what its group had, in milliseconds. */
const maxAgeMs = 10 * 60_000

/** Of one group. */
const maxViews = 8

/** A client that is between two views is so because of one change, or a few that came close together. */
const maxSkipped = 3

const maxGroups = 1000

/** For how long what was found out is kept for others, in milliseconds: they come at one time. */
const keptMs = 10_000

/** What different clients of one group may say, to be kept. */
const maxFound = 256

const clusterType = resourceTypes.cluster.typeUrl

interface Noted {
  readonly view: View
  readonly atMs: number
}

/** What a client is told of assignments and the like while it is not known which clusters it has, and one of them warms. */
export interface Meanwhile {
  /** What is now, and the assignments and secrets that clusters waited for which went or changed lately. */
  readonly view: View
  /** By type, what clusters wait for that came or changed lately. */
  readonly awaited: ReadonlyMap<TypeUrl, NameSet>
  /** Now or lately: where there are none, none warms. */
  readonly hasClusters: boolean
}

/** What was found out of a group, for the others of it that come at one time. */
interface Kept {
  readonly noted: readonly Noted[] | undefined
  readonly untilMs: number
  /** What the group had, were none of its clients here then: read when it is needed, of whoever asks. */
  older: readonly View[] | undefined
  /** By a hash of what they said, which may be long. */
  readonly found: Map<string, Remembered | undefined>
  meanwhile: Meanwhile | undefined
}

/**
 * What groups of nodes had lately. A client that comes from another replica, which had not taken the newest change yet, or
 * whose stream ended just before, is where all of its group were, or was on the way from one such place to another: from there
 * it is led on as if it had been here (rule 69).
 */
export class PastViews {
  /** The group last noted comes last, and so does its newest view. */
  readonly #groups = new Map<string, readonly Noted[]>()
  /** By what the group has now. */
  readonly #kept = new WeakMap<View, Map<string, Kept>>()
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
    const kept = this.#keptOf(group, now)
    const { found } = kept
    const said = keyOf(protocol, stated)
    if (found.has(said)) return found.get(said)
    const client =
      findClient([...this.#notedOf(kept), now], protocol, stated) ??
      findClient([...(kept.older ??= older()), now], protocol, stated)
    const [oldest] = found.keys()
    if (found.size >= maxFound && oldest !== undefined) found.delete(oldest)
    found.set(said, client)
    return client
  }

  /** For a client that may have anything that its group had before; see `recall`. */
  meanwhile(group: string, now: View, older: () => readonly View[]): Meanwhile {
    const kept = this.#keptOf(group, now)
    kept.meanwhile ??= meanwhileAfter((kept.older ??= older()), now)
    return kept.meanwhile
  }

  #notedOf({ noted = [] }: Kept): readonly View[] {
    const nowMs = this.#clock.now()
    return noted.filter(({ atMs }) => nowMs - atMs < maxAgeMs).map(({ view }) => view)
  }

  #keptOf(group: string, now: View): Kept {
    const ofNow = this.#kept.get(now) ?? new Map<string, Kept>()
    this.#kept.set(now, ofNow)
    const [noted, nowMs] = [this.#groups.get(group), this.#clock.now()]
    const known = ofNow.get(group)
    if (known !== undefined && known.noted === noted && nowMs < known.untilMs) return known
    const kept = { noted, untilMs: nowMs + keptMs, older: undefined, found: new Map(), meanwhile: undefined }
    ofNow.set(group, kept)
    return kept
  }
}

function keyOf(protocol: Protocol, { typeUrl, versionInfo, initialVersions = new Map() }: Stated): string {
  // Each client has an order of its own.
  const said = versionInfo ?? [...initialVersions].map((entry) => JSON.stringify(entry)).sort()
  return hash('sha256', JSON.stringify([protocol, typeUrl, said]), 'base64')
}

function meanwhileAfter(past: readonly View[], now: View): Meanwhile {
  const clusters = setIn(now, clusterType)
  const named = followersOf([...clusters.values()])
  const gone = new Map<TypeUrl, Map<string, Resource>>()
  const awaited = new Map<TypeUrl, NameSet>()
  for (const [at, view] of past.entries()) {
    const [before, after] = [setIn(view, clusterType), setIn(past[at + 1] ?? now, clusterType)]
    for (const [typeUrl, names] of followersOf(diffSets(clusters, before).changed)) {
      if (isUser(typeUrl)) continue
      for (const name of names.names) {
        const resource = setIn(view, typeUrl).get(name)
        const isGone = setIn(now, typeUrl).get(name) === undefined && named.get(typeUrl)?.has(name) !== true
        if (resource !== undefined && isGone) gone.set(typeUrl, (gone.get(typeUrl) ?? new Map()).set(name, resource))
      }
    }
    for (const [typeUrl, names] of followersOf(diffSets(before, after).changed)) {
      awaited.set(typeUrl, unionNames(awaited.get(typeUrl) ?? noNames, names))
    }
  }
  const hasClusters = [...past, now].some((view) => view.sets.has(clusterType))
  if (gone.size === 0) return { view: now, awaited, hasClusters }
  const sets = new Map(now.sets)
  for (const [typeUrl, resources] of gone) sets.set(typeUrl, setIn(now, typeUrl).with(resources))
  return { view: buildSnapshot(sets.values()), awaited, hasClusters }
}

const leafTypes = [resourceTypes.endpoint.typeUrl, resourceTypes.secret.typeUrl]
const renewed = new WeakMap<View, WeakMap<Meanwhile, View>>()

/** With the newest that is known of its assignments and secrets: of those that went, too. */
export function withNewerLeaves(view: View, meanwhile: Meanwhile): View {
  const ofView = renewed.get(view) ?? new WeakMap<Meanwhile, View>()
  renewed.set(view, ofView)
  const known = ofView.get(meanwhile)
  if (known !== undefined) return known
  const sets = new Map(view.sets)
  for (const typeUrl of leafTypes) {
    const [before, newest] = [setIn(view, typeUrl), setIn(meanwhile.view, typeUrl)]
    const newer = diffSets(before, newest).changed.filter(({ name }) => before.get(name) !== undefined)
    if (newer.length > 0) sets.set(typeUrl, before.with(new Map(newer.map((resource) => [resource.name, resource]))))
  }
  const isSame = leafTypes.every((typeUrl) => sets.get(typeUrl) === view.sets.get(typeUrl))
  const result = isSame ? view : buildSnapshot(sets.values())
  ofView.set(meanwhile, result)
  return result
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
