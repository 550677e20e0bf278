import { formatOrigin } from '../errors.ts'
import { wordOf } from '../resource/type-url.ts'
import type { Conversation } from './conversation.ts'
import type { LateRejection, Sent, Verdict } from './protocol/subscription.ts'
import { isAddressTaken } from './rejection/address-retries.ts'
import { nackMessage } from './rejection/nack-message.ts'
import type { StandingRejection } from './rejection/rejection-book.ts'
import type { StreamRejections } from './rejection/stream-rejections.ts'
import type { TypeState } from './type-book.ts'

/**
 * What is made of one client's verdicts, and told of them, once it has rejected anything: until then an ACK is all that
 * comes, and means no more than that.
 */
export class Verdicts {
  readonly #stream: Conversation
  readonly rejections: StreamRejections

  constructor(stream: Conversation, rejections: StreamRejections) {
    this.#stream = stream
    this.rejections = rejections
  }

  /** `state`: after the verdict. */
  take(state: TypeState, verdict: Verdict, nowMs: number): void {
    if (verdict.kind === 'ack') {
      if (verdict.late !== undefined) this.#takeLate(state, verdict.late, verdict.sent)
      this.#judge(state, verdict, nowMs)
      return
    }
    const { id: streamId, deps, warnings } = this.#stream
    const { typeUrl } = state.subscription
    const { nonce, set, atMs } = verdict.sent
    const { version } = set
    const message = nackMessage(typeUrl, verdict.message)
    const ms = nowMs - atMs
    state.record.nacked(version, message)
    deps.onEvent?.({ kind: 'nack', streamId, typeUrl, version, nonce, ms, message })
    if (this.#judge(state, verdict, nowMs)) return
    warnings.seldom({ type: wordOf(typeUrl), version, nonce, reason: message }, rejectedSomething)
  }

  #takeLate({ subscription, record }: TypeState, late: LateRejection, { nonce, set }: Sent): void {
    const { id: streamId, deps, warnings } = this.#stream
    const { typeUrl } = subscription
    const { version } = late.older.at(-1)?.set ?? set
    const message = nackMessage(typeUrl, late.message)
    record.rejectedBefore()
    deps.onEvent?.({ kind: 'nack', streamId, typeUrl, version, nonce, ms: 0, message })
    const found = this.rejections.noteLate(late, set, new Date())
    if (found.length > 0) this.#tell(found)
    else warnings.seldom({ type: wordOf(typeUrl), version, nonce, reason: message }, rejectedSomething)
  }

  /** Finds what a verdict is about, and tells of it once (rule 102). False when that is nothing that is known. */
  #judge(state: TypeState, verdict: Verdict, nowMs: number): boolean {
    const { protocol, types, progress } = this.#stream
    const { subscription: judged, record } = state
    const { found, subscription } = this.rejections.note({ ...state, protocol, verdict }, nowMs, new Date())
    if (found.length === 0) return false
    const { acked: taken } = subscription
    if (subscription !== judged && taken !== undefined) {
      types.put(state, subscription)
      progress.noteVerdict(judged, subscription, { kind: 'ack', sent: { ...verdict.sent, set: taken } }, nowMs)
    }
    record.blamed(subscription === judged ? undefined : taken?.version)
    this.#tell(found)
    return true
  }

  #tell(found: readonly StandingRejection[]): void {
    const { record, warnings } = this.#stream
    for (const { resource, accepted, message } of found) {
      const { typeUrl, name, version } = resource
      const origin = record.placeOf(resource)
      const keeps = accepted === undefined ? 'nothing' : accepted.isReady ? accepted.version : 'unknown'
      warnings.seldom(
        { type: wordOf(typeUrl), name, version, origin: formatOrigin(origin), keeps, reason: message },
        isAddressTaken(resource, message) ? rejectedForAddress : rejectedForContent,
      )
    }
  }
}

const rejectedForContent = 'client rejected a resource: it is not sent to this node again until it changes'

const rejectedForAddress =
  'client rejected a listener, for it has another one at its address: it is sent again when the address is free'

/** Nobody knows yet what it is about. */
const rejectedSomething = 'client rejected a response'
