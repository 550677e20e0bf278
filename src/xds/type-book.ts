import type { ResourceType, TypeUrl } from '../resource/type-url.ts'
import type { ResourceSet } from '../snapshot/resource-set.ts'
import type { EmptyListRule } from './protocol/sotw.ts'
import { addOwed, isOwing, type Owed, type Subscription } from './protocol/subscription.ts'
import type { TypeRecord } from './status.ts'

/** One type of a stream. */
export interface TypeState {
  readonly type: ResourceType | undefined
  readonly rule: EmptyListRule
  readonly record: TypeRecord
  /** SotW: the version of it that the client says it has: when the stream began, and after its ACKs; '' for none. */
  readonly statedVersion: string
  /** Until its first ACK: the sets that it may have had when the stream began, where that is known. */
  readonly earlier: readonly ResourceSet[]
  /** Changed by the book alone. */
  readonly subscription: Subscription
}

const none: readonly ResourceSet[] = []

type Draft = { -readonly [Key in keyof TypeState]: TypeState[Key] }

/** The types that the client of one stream asked for, in the order in which it did, and how far it is with each. */
export class TypeBook {
  readonly #states = new Map<TypeUrl, TypeState>()
  /** Asked for last: pushes and their ACKs are mostly of one type, and a map of each stream's own is cold memory. */
  #lastUrl: TypeUrl | undefined
  #last: TypeState | undefined
  #unanswered = 0
  #updates = 0

  /** Counts changes of what the client has: with one, the plan may lead further. */
  get updates(): number {
    return this.#updates
  }

  get isEmpty(): boolean {
    return this.#states.size === 0
  }

  /** Every response had its verdict. */
  get hasAnsweredAll(): boolean {
    return this.#unanswered === 0
  }

  /** The client has asked for something that it waits for. */
  get isOwing(): boolean {
    for (const { subscription } of this.#states.values()) if (isOwing(subscription)) return true
    return false
  }

  get(typeUrl: TypeUrl): TypeState | undefined {
    if (typeUrl === this.#lastUrl) return this.#last
    const state = this.#states.get(typeUrl)
    if (state === undefined) return undefined
    this.#lastUrl = typeUrl
    this.#last = state
    return state
  }

  values(): Iterable<TypeState> {
    return this.#states.values()
  }

  /** The names of SotW requests, as the client wrote them. */
  *writtenNames(): Generator<Uint8Array> {
    for (const { subscription } of this.#states.values()) {
      if (subscription.requested !== undefined) yield subscription.requested.bytes
    }
  }

  add(typeUrl: TypeUrl, state: TypeState): void {
    this.#states.set(typeUrl, state)
  }

  /** After what the client said, or what is known better of it: nothing that was told it. */
  put(state: TypeState, subscription: Subscription): void {
    this.#unanswered += subscription.outstanding.length - state.subscription.outstanding.length
    const draft: Draft = state
    draft.subscription = subscription
    if (subscription.acked !== undefined) draft.earlier = none
  }

  /** The client accepted a response of this version: SotW, it states that from now on. */
  noteAccepted(state: TypeState, version: string): void {
    const draft: Draft = state
    draft.statedVersion = version
  }

  /** After what it was told, or is to be told. */
  update(state: TypeState, subscription: Subscription): void {
    this.put(state, subscription)
    this.#updates++
  }

  /** It is to be sent these, though it may have them. */
  owe(state: TypeState, owed: Owed): void {
    const { subscription } = state
    this.update(state, { ...subscription, owed: addOwed(subscription.owed, owed) })
  }

  clear(): void {
    this.#states.clear()
    this.#lastUrl = undefined
    this.#last = undefined
  }
}
