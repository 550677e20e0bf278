import { resourceTypes, wordOf } from '../resource/type-url.ts'
import type { ResourceSet } from '../snapshot/resource-set.ts'
import { canSendBy } from './answer.ts'
import type { Conversation } from './conversation.ts'
import { Heart } from './flow/heart.ts'
import type { Encoding } from './protocol/body.ts'
import type { Question } from './protocol/content.ts'
import { expiringIn, heartbeatContent, isExpiring } from './protocol/heartbeat.ts'
import { type NameSet, nameSetOf, noNames } from './protocol/names.ts'
import type { Request } from './protocol/request-reader.ts'
import { addOwed, type Subscription, sharedSubscription } from './protocol/subscription.ts'
import { nackMessage } from './rejection/nack-message.ts'
import { setIn, type View } from './transition/view.ts'
import type { TypeState } from './type-book.ts'

const hostType = resourceTypes.virtualHost.typeUrl

/** A TTL is told in delta, and in SotW to a client that knows the wrapper it goes in (rule 81). */
export function needsPulse(encoding: Encoding, view: View): boolean {
  return encoding !== 'sotw' && isExpiring(view)
}

/** Tells one client again and again what expires in it (rules 81–85). Exists on streams whose clients have any such thing. */
export class Pulse {
  readonly #stream: Conversation
  readonly #encoding: Encoding
  readonly #heart: Heart

  constructor(stream: Conversation, encoding: Encoding, onBeat: () => void) {
    this.#stream = stream
    this.#encoding = encoding
    this.#heart = new Heart(stream.deps.clock, stream.id, onBeat)
  }

  /** The client is to have this now. */
  keepAlive(view: View): void {
    for (const { subscription } of this.#stream.types.values()) {
      const { typeUrl } = subscription
      const expiring = expiringIn(setIn(view, typeUrl), subscription)
      if (expiring === undefined) this.#heart.drop(typeUrl)
      else this.#heart.keep(typeUrl, expiring.periodMs, subscription.initialVersions !== undefined)
    }
    this.#heart.arm()
  }

  /** Says what is due. */
  beat(view: View): void {
    for (const state of this.#stream.types.values()) {
      const { typeUrl } = state.subscription
      if (!this.#heart.isDue(typeUrl)) continue
      const set = setIn(view, typeUrl)
      const expiring = expiringIn(set, state.subscription)
      if (expiring === undefined) this.#heart.drop(typeUrl)
      else this.#heart.next(typeUrl, expiring.periodMs, !this.#send(state, set, expiring.names))
    }
    this.#heart.arm()
  }

  /** A client in which it has expired cannot take a heartbeat of it: it gets that in full again. */
  hear(subscription: Subscription, { responseNonce, errorDetail }: Request): Subscription {
    const { typeUrl } = subscription
    const names = this.#heart.answered(typeUrl, responseNonce)
    if (names === undefined || errorDetail === undefined) return subscription
    const reason = nackMessage(typeUrl, errorDetail.message)
    const fields = { type: wordOf(typeUrl), nonce: responseNonce, reason }
    this.#stream.warnings.seldom(fields, 'client rejected a heartbeat')
    return { ...subscription, owed: addOwed(subscription.owed, nameSetOf(names)) }
  }

  stop(): void {
    this.#heart.stop()
  }

  /** False where nothing was said, because there is no room or it would say something else. */
  #send(state: TypeState, set: ResourceSet, expiring: NameSet): boolean {
    const { id: streamId, deps, types, outbox } = this.#stream
    if (!outbox.hasRoom()) return false
    const { typeUrl, isWildcard, names, mayHold, lastNonce } = state.subscription
    if (this.#encoding !== 'delta' || typeUrl === hostType) return this.#sendAgain(state, set, expiring)
    const about = { to: set, isWildcard, names, owed: noNames, from: mayHold, initialVersions: undefined }
    const question: Question = { ...about, isComplete: true }
    const canSend = canSendBy(deps.options)
    const body = deps.bodies.bodyOf(question, 'heartbeat', () => heartbeatContent(question, canSend))
    if (body.content.frames.length === 0) return false
    for (const { bytes, nonce: number, part, resources } of body.messages(Number(lastNonce))) {
      const nonce = String(number)
      // Not among the responses under way: nothing waits for its verdict, and it brings the client nowhere.
      this.#heart.noteSent(typeUrl, nonce, part ?? body.content.resources.map(({ name }) => name))
      types.put(state, sharedSubscription({ ...state.subscription, lastNonce: nonce }))
      outbox.write(bytes)
      state.record.heartbeat(bytes.length)
      deps.onEvent?.({ kind: 'heartbeat', streamId, typeUrl, nonce, resources, bytes: bytes.length })
    }
    return true
  }

  /**
   * Where a heartbeat without a body means something else, the same comes again in full: Envoy takes a SotW response
   * of them for an empty one, and a bodiless virtual host for one that does not exist (docs/protocol.md, rule 84).
   */
  #sendAgain(state: TypeState, set: ResourceSet, expiring: NameSet): boolean {
    const { sent, nacked, outstanding, isWildcard, names } = state.subscription
    if (sent?.version !== set.version || nacked?.set.version === set.version) return false
    // A full state answers for all that is under way, a part does not.
    if (outstanding.length > 0 && state.type?.isFullState !== true) return false
    this.#stream.types.owe(state, set.typeUrl !== hostType ? expiring : isWildcard ? 'all' : names)
    return true
  }
}
