import { createInterner } from '../../resource/interner.ts'
import { buildUnreadyResource, type Resource } from '../../resource/resource.ts'
import type { TypeUrl } from '../../resource/type-url.ts'
import { diffSets, internSet, type ResourceSet } from '../../snapshot/resource-set.ts'
import { nameSetOf, withoutNames } from '../protocol/names.ts'
import { maxAgeMs } from '../protocol/reply.ts'
import {
  isAsked,
  type LateRejection,
  noteHeld,
  noteTaken,
  type Sent,
  type Subscription,
  type Verdict,
} from '../protocol/subscription.ts'
import type { Protocol } from '../stream-event.ts'
import { setIn, type View } from '../transition/view.ts'
import { isAddressTaken } from './address-retries.ts'
import { acquit, type Bisection, beginBisection, isHeldBack, judge, probe, suspect } from './bisection.ts'
import { blame, sharedBlame } from './blame.ts'
import { heldIn, suspicionOf } from './held.ts'
import { nackMessage } from './nack-message.ts'
import { type Quarantine, type Rejection, targetFor, withoutRejected } from './quarantine.ts'
import type { RejectionRecord, StandingRejection } from './rejection-book.ts'

/** Of a subscription, what a verdict on it may mean. */
export interface Judged {
  /** After the verdict. */
  readonly subscription: Subscription
  readonly protocol: Protocol
  /** SotW: the version of this type that it states; '' for none. */
  readonly statedVersion: string
  /** Until its first ACK: the sets that it may have had at the start of the stream, where that is known. */
  readonly earlier: readonly ResourceSet[]
  readonly verdict: Verdict
}

export interface Finding {
  readonly found: readonly StandingRejection[]
  readonly subscription: Subscription
}

/** A search, and what is sent of the suspects meanwhile. */
interface Search {
  readonly bisection: Bisection
  readonly fallbackOf: (resource: Resource) => Resource | undefined
}

/**
 * What one stream makes of its client's rejections: finds the resources that they are about (rule 102), and keeps them as
 * the client accepted them, while all others go on (rules 30, 61, 103). Exists on streams of clients that rejected something.
 */
export class StreamRejections {
  readonly #record: RejectionRecord
  readonly #client: string
  /** What the client had when it had last answered all: what waits for a rejected resource stays as it is there. */
  #steady: View | undefined
  readonly #searches = new Map<TypeUrl, Search>()
  #snapshot: View | undefined
  /** What that was when the target was last asked for, if it changed since. */
  #before: View | undefined
  /** What is kept from the client now. */
  #kept: Quarantine = []
  /** Those that it follows from, if nothing else does. */
  #quarantined: readonly StandingRejection[] | undefined
  #retryAtMs = Number.POSITIVE_INFINITY

  /**
   * `client`: its key. `snapshot`: what it should have, were nothing rejected; undefined while there is nothing to serve.
   */
  constructor(record: RejectionRecord, client: string, snapshot: View | undefined) {
    this.#record = record
    this.#client = client
    this.#steady = record.viewOf(client)
    this.#snapshot = snapshot
    record.addressRetries.noteStream()
  }

  /** Of the snapshot, what the client rejected. */
  get standing(): readonly StandingRejection[] {
    return this.#record.rejections.filter(({ resource }) => this.#isWanted(resource))
  }

  /** It was rejected, and what the client has in its place was not sent by this server. */
  isUnknown(typeUrl: TypeUrl, name: string): boolean {
    return this.#record.rejections.some(
      ({ resource, accepted }) => resource.typeUrl === typeUrl && resource.name === name && accepted?.isReady === false,
    )
  }

  /** When the stream must look again though its client says nothing. */
  get dueMs(): number {
    let dueMs = Number.POSITIVE_INFINITY
    for (const { bisection } of this.#searches.values()) {
      if (bisection.tried.size === 0) dueMs = Math.min(dueMs, bisection.dueMs)
    }
    return dueMs
  }

  /** When something that the client rejected is tried again though nothing changes; it has all else until then. */
  get retryAtMs(): number {
    return this.#retryAtMs
  }

  /** Takes a newer snapshot. */
  follow(snapshot: View, nowMs: number): void {
    for (const [typeUrl, search] of this.#searches) {
      const before = setIn(this.#snapshot ?? snapshot, typeUrl)
      this.#keep(typeUrl, search, this.#followed(search.bisection, before, snapshot, nowMs))
    }
    this.#before ??= this.#snapshot
    this.#snapshot = snapshot
  }

  /** What comes back to a rejected version stays as the client has it now: if it was gone, it has nothing of it. */
  #noteReturns(snapshot: View, view: View): void {
    const before = this.#before
    this.#before = undefined
    if (before === undefined || before === snapshot) return
    for (const rejection of this.#record.rejections) {
      const { typeUrl, name, version } = rejection.resource
      if (snapshot.sets.get(typeUrl)?.get(name)?.version !== version) continue
      if (before.sets.get(typeUrl)?.get(name)?.version === version) continue
      const accepted = view.sets.get(typeUrl)?.get(name)
      if (accepted === rejection.accepted || (accepted !== undefined && this.#record.has(accepted))) continue
      this.#record.add({ ...rejection, accepted, since: new Date().toISOString() }, this.#isWanted)
    }
  }

  /** The client had answered all, and has this. */
  noteSteady(view: View): void {
    this.#steady = view
    this.#record.noteView(this.#client, view)
  }

  /** What a delta client has, by what it says at the start of a stream. */
  held(typeUrl: TypeUrl, stated: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
    return this.#record.statedBy(this.#client).correct(typeUrl, stated)
  }

  /** What the plan may start from: nothing that was rejected. */
  withoutRejected(view: View): View {
    return withoutRejected(view, this.#kept)
  }

  /** What the client should have in the end. `view`: what it is to have now. */
  target(view: View | undefined, nowMs: number): View | undefined {
    const snapshot = this.#snapshot
    if (snapshot === undefined) return undefined
    if (view !== undefined) this.#noteReturns(snapshot, view)
    for (const [typeUrl, search] of this.#searches) {
      this.#searches.set(typeUrl, { ...search, bisection: probe(search.bisection, nowMs) })
    }
    const target = this.#targetNow(snapshot, view)
    const { resources, nextMs } = this.#record.addressRetries.due(this.#record.rejections, snapshot, target, nowMs)
    this.#retryAtMs = nextMs
    if (resources.length === 0) return target
    for (const resource of resources) this.#record.release(resource)
    return this.#targetNow(snapshot, view)
  }

  #targetNow(snapshot: View, view: View | undefined): View {
    this.#kept = this.#quarantine()
    return targetFor(snapshot, this.#kept, this.#steady ?? view ?? snapshot, view)
  }

  /** After a rejection: is there anything to say but what is kept from the client? */
  hasNews(rejected: Subscription, set: ResourceSet): boolean {
    const subscription = this.withoutKept(rejected, set)
    if (subscription === rejected) return true
    const isNews = (name: string): boolean => isAsked(subscription, name)
    const { mayHold, doubtful } = subscription
    for (const held of mayHold) {
      const { changed, removed } = diffSets(held, set)
      if (changed.some(({ name }) => isNews(name)) || removed.some(isNews)) return true
    }
    const again = doubtful === 'all' ? [...set.values()].map(({ name }) => name) : doubtful.names
    return again.some((name) => isNews(name) && set.get(name) !== undefined)
  }

  /** A subscription with a rejected response, as if that had not held what is kept from the client. `set`: what it is to have. */
  withoutKept(subscription: Subscription, set: ResourceSet): Subscription {
    const { typeUrl, acked, nacked } = subscription
    const kept = this.#kept.filter((one) => one.typeUrl === typeUrl && this.#isWanted(one))
    if (kept.length === 0) return subscription
    const mayHold = subscription.mayHold.map((held) => {
      if (held === acked) return held
      // Of what it was sent before and did not reject it may have any.
      const masked = kept.filter(({ name, version }) => {
        const sent = held.get(name)
        return held === nacked?.set || sent?.version === version || (sent !== undefined && this.#record.has(sent))
      })
      return held.with(new Map(masked.map(({ name }) => [name, set.get(name)])))
    })
    const { doubtful } = subscription
    const left = doubtful === 'all' ? doubtful : withoutNames(doubtful, nameSetOf(kept.map(({ name }) => name)))
    return noteHeld(subscription, mayHold, left)
  }

  /** It is in the snapshot. */
  readonly #isWanted = ({ typeUrl, name, version }: Omit<Rejection, 'accepted'>): boolean => {
    return this.#snapshot?.sets.get(typeUrl)?.get(name)?.version === version
  }

  /** Takes a verdict; returns what was found to be rejected by it, and the subscription as it is then. */
  note(judged: Judged, nowMs: number, at: Date): Finding {
    const { verdict, subscription, protocol } = judged
    const { sent } = verdict
    const stated = protocol === 'delta' ? this.#record.statedBy(this.#client) : undefined
    if (verdict.kind === 'nack') {
      const finding = this.#noteNack(judged, verdict.message, nowMs, at)
      stated?.noteNack(
        subscription,
        sent,
        finding.subscription === subscription ? undefined : finding.subscription.acked,
      )
      return finding
    }
    if (sent.isComplete && subscription.nacked === undefined) stated?.noteAck(sent.set)
    const search = this.#searches.get(subscription.typeUrl)
    if (search === undefined || !sent.isComplete || subscription.nacked !== undefined) {
      return { found: [], subscription }
    }
    return { found: this.#judge(search, subscription, sent, undefined, nowMs, at), subscription }
  }

  /** Takes what a client told late, after it had accepted `set`: what it names was rejected in the form that it had before. */
  noteLate({ message, older }: LateRejection, set: ResourceSet, at: Date): readonly StandingRejection[] {
    return older.flatMap((sent) => {
      const changed = diffSets(set, sent.set).changed.filter((resource) => !this.#record.has(resource))
      const names = changed.map(({ name }) => name)
      const found = blame(message, { typeUrl: set.typeUrl, sent: new Set(names), suspects: names })
      if (found.kind !== 'named') return []
      return changed.flatMap((resource) => {
        const reason = found.reasons.get(resource.name)
        return reason === undefined ? [] : this.#reject(resource, set.get(resource.name), reason, at)
      })
    })
  }

  #noteNack(judged: Judged, message: string, nowMs: number, at: Date): Finding {
    const { subscription, verdict } = judged
    const { typeUrl } = subscription
    const { sent } = verdict
    const search = this.#searches.get(typeUrl)
    const suspicion = suspicionOf(heldIn(subscription, sent), this.#record.rejections)
    const { resources: suspects } = suspicion
    const found = sharedBlame(message, suspicion)
    if (found.kind === 'named') {
      const isTaken = found.isRestApplied && sent.part === undefined && sent.isComplete
      const instead = new Map<string, Resource | undefined>()
      const rejected = [...found.reasons].flatMap(([name, reason]) => {
        const resource = sent.set.get(name)
        if (resource === undefined) return []
        const accepted = this.#fallback(judged, resource)
        instead.set(name, accepted)
        // Else the whole response stands rejected.
        if (isTaken && isAddressTaken(resource, reason)) {
          const beside = setIn(this.#snapshot ?? { sets: new Map() }, typeUrl)
          this.#record.addressRetries.note(resource, sent.set, beside, nowMs)
        }
        return this.#reject(resource, accepted, reason, at)
      })
      if (search !== undefined) {
        this.#keep(typeUrl, search, acquit(search.bisection, new Set(found.reasons.keys()), nowMs))
      }
      const taken = isTaken ? noteTaken(subscription, internSet(sent.set.with(instead))) : subscription
      return { found: rejected, subscription: taken }
    }
    if (search !== undefined)
      return { found: this.#judge(search, subscription, sent, message, nowMs, at), subscription }
    const fallbackOf = (resource: Resource): Resource | undefined => this.#fallback(judged, resource)
    // Where nobody knows what the client has, nothing can be left out to see what it says: then the type stays as it is.
    const isKnown = suspects.every((resource) => fallbackOf(resource)?.isReady !== false)
    if (suspects.length > 1 && isKnown) {
      const bisection = beginBisection(suspects, found.kind === 'suspected' ? found.names : [], message, nowMs)
      this.#keep(typeUrl, { bisection, fallbackOf }, this.#followed(bisection, sent.set, this.#snapshot, nowMs))
    }
    return { found: [], subscription }
  }

  #judge(
    search: Search,
    subscription: Subscription,
    { set, atMs }: Sent,
    message: string | undefined,
    nowMs: number,
    at: Date,
  ): readonly StandingRejection[] {
    // What it asks for no more it took no notice of: it says nothing of that, be it guilty or not.
    const unasked = [...search.bisection.suspects.keys()].filter((name) => !isAsked(subscription, name))
    const bisection = unasked.length === 0 ? search.bisection : acquit(search.bisection, new Set(unasked), nowMs)
    if (bisection === undefined) {
      this.#keep(set.typeUrl, search, undefined)
      return []
    }
    // Of the others it says as much as before.
    const { sinceMs } = search.bisection
    const step = judge({ ...bisection, sinceMs }, { set, sentAtMs: atMs + maxAgeMs, message }, nowMs)
    this.#keep(set.typeUrl, search, step.bisection)
    return step.found.flatMap((one) => {
      const reason = nackMessage(set.typeUrl, one.message)
      return this.#reject(one.resource, search.fallbackOf(one.resource), reason, at)
    })
  }

  #keep(typeUrl: TypeUrl, search: Search, bisection: Bisection | undefined): void {
    if (bisection === undefined) this.#searches.delete(typeUrl)
    else this.#searches.set(typeUrl, { ...search, bisection })
  }

  #reject(resource: Resource, accepted: Resource | undefined, message: string, at: Date): readonly StandingRejection[] {
    const rejection = { resource, accepted, message, since: at.toISOString() }
    this.#record.add(rejection, this.#isWanted)
    return [rejection]
  }

  /** What the client has of a rejected resource: what it accepted last, or else what it was sent before and did not reject. */
  #fallback(judged: Judged, rejected: Resource): Resource | undefined {
    const { acked, mayHold } = judged.subscription
    const { name, version } = rejected
    // What it accepted last, it may have let go since, and what that names is gone then: see `noteUnchanged`.
    const last = acked === undefined || mayHold.includes(acked) ? acked : mayHold[0]
    for (const set of last === undefined ? mayHold.toReversed() : [last, ...mayHold.toReversed()]) {
      const before = set.get(name)
      if (before !== undefined && before.version !== version && !this.#record.has(before)) return before
    }
    const { mayHave, known } = cameWith(judged, name)
    const kept = known.find((resource) => resource.version !== version && !this.#record.has(resource))
    if (kept !== undefined) return kept
    // What stands in the set that was accepted and was rejected since was not asked for then.
    if (!mayHave) return this.#record.standIn(last?.get(name)?.version === version ? undefined : last?.get(name))
    // It has one that is not known here: it must keep that, and absence could take it away.
    return buildUnreadyResource({ ...rejected, version: 'unknown' })
  }

  /** What is suspected and changes is suspected in its new form; so is what changes beside it, for it would blur the verdicts. */
  #followed(
    bisection: Bisection,
    before: ResourceSet,
    snapshot: View | undefined,
    nowMs: number,
  ): Bisection | undefined {
    if (snapshot === undefined) return bisection
    const { changed, removed } = diffSets(before, setIn(snapshot, before.typeUrl))
    const news = changed.filter((resource) => !this.#record.has(resource))
    const left = removed.length === 0 ? bisection : acquit(bisection, new Set(removed), nowMs)
    return left === undefined || news.length === 0 ? left : suspect(left, news, nowMs)
  }

  #quarantine(): Quarantine {
    const known = this.#record.rejections
    // Without searches nothing else can have changed it.
    if (this.#quarantined === known && this.#searches.size === 0) return this.#kept
    this.#quarantined = this.#searches.size === 0 ? known : undefined
    const rejections = known.map(({ resource, accepted }) => asRejection(resource, this.#record.standIn(accepted)))
    for (const { bisection, fallbackOf } of this.#searches.values()) {
      for (const resource of bisection.suspects.values()) {
        if (isHeldBack(bisection, resource.name)) rejections.push(asRejection(resource, fallbackOf(resource)))
      }
    }
    const key = rejections.map((one) => `${one.typeUrl}\0${one.name}\0${one.version}\0${one.accepted?.version ?? ''}\0`)
    return intern(key.sort().join(''), rejections)
  }
}

/** Of a name, what a client had when its stream began: whether it may have had one that is not known, and what it was, the likeliest first. */
function cameWith(
  { subscription: { acked, initialVersions }, protocol, statedVersion, earlier }: Judged,
  name: string,
): { readonly mayHave: boolean; readonly known: readonly Resource[] } {
  const known = [...new Set(earlier.flatMap((set) => set.get(name) ?? []))]
  if (protocol === 'delta') {
    const version = initialVersions?.get(name)
    return { mayHave: version !== undefined, known: known.filter((resource) => resource.version === version) }
  }
  const mayLack = earlier.some((set) => set.get(name) === undefined)
  return { mayHave: statedVersion !== '' && acked === undefined && !mayLack, known }
}

const intern = createInterner<Quarantine>()

function asRejection({ typeUrl, name, version }: Resource, accepted: Resource | undefined): Rejection {
  return { typeUrl, name, version, accepted }
}
