import type { TypeUrl } from '../../resource/type-url.ts'
import { emptySet, type ResourceSet } from '../../snapshot/resource-set.ts'
import { type NameSet, nameSetOf, noNames, type RequestedNames, unionNames } from './names.ts'

/** Resources that a client is to be sent whatever it has: all that it asked for, some, or none. */
export type Owed = 'all' | NameSet

/** A response that was handed to the socket and has no verdict yet. */
export interface Sent {
  readonly nonce: string
  /** What the client has when it took it. */
  readonly set: ResourceSet
  /**
   * False when its ACK does not mean that the client has `set`: it was part of a push that was split, and not the last;
   * or it held only names newly asked for while an older response stands rejected.
   */
  readonly isComplete: boolean
  /** The names in it, where its push was split: its rejection concerns them alone (rule 19). */
  readonly part?: readonly string[]
  /** Of the last part of its push: its own nonce, unless the push was split (rule 19). */
  readonly lastPart: string
  readonly owed: Owed
  /** On the clock of `performance.now()`. */
  readonly atMs: number
}

/**
 * What one stream asked of one type, and what its client has of it. Immutable. Holds references to shared sets, never
 * names or versions of its own, so that it does not grow with the snapshot.
 */
export interface Subscription {
  readonly typeUrl: TypeUrl
  readonly isWildcard: boolean
  /** Asked for by name, beside a wildcard too. */
  readonly names: NameSet
  /** It has named something once: from then on an empty list is no wildcard (SotW, rule 40). */
  readonly hasNamed: boolean
  /** SotW: the names as last written. */
  readonly requested: RequestedNames | undefined
  readonly owed: Owed
  /** An answer is due even if it is empty: Envoy's start waits for it (rules 34, 59). */
  readonly mustAnswer: boolean
  /** Of the last response; kept when everything is unsubscribed (rule 14). '' before the first. */
  readonly lastNonce: string
  /** Oldest first. */
  readonly outstanding: readonly Sent[]
  /** What the client was last brought to; undefined before the first answer. */
  readonly sent: ResourceSet | undefined
  /**
   * Of each resource the client has the version in one of these sets, if it asked for it: one set when all is
   * accepted, more while a response is unanswered or rejected. Empty: it has nothing.
   */
  readonly mayHold: readonly ResourceSet[]
  /** Delta: what the client said at the start of the stream that it has (rule 55), until its first ACK. */
  readonly initialVersions: ReadonlyMap<string, string> | undefined
  /** What the client last accepted as a whole. */
  readonly acked: ResourceSet | undefined
  /** The last rejection, until a later push is accepted; of a split push, what was said of all its parts. */
  readonly nacked: { readonly set: ResourceSet; readonly message: string; readonly lastPart: string } | undefined
  /** Sent for the asking in rejected responses: part of the next one. */
  readonly doubtful: Owed
}

/** Responses that never get their verdict must not make the list grow. */
const maxOutstanding = 64

/** Sets that a client may have of a resource's version. More are the mark of one that answers nothing. */
export const maxHeld = 8

export function newSubscription(typeUrl: TypeUrl): Subscription {
  return {
    typeUrl,
    isWildcard: false,
    names: noNames,
    hasNamed: false,
    requested: undefined,
    owed: noNames,
    mustAnswer: false,
    lastNonce: '',
    outstanding: [],
    sent: undefined,
    mayHold: [],
    initialVersions: undefined,
    acked: undefined,
    nacked: undefined,
    doubtful: noNames,
  }
}

export function isOwing(subscription: Subscription): boolean {
  return subscription.mustAnswer || subscription.owed !== noNames
}

export function addOwed(a: Owed, b: Owed): Owed {
  return a === 'all' || b === 'all' ? 'all' : unionNames(a, b)
}

/** True if the client asked for it: by name, by a glob, or by wildcard. */
export function isAsked(subscription: Pick<Subscription, 'isWildcard' | 'names'>, name: string): boolean {
  return subscription.isWildcard || subscription.names.matches(name)
}

/** With the acceptance of a newer response the client told that it had rejected an older one. */
export interface LateRejection {
  readonly message: string
  /** Those that it may be about, oldest first. */
  readonly older: readonly Sent[]
}

/** What the client answered to one response. */
export type Verdict =
  | { readonly kind: 'ack'; readonly sent: Sent; readonly late?: LateRejection }
  | { readonly kind: 'nack'; readonly sent: Sent; readonly message: string }

type Draft = { -readonly [Key in keyof Subscription]: Subscription[Key] }

/**
 * A copy to change before anybody else sees it. With every push and ACK some are made: field by field V8 copies ten times
 * as fast as by a spread with other values after it.
 */
function draftOf(subscription: Subscription): Draft {
  return {
    typeUrl: subscription.typeUrl,
    isWildcard: subscription.isWildcard,
    names: subscription.names,
    hasNamed: subscription.hasNamed,
    requested: subscription.requested,
    owed: subscription.owed,
    mustAnswer: subscription.mustAnswer,
    lastNonce: subscription.lastNonce,
    outstanding: subscription.outstanding,
    sent: subscription.sent,
    mayHold: subscription.mayHold,
    initialVersions: subscription.initialVersions,
    acked: subscription.acked,
    nacked: subscription.nacked,
    doubtful: subscription.doubtful,
  }
}

/** After a response went out. Recorded before the write, or a fast ACK would look unknown (rule 12). */
export function noteSent(subscription: Subscription, sent: Sent): Subscription {
  const { mayHold } = subscription
  const held = mayHold.at(-1) === sent.set ? mayHold : [...mayHold.filter((set) => set !== sent.set), sent.set]
  const noted = draftOf(subscription)
  noted.owed = noNames
  noted.mustAnswer = false
  if (sent.isComplete) noted.doubtful = noNames
  noted.lastNonce = sent.nonce
  noted.outstanding =
    subscription.outstanding.length === 0 ? [sent] : [...subscription.outstanding, sent].slice(-maxOutstanding)
  noted.sent = sent.set
  // The oldest is what was accepted last; of the others the newest count.
  noted.mayHold = held.length <= maxHeld ? held : [held[0] as ResourceSet, ...held.slice(2)]
  return noted
}

/** When nothing of what the client asked for differs between all that it may hold and `set`: it has `set`. */
export function noteUnchanged(subscription: Subscription, set: ResourceSet): Subscription {
  if (subscription.sent === set && !isOwing(subscription)) return subscription
  const mayHold = subscription.nacked === undefined ? [set] : subscription.mayHold
  return { ...subscription, owed: noNames, sent: set, mayHold }
}

const none: readonly Sent[] = []

/** The response was accepted, and with it the older ones that it contained. Of a split push, the last part counts. */
export function noteAck(subscription: Subscription, sent: Sent): Subscription {
  const { outstanding, nacked } = subscription
  const noted = draftOf(subscription)
  noted.outstanding = outstanding.length === 1 ? none : outstanding.slice(outstanding.indexOf(sent) + 1)
  if (!sent.isComplete) return noted
  settle(noted, sent)
  // With another part rejected the client lacks that one's resources: they are doubtful.
  if (nacked?.lastPart === sent.lastPart) return noted
  noted.acked = sent.set
  noted.nacked = undefined
  return noted
}

/** The client has what `sent` brought it to, save what is doubtful. */
function settle(noted: Draft, { set }: Sent): void {
  const { outstanding } = noted
  // With nothing later, `sent` may be newer than what was acknowledged, without a difference that concerns the client.
  noted.mayHold = outstanding.length === 0 ? [set] : [...new Set([set, ...outstanding.map((later) => later.set)])]
  noted.initialVersions = undefined
}

const settledStates = new WeakMap<ResourceSet, Subscription[]>()

/** States of one set that are kept to be shared: as many as there are ways to ask for it, in a fleet of one kind. */
const maxSettled = 32

/**
 * The same state as one object for all clients that are in it: what each of them is told and what it answers is then
 * the same, too, and computed once. Only of states in which nothing is under way.
 */
export function sharedSubscription(subscription: Subscription): Subscription {
  const { sent, outstanding } = subscription
  if (sent === undefined || outstanding.length > 0) return subscription
  let states = settledStates.get(sent)
  if (states === undefined) {
    states = []
    settledStates.set(sent, states)
  }
  for (const state of states) if (isSameState(state, subscription)) return state
  states.unshift(subscription)
  if (states.length > maxSettled) states.pop()
  return subscription
}

function isSameState(a: Subscription, b: Subscription): boolean {
  return (
    a.lastNonce === b.lastNonce &&
    a.names === b.names &&
    a.requested === b.requested &&
    a.owed === b.owed &&
    a.acked === b.acked &&
    a.isWildcard === b.isWildcard &&
    a.hasNamed === b.hasNamed &&
    a.mustAnswer === b.mustAnswer &&
    a.nacked === b.nacked &&
    a.doubtful === b.doubtful &&
    a.initialVersions === b.initialVersions &&
    a.mayHold.length === b.mayHold.length &&
    a.mayHold.every((set, index) => set === b.mayHold[index])
  )
}

/** The response was rejected, but the client says that it took all of it save some resources: `set` is what it has then. */
export function noteTaken(subscription: Subscription, set: ResourceSet): Subscription {
  const noted = draftOf(subscription)
  noted.mayHold = [set, ...subscription.outstanding.map((later) => later.set)]
  noted.initialVersions = undefined
  noted.sent = set
  noted.acked = set
  noted.nacked = undefined
  noted.doubtful = noNames
  return noted
}

/** After it is known better what the client may have. */
export function noteHeld(subscription: Subscription, mayHold: readonly ResourceSet[], doubtful: Owed): Subscription {
  const noted = draftOf(subscription)
  noted.mayHold = mayHold
  noted.doubtful = doubtful
  return noted
}

/** The response was rejected: of what it held the client may have some (rule 31), so nothing is forgotten. */
export function noteNack(subscription: Subscription, sent: Sent, message: string): Subscription {
  const { set, lastPart, part } = sent
  const before = subscription.nacked
  const noted = draftOf(subscription)
  noted.outstanding = subscription.outstanding.filter((other) => other !== sent)
  noted.nacked = { set, lastPart, message: before?.lastPart === lastPart ? `${before.message}\n${message}` : message }
  noted.doubtful = addOwed(subscription.doubtful, part === undefined ? sent.owed : nameSetOf(part))
  if (part !== undefined && sent.isComplete) settle(noted, sent)
  // While nothing was accepted, it may have nothing of it.
  else if (noted.acked === undefined && noted.initialVersions === undefined) noted.mayHold = orNothing(noted)
  return noted
}

function orNothing({ typeUrl, mayHold }: Draft): readonly ResourceSet[] {
  const nothing = emptySet(typeUrl)
  return mayHold[0] === nothing ? mayHold : [nothing, ...mayHold]
}
