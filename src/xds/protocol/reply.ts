import type { ResourceSet } from '../../snapshot/resource-set.ts'
import type { Body, Encoding, Message } from './body.ts'
import type { Content, Question } from './content.ts'
import { noteSent, noteUnchanged, type Subscription } from './subscription.ts'

/** What one subscription is told so that its client has one set, and what it is then. */
export interface Reply {
  readonly question: Question
  readonly content: Content
  /** None, when there is nothing to say. */
  readonly messages: readonly Message[]
  readonly after: Subscription
}

/** How much older than its write a response may be in the books, in milliseconds. */
export const maxAgeMs = 5

interface Known {
  readonly subscription: Subscription
  readonly set: ResourceSet
  readonly encoding: Encoding
  readonly atMs: number
  readonly reply: Reply
}

/**
 * The last reply of each type. In a fan-out one stream after the other is as far as the one before it, shares its
 * subscription, and is told the same: it is computed for the first of them, and they go on sharing what follows.
 */
export class ReplyMemo {
  readonly #known = new Map<string, Known>()

  find(subscription: Subscription, set: ResourceSet, encoding: Encoding, nowMs: number): Reply | undefined {
    const known = this.#known.get(subscription.typeUrl)
    return known?.subscription === subscription &&
      known.set === set &&
      known.encoding === encoding &&
      nowMs - known.atMs <= maxAgeMs
      ? known.reply
      : undefined
  }

  note(subscription: Subscription, set: ResourceSet, encoding: Encoding, atMs: number, reply: Reply): void {
    this.#known.set(subscription.typeUrl, { subscription, set, encoding, atMs, reply })
  }
}

/** What a subscription is after it was told all of a body; `isSilent`: it is told nothing, for nothing of it concerns it. */
export function replyOf(
  subscription: Subscription,
  question: Question,
  body: Body,
  isSilent: boolean,
  nowMs: number,
): Reply {
  const { content } = body
  const set = question.to
  if (content.isWithheld) return { question, content, messages: [], after: subscription }
  if (isSilent) return { question, content, messages: [], after: noteUnchanged(subscription, set) }
  const messages = body.messages(Number(subscription.lastNonce))
  const lastPart = String(messages.at(-1)?.nonce)
  let after = subscription
  for (const { nonce: number, part } of messages) {
    const nonce = String(number)
    const isComplete = question.isComplete && nonce === lastPart
    const sent = { nonce, set, isComplete, lastPart, owed: question.owed, atMs: nowMs }
    after = noteSent(after, part === undefined ? sent : { ...sent, part })
  }
  return { question, content, messages, after }
}
