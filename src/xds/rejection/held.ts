import type { Resource } from '../../resource/resource.ts'
import type { TypeUrl } from '../../resource/type-url.ts'
import { diffSets, type ResourceSet } from '../../snapshot/resource-set.ts'
import { isAsked, type Sent, type Subscription } from '../protocol/subscription.ts'
import { IdentityMemo } from '../transition/identity-memo.ts'
import type { Rejected } from './blame.ts'
import type { StandingRejection } from './rejection-book.ts'

/** What a rejected response held: the same object for all clients in the same state. */
export interface Held {
  readonly typeUrl: TypeUrl
  /** Of all that it may have held: a client may have unsubscribed from what it rejects since. */
  readonly names: ReadonlySet<string>
  /** By name, those that the client had not accepted before. */
  readonly new: ReadonlyMap<string, Resource>
}

const helds = new IdentityMemo<Held>()

/** Stand in a memo's keys for what is no object. */
const marks = { all: {}, none: {}, wildcard: {}, named: {}, complete: {}, partial: {} }

/** `subscription`: after the rejection of `sent`. */
export function heldIn(subscription: Subscription, sent: Sent): Held {
  const { set, owed, part, isComplete } = sent
  const { isWildcard, names } = subscription
  // Before the first ACK: what it had when it came, where that is known.
  const [oldest] = subscription.mayHold
  const accepted = subscription.acked ?? (oldest === set ? undefined : oldest)
  const keys = [
    set,
    accepted ?? marks.none,
    isWildcard ? marks.wildcard : marks.named,
    names,
    owed === 'all' ? marks.all : owed,
    part ?? marks.none,
    isComplete ? marks.complete : marks.partial,
  ]
  return helds.get(keys, () => findHeld(subscription, sent, accepted))
}

function findHeld(
  subscription: Subscription,
  { set, owed, part, isComplete }: Sent,
  accepted: ResourceSet | undefined,
): Held {
  const only = part === undefined ? undefined : new Set(part)
  const wasOwed = (name: string): boolean => owed === 'all' || owed.matches(name)
  const members = [...set.values()]
  const all = members.filter(({ name }) => isAsked(subscription, name) && (only?.has(name) ?? true))
  // Beside an older rejection only names newly asked for are sent.
  const isOnlyOwed = part === undefined && !isComplete
  const fresh = isOnlyOwed || accepted === undefined ? all : changedIn(accepted, set, all, wasOwed)
  const news = isOnlyOwed ? fresh.filter(({ name }) => wasOwed(name)) : fresh
  return {
    typeUrl: set.typeUrl,
    names: new Set(part ?? members.map(({ name }) => name)),
    new: new Map(news.filter(({ isReady }) => isReady).map((resource) => [resource.name, resource])),
  }
}

function changedIn(
  accepted: ResourceSet,
  set: ResourceSet,
  all: readonly Resource[],
  wasOwed: (name: string) => boolean,
): readonly Resource[] {
  const changed = new Set(diffSets(accepted, set).changed.map(({ name }) => name))
  return all.filter(({ name }) => changed.has(name) || wasOwed(name))
}

/** Whom a rejection may be about. */
export interface Suspicion extends Rejected {
  /** In the order of `suspects`, which are their names. */
  readonly resources: readonly Resource[]
}

/** By the names of those that were rejected before. */
const suspicions = new WeakMap<Held, Map<string, Suspicion>>()

/** Of one response: what some of a fleet rejected before the others did. */
const maxSuspicions = 64

/** Of what was new to a client, all that its node had not rejected `before`: the same object for all that had the same. */
export function suspicionOf(held: Held, before: readonly StandingRejection[]): Suspicion {
  const old = before.filter(({ resource }) => isNewIn(held, resource)).map(({ resource }) => resource.name)
  const key = old.sort().join('\0')
  const known = suspicions.get(held) ?? new Map<string, Suspicion>()
  suspicions.set(held, known)
  let suspicion = known.get(key)
  if (suspicion === undefined) {
    if (known.size >= maxSuspicions) known.clear()
    const excluded = new Set(old)
    const resources = [...held.new.values()].filter(({ name }) => !excluded.has(name))
    const suspects = resources.map(({ name }) => name)
    suspicion = { typeUrl: held.typeUrl, sent: held.names, suspects, resources }
    known.set(key, suspicion)
  }
  return suspicion
}

function isNewIn({ typeUrl, new: news }: Held, { name, version, typeUrl: other }: Resource): boolean {
  return typeUrl === other && news.get(name)?.version === version
}
