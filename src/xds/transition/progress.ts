import type { Log } from '../../log.ts'
import type { Resource } from '../../resource/resource.ts'
import { canName, resourceTypes, type TypeUrl, wordOf } from '../../resource/type-url.ts'
import { diffSets, emptySet, type ResourceSet } from '../../snapshot/resource-set.ts'
import { type NameSet, noNames } from '../protocol/names.ts'
import { maxHeld, type Sent, type Subscription, type Verdict } from '../protocol/subscription.ts'
import type { Protocol } from '../stream-event.ts'
import { Arrivals } from './arrivals.ts'
import { isTrueTo, type Remembered } from './client-memory.ts'
import { clustersAfterNack } from './cluster-news.ts'
import { type Drains, drainEnd, noDrains, withDrain, withoutEnded } from './drain.ts'
import type { ClientState } from './planner.ts'
import { isUser, type View } from './view.ts'

export interface ProgressOptions {
  /** How long a transition waits for an ACK before it goes on without (rules 71, 77). */
  readonly transitionTimeoutMs: number
  /** How long a client serves connections with a listener that it replaced (rules 74, 76); 0: not at all. */
  readonly drainTimeMs: number
}

/**
 * An Envoy that had clusters when its stream began and does not ask for them is waited for so long: it does not while one of
 * them warms, and what that waits for may not come.
 */
export function maxResumingMs({ transitionTimeoutMs }: ProgressOptions): number {
  return 3 * transitionTimeoutMs
}

/** A type that the client asked for on this stream. */
export interface AskedType {
  readonly subscription: Subscription
  /** SotW: the version of it that the client states, by its first request and its ACKs; '' for none. */
  readonly statedVersion: string
}

function hasNothing({ mayHold, initialVersions }: Subscription): boolean {
  return mayHold.length === 0 && initialVersions === undefined
}

const typeSets = new Map<string, ReadonlySet<TypeUrl>>()

/** Equal sets as one object: there are few, for clients of a kind ask for their types in one order. */
function typesOf(typeUrls: readonly TypeUrl[]): ReadonlySet<TypeUrl> {
  if (typeUrls.length === 0) return noTypes
  const sorted = typeUrls.toSorted()
  const key = sorted.join(' ')
  const known = typeSets.get(key) ?? new Set(sorted)
  typeSets.set(key, known)
  return known
}

export const noTypes: ReadonlySet<TypeUrl> = new Set()
const none: readonly TypeUrl[] = []

const clusterType = resourceTypes.cluster.typeUrl
const endpointType = resourceTypes.endpoint.typeUrl
const secretType = resourceTypes.secret.typeUrl
const listenerType = resourceTypes.listener.typeUrl

/** Names in one line of the log. */
const maxNames = 20

/** How far the client of one stream has come, as the plan must know it: what its subscriptions do not say by themselves. */
export class Progress {
  readonly #options: ProgressOptions
  /** The clusters that it accepted: those that routes may name (rule 71). */
  #clusters: ResourceSet | undefined
  #drains: Drains = noDrains
  /** What it has of those that it has not accepted yet. */
  readonly #arrivals = new Arrivals()
  /** By type, the newest nonce whose ACK is no longer awaited. */
  readonly #timedOut = new Map<TypeUrl, number>()
  /** What the client had before this stream began, of types whose first answer here it has not accepted. */
  readonly #earlier = new Map<TypeUrl, readonly ResourceSet[]>()
  /** Those of these types whose first answer it rejected: it goes on with what it had. */
  readonly #refused = new Set<TypeUrl>()
  #earlierVersions: ReadonlyMap<TypeUrl, string> = new Map()
  #earlierUntilMs = 0
  #resumingUntilMs = 0
  /** It took clusters before this stream began. */
  #isResumed = false

  constructor(options: ProgressOptions) {
    this.#options = options
  }

  /** The client was here before, and goes on with what it had. */
  resume({ mayHold, accepted, clusters, drains }: Remembered, nowMs: number): void {
    this.#isResumed = clusters !== undefined
    this.#clusters = clusters
    this.#drains = drains
    for (const [typeUrl, sets] of mayHold) this.#earlier.set(typeUrl, sets)
    this.#earlierVersions = accepted
    this.#earlierUntilMs = nowMs + this.#options.transitionTimeoutMs
    this.#resumingUntilMs = nowMs + maxResumingMs(this.#options)
  }

  /**
   * The sets of a type that the client may have had when this stream began, the likeliest first. Empty where that is not
   * known, or does not fit to what it says. `statedVersion`: SotW.
   */
  earlierOf(typeUrl: TypeUrl, statedVersion: string | undefined): readonly ResourceSet[] {
    const sets = this.#earlier.get(typeUrl) ?? []
    if (statedVersion === undefined || sets.length === 0) return sets
    const left = { mayHold: this.#earlier, accepted: this.#earlierVersions }
    if (!isTrueTo(left, { typeUrl, versionInfo: statedVersion })) return []
    return sets.toSorted((a, b) => Number(b.version === statedVersion) - Number(a.version === statedVersion))
  }

  /** What is to be remembered of the client, for its next stream. */
  leave(protocol: Protocol, view: View, types: Iterable<AskedType>): Remembered {
    const mayHold = new Map(this.#earlier)
    const accepted = new Map(this.#earlierVersions)
    for (const { subscription, statedVersion } of types) {
      const { typeUrl, acked, mayHold: sets } = subscription
      // One that is cut off again and again before it answers must not make the list grow.
      mayHold.set(typeUrl, [...new Set([...(mayHold.get(typeUrl) ?? []), ...sets])].slice(-maxHeld))
      // Of what it rejected it may have taken the rest, and says what it had accepted before.
      if (acked !== undefined) accepted.set(typeUrl, statedVersion)
    }
    return { protocol, view, mayHold, accepted, clusters: this.#clusters, drains: this.#drains }
  }

  /**
   * The client was sent clusters: `after` is what it has of them then, `news` are those that it may lack in this form, and
   * `asked` the assignments that it asks for, if it has asked for any. Of its first ones its ACK says nothing more: nothing
   * waits for it.
   */
  noteClusters(after: Subscription, news: readonly Resource[], asked: NameSet | undefined): void {
    const before = this.#clusters
    this.#clusters ??= after.sent
    if (before !== undefined && before !== after.sent) this.#arrivals.noteClusters(after, news, before, asked)
  }

  /** The client was sent these, of a type other than clusters. */
  noteSent(after: Subscription, resources: readonly Resource[]): void {
    const { typeUrl } = after
    if (typeUrl === endpointType || typeUrl === secretType) this.#arrivals.noteSent(after, resources)
  }

  /** Nothing that the client asked for differs between what it may have and `set`. */
  noteUnchanged({ nacked }: Subscription, set: ResourceSet): void {
    this.#earlier.delete(set.typeUrl)
    if (set.typeUrl === clusterType && nacked === undefined) this.#clusters = set
  }

  noteVerdict(before: Subscription, after: Subscription, { kind, sent }: Verdict, nowMs: number): void {
    const { set, isComplete, lastPart, part } = sent
    // Of a split push the last part's verdict is that of the set (rule 19).
    if (set.typeUrl === clusterType && (isComplete || (kind === 'nack' && part === undefined))) {
      const rejected = after.nacked?.lastPart === lastPart ? after.nacked : undefined
      // Its first clusters count as accepted when they are sent: until it rejects them.
      const accepted = before.acked === undefined && !this.#isResumed ? undefined : this.#clusters
      this.#clusters =
        rejected === undefined ? set : clustersAfterNack(accepted ?? emptySet(clusterType), set, rejected.message)
    }
    if (set.typeUrl === clusterType) this.#arrivals.noteVerdict(after)
    else if (kind === 'ack' && isComplete) this.#arrivals.noteAccepted(before, after)
    if (kind === 'nack' && part === undefined && set.typeUrl !== clusterType && this.#earlier.has(set.typeUrl)) {
      this.#refused.add(set.typeUrl)
      return
    }
    if (before.mayHold === after.mayHold) return
    if (set.typeUrl === listenerType) {
      const replaced = before.mayHold.filter((old) => !after.mayHold.includes(old))
      this.#beginDrain([...(this.#earlier.get(listenerType) ?? []), ...replaced], set, nowMs)
    }
    this.#earlier.delete(set.typeUrl)
  }

  #beginDrain(before: readonly ResourceSet[], after: ResourceSet, nowMs: number): void {
    const { drainTimeMs } = this.#options
    if (drainTimeMs === 0) return
    for (const old of before) {
      this.#drains = withDrain(withoutEnded(this.#drains, nowMs), old, after, drainEnd(nowMs, drainTimeMs))
    }
  }

  /**
   * What the plan must know now, and when to look again though the client says nothing: where an ACK is awaited, or the end
   * of a drain. An ACK that is overdue counts as given, which the log tells.
   */
  stateOf(
    types: Iterable<AskedType>,
    nowMs: number,
    log: () => Log,
  ): { readonly client: ClientState; readonly lookAgainAtMs: number } {
    const mayHold: ResourceSet[] = []
    const unanswered: TypeUrl[] = []
    this.#drains = withoutEnded(this.#drains, nowMs)
    let lookAgainAtMs = this.#drains.nextMs
    if (this.#overdue().length > 0) {
      if (nowMs >= this.#earlierUntilMs) this.#goOnWithoutEarlier(log)
      else lookAgainAtMs = Math.min(lookAgainAtMs, this.#earlierUntilMs)
    }
    // A client that took clusters before asks for them late where some are warming, and takes no new ones until then.
    const isResuming = this.#isResumed && nowMs < this.#resumingUntilMs
    let clusters = isResuming ? this.#acceptedClusters() : undefined
    let clustersAwaited: readonly Sent[] | undefined
    let assignments: NameSet | undefined
    let isMute = false
    for (const [typeUrl, sets] of this.#earlier) if (canName(typeUrl)) mayHold.push(...sets)
    for (const { subscription, statedVersion } of types) {
      const { typeUrl, outstanding } = subscription
      if (typeUrl === endpointType) assignments = subscription.names
      if (!canName(typeUrl)) continue
      if (isUser(typeUrl) && statedVersion === '' && hasNothing(subscription) && !this.#earlier.has(typeUrl)) {
        unanswered.push(typeUrl)
      }
      const awaited: Sent[] = []
      let last: Sent | undefined
      for (const sent of outstanding) {
        const dueMs = sent.atMs + this.#options.transitionTimeoutMs
        if (nowMs < dueMs) {
          awaited.push(sent)
          lookAgainAtMs = Math.min(lookAgainAtMs, dueMs)
        } else {
          last = sent
          this.#goOnWithout(subscription, sent, nowMs, log)
        }
      }
      if (typeUrl === clusterType) {
        clustersAwaited = awaited
        isMute = last !== undefined
      }
      // Who asks for nothing any more has nothing.
      if (subscription.hasNamed && !subscription.isWildcard && subscription.names === noNames) continue
      // What came before the overdue one counts as replaced.
      const from = last === undefined ? 0 : Math.max(0, subscription.mayHold.lastIndexOf(last.set))
      for (let at = from; at < subscription.mayHold.length; at++) mayHold.push(subscription.mayHold[at] as ResourceSet)
    }
    if (clustersAwaited !== undefined) {
      clusters = this.#arrivals.seenIn(this.#acceptedClusters(), clustersAwaited, assignments, isMute)
    }
    // One that never asks for clusters is not held up by them for ever.
    else if (isResuming) lookAgainAtMs = Math.min(lookAgainAtMs, this.#resumingUntilMs)
    return { client: { clusters, mayHold, drains: this.#drains, unanswered: typesOf(unanswered) }, lookAgainAtMs }
  }

  #acceptedClusters(): readonly ResourceSet[] {
    const accepted = this.#clusters === undefined ? [] : [this.#clusters]
    return [...accepted, ...(this.#earlier.get(clusterType) ?? [])]
  }

  /** Of what it had earlier, the types that are not waited for without end. */
  #overdue(): readonly TypeUrl[] {
    return this.#earlier.size === 0 ? none : [...this.#earlier.keys()].filter((typeUrl) => !this.#refused.has(typeUrl))
  }

  #goOnWithoutEarlier(log: () => Log): void {
    const overdue = this.#overdue()
    const types = overdue.filter(canName).map(wordOf)
    if (types.length > 0)
      log().warn(
        { types },
        'not asked for or not accepted within the transition timeout after a reconnect: going on without',
      )
    this.#clusters = this.#earlier.get(clusterType)?.at(-1) ?? this.#clusters
    for (const typeUrl of overdue) this.#earlier.delete(typeUrl)
  }

  #goOnWithout({ typeUrl, mayHold }: Subscription, { nonce, set }: Sent, nowMs: number, log: () => Log): void {
    if ((this.#timedOut.get(typeUrl) ?? 0) >= Number(nonce)) return
    this.#timedOut.set(typeUrl, Number(nonce))
    const before = typeUrl === clusterType ? this.#clusters : mayHold[0]
    if (typeUrl === clusterType) this.#clusters = set
    if (typeUrl === listenerType) this.#beginDrain(mayHold.slice(0, Math.max(0, mayHold.lastIndexOf(set))), set, nowMs)
    const { changed, removed } = diffSets(before, set)
    const names = [...changed.map(({ name }) => name), ...removed]
    log().warn(
      { type: wordOf(typeUrl), version: set.version, nonce, names: names.slice(0, maxNames) },
      'no ACK within the transition timeout: going on without it',
    )
  }
}
