import type { DeltaRequest } from '../../resource/discovery-envelope.ts'
import { nameSetOf, noNames, unionNames, withoutNames } from './names.ts'
import type { EmptyListRule, Received } from './sotw.ts'
import {
  addOwed,
  newSubscription,
  noteAck,
  noteNack,
  type Owed,
  type Subscription,
  type Verdict,
} from './subscription.ts'

/**
 * Takes one `DeltaDiscoveryRequest` of a type: subscriptions first, then unsubscriptions (rule 64), and apart from them
 * the verdict on the response of its nonce, whatever that is (rules 10, 62, 63). A name subscribed to is owed even if
 * the client has it (rule 51), save those that its first request lists with a version (rule 55).
 */
export function receiveDelta(before: Subscription | undefined, request: DeltaRequest, rule: EmptyListRule): Received {
  const asked = before === undefined ? firstAsked(request, rule) : nextAsked(before, request)
  const isChanged = before === undefined || asked.isWildcard !== before.isWildcard || asked.names !== before.names
  const sent = asked.outstanding.find(({ nonce }) => nonce === request.responseNonce)
  if (sent === undefined) return { subscription: asked, verdict: undefined, isChanged, isRepeated: false }
  const { errorDetail } = request
  const verdict: Verdict =
    errorDetail === undefined ? { kind: 'ack', sent } : { kind: 'nack', sent, message: errorDetail.message }
  const subscription = errorDetail === undefined ? noteAck(asked, sent) : noteNack(asked, sent, errorDetail.message)
  return { subscription, verdict, isChanged, isRepeated: false }
}

/** An unsubscription does not name anything: a first request with nothing else is a wildcard still (rule 43). */
function firstAsked(request: DeltaRequest, rule: EmptyListRule): Subscription {
  const isEmpty = request.subscribe.length === 0
  const { initialVersions } = request
  const subscribed = nameSetOf(request.subscribe)
  const fresh = newSubscription(request.typeUrl)
  const subscription: Subscription = {
    ...fresh,
    isWildcard: isEmpty ? rule.isWildcardWhenEmpty : request.subscribe.includes('*'),
    names: subscribed,
    hasNamed: !isEmpty,
    initialVersions: initialVersions.size > 0 ? initialVersions : undefined,
    // A name with a version is compared with it, so that what the client has is not sent again.
    owed: initialVersions.size === 0 ? subscribed : nameSetOf(subscribed.names.filter((n) => !initialVersions.has(n))),
  }
  const left = unsubscribe(subscription, request.unsubscribe)
  return { ...left, mustAnswer: left.isWildcard || isEmpty }
}

function nextAsked(before: Subscription, request: DeltaRequest): Subscription {
  if (request.subscribe.length === 0 && request.unsubscribe.length === 0) return before
  const subscribed = nameSetOf(request.subscribe)
  const isNewWildcard = !before.isWildcard && request.subscribe.includes('*')
  // Beside a wildcard of the legacy kind too, a name is added and takes nothing away (rule 42).
  const subscription: Subscription = {
    ...before,
    isWildcard: before.isWildcard || isNewWildcard,
    names: unionNames(before.names, subscribed),
    hasNamed: before.hasNamed || request.subscribe.length > 0,
    owed: isNewWildcard ? 'all' : addOwed(before.owed, subscribed),
    mustAnswer: before.mustAnswer || isNewWildcard,
  }
  return unsubscribe(subscription, request.unsubscribe)
}

function unsubscribe(subscription: Subscription, unsubscribed: readonly string[]): Subscription {
  if (unsubscribed.length === 0) return subscription
  const { owed, names } = subscription
  const isWildcard = subscription.isWildcard && !unsubscribed.includes('*')
  // Names never asked for are ignored (rules 45, 54).
  const left = nameSetOf(nameSetOf(unsubscribed).names.filter((name) => names.has(name)))
  let owedNow: Owed = owed
  // What the wildcard still covers must be told once more: the client may have dropped it (rule 44).
  if (isWildcard) owedNow = addOwed(owed, left)
  else if (owed !== 'all') owedNow = withoutNames(owed, left)
  return { ...subscription, isWildcard, names: left === noNames ? names : withoutNames(names, left), owed: owedNow }
}
