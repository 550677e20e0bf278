import type { Node } from '../resource/node.ts'
import { canName, resourceTypes, type TypeUrl, wordOf } from '../resource/type-url.ts'
import type { ResourceSet } from '../snapshot/resource-set.ts'
import { answerTo } from './answer.ts'
import type { Conversation } from './conversation.ts'
import { FollowUps, followersOfReply, newClustersIn, tellOfNoHosts } from './follow-up.ts'
import type { Encoding, Message } from './protocol/body.ts'
import { type NameSet, noNames } from './protocol/names.ts'
import { isOwing, noteUnchanged } from './protocol/subscription.ts'
import type { StreamRejections } from './rejection/stream-rejections.ts'
import type { StreamDeps } from './stream-deps.ts'
import { followersOfListeners } from './transition/cluster-news.ts'
import { additionOrder, setIn, type View } from './transition/view.ts'
import type { TypeBook, TypeState } from './type-book.ts'

const clusterType = resourceTypes.cluster.typeUrl
const endpointType = resourceTypes.endpoint.typeUrl

/** gRPC clients refuse more by default. */
const maxGrpcBytes = 4 * 1024 * 1024

/** What one client is told: of each type in its turn, as much as is due and as there is room for. */
export class Telling {
  readonly #stream: Conversation
  readonly #deps: StreamDeps
  readonly #types: TypeBook
  readonly encoding: Encoding
  readonly isGrpc: boolean
  readonly isEnvoy: boolean
  readonly #isDebugging: boolean
  /** Of a client that rejected something. */
  rejections: StreamRejections | undefined
  #followUps: FollowUps | undefined
  #dueMs = Number.POSITIVE_INFINITY

  constructor(stream: Conversation, node: Node) {
    this.#stream = stream
    this.#deps = stream.deps
    this.#types = stream.types
    this.encoding = stream.protocol === 'sotw' && knowsWrapper(node) ? 'sotw-wrapped' : stream.protocol
    this.isGrpc = node.userAgentName.startsWith('gRPC')
    this.isEnvoy = node.userAgentName === 'envoy'
    this.#isDebugging = stream.deps.log.isLevelEnabled('debug')
  }

  /** When something that waits now is due; infinite when nothing does. */
  get dueMs(): number {
    return this.#dueMs
  }

  /**
   * Brings the client to `view`, in `types` if no others can differ. False when the socket or the fan-out is full: then
   * the stream is called again.
   */
  bringTo(view: View, types: readonly TypeUrl[] | undefined): boolean {
    this.#dueMs = Number.POSITIVE_INFINITY
    for (const typeUrl of types ?? additionOrder) if (!this.#sendIfRoom(view, typeUrl)) return false
    if (types !== undefined) return true
    for (const { type, subscription } of this.#types.values()) {
      if (type === undefined && !this.#sendIfRoom(view, subscription.typeUrl)) return false
    }
    // A listener may have been sent after their turn.
    return followersOfListeners.every((typeUrl) => this.#sendIfRoom(view, typeUrl))
  }

  #sendIfRoom(view: View, typeUrl: TypeUrl): boolean {
    const state = this.#types.get(typeUrl)
    if (state === undefined) return true
    const { subscription } = state
    if (this.#awaitsFirstClusters(typeUrl)) return true
    const set = setIn(view, typeUrl)
    const isAnswer = isOwing(subscription)
    if (!isAnswer) {
      if (subscription.sent?.version === set.version) return true
      // Rejected content is not sent again: it waits for a change (rules 30, 61).
      if (subscription.nacked?.set.version === set.version) return true
      // Nor is what the client had accepted before, as long as that is all there is to say.
      if (subscription.nacked !== undefined && this.rejections?.hasNews(subscription, set) === false) return true
      const last = subscription.outstanding.at(-1)
      if (last !== undefined) {
        const { cluster, other } = this.#deps.options.ackWaitMs
        const dueMs = last.atMs + (typeUrl === clusterType ? cluster : other)
        if (this.#deps.clock.now() < dueMs) {
          this.#waitUntil(dueMs)
          return true
        }
      }
    }
    if (!this.#stream.outbox.hasRoom()) return false
    this.#send(state, set, isAnswer)
    return true
  }

  /**
   * Envoy asks for its listeners a moment before it says what it makes of its first clusters. Should it reject one of them,
   * it would reject every listener that names any in routes of its own, too.
   */
  #awaitsFirstClusters(typeUrl: TypeUrl): boolean {
    if (!this.isEnvoy || typeUrl === clusterType || !canName(typeUrl)) return false
    const { acked, outstanding } = this.#types.get(clusterType)?.subscription ?? {}
    const last = outstanding?.at(-1)
    if (acked !== undefined || last === undefined) return false
    const dueMs = last.atMs + this.#deps.options.ackWaitMs.cluster
    if (this.#deps.clock.now() >= dueMs) return false
    this.#waitUntil(dueMs)
    return true
  }

  #send(state: TypeState, set: ResourceSet, isAnswer: boolean): void {
    const types = this.#types
    if (state.subscription.nacked !== undefined && this.rejections !== undefined) {
      types.put(state, this.rejections.withoutKept(state.subscription, set))
    }
    const { subscription, record } = state
    const { typeUrl } = subscription
    const { progress, outbox } = this.#stream
    const reply = answerTo(this.#deps, this.encoding, types, state, set)
    const { content, messages, after } = reply
    if (content.unsendable.length > 0) this.#warnUnsendable(typeUrl, content.unsendable, content.isWithheld)
    if (content.isWithheld) return
    if (this.#isResumed(state, set)) {
      types.update(state, { ...noteUnchanged(subscription, set), mustAnswer: false })
      progress.noteUnchanged(subscription, set)
      return
    }
    // Recorded before the write, or a fast ACK would look unknown (rule 12).
    types.update(state, after)
    if (messages.length === 0) {
      progress.noteUnchanged(subscription, set)
      return
    }
    if (typeUrl === clusterType) {
      const asked = types.get(endpointType)?.subscription.names
      progress.noteClusters(after, newClustersIn(this.#stream.protocol, reply), asked)
    } else progress.noteSent(after, content.resources)
    const isFirst = subscription.sent === undefined
    for (const [type, names] of followersOfReply(this.#stream.protocol, reply, isFirst)) {
      const follower = types.get(type)
      if (follower !== undefined) types.owe(follower, names)
      else if (isFirst) this.owe(type, names)
    }
    if (this.encoding === 'delta') tellOfNoHosts(types, reply)
    for (const message of messages) {
      if (outbox.isClosed) return
      outbox.write(message.bytes)
      record.sent(set.version, message.resources, message.bytes.length)
      this.#noteWritten(typeUrl, set.version, message, isAnswer)
    }
  }

  /** These are to be sent, though they may be unchanged, with the first answer of their type. */
  owe(typeUrl: TypeUrl, names: NameSet): void {
    this.#followUps ??= new FollowUps()
    this.#followUps.add(typeUrl, names)
  }

  /** What is owed with the first answer of a type, which is asked for now. */
  takeOwed(typeUrl: TypeUrl): NameSet | undefined {
    return this.#followUps?.take(typeUrl)
  }

  #waitUntil(dueMs: number): void {
    this.#dueMs = Math.min(this.#dueMs, dueMs)
  }

  /** `--sotw-resume`: the client has this very version, and asks for all of a type that is always full state (rule 32). */
  #isResumed({ subscription, statedVersion, type }: TypeState, set: ResourceSet): boolean {
    const { isWildcard, names, sent } = subscription
    if (!this.#deps.options.sotwResume || sent !== undefined || !isWildcard || names !== noNames) return false
    return type?.isFullState === true && statedVersion === set.version
  }

  /** For those who look on: the books are kept already. */
  #noteWritten(typeUrl: TypeUrl, version: string, message: Message, isAnswer: boolean): void {
    const bytes = message.bytes.length
    if (bytes > maxGrpcBytes && this.isGrpc) {
      const word = wordOf(typeUrl)
      const what = `a response of type ${word} has more than 4 MiB, which gRPC clients refuse by default`
      this.#stream.warnings.once(typeUrl, what)
    }
    const { onEvent } = this.#deps
    if (onEvent === undefined && !this.#isDebugging) return
    const { resources, removed } = message
    const nonce = String(message.nonce)
    onEvent?.({ kind: 'sent', streamId: this.#stream.id, typeUrl, version, nonce, resources, removed, bytes, isAnswer })
    if (this.#isDebugging) this.#stream.log.debug({ type: wordOf(typeUrl), version, nonce, bytes }, 'response sent')
  }

  #warnUnsendable(typeUrl: TypeUrl, all: readonly string[], isWithheld: boolean): void {
    const names = all.filter((name) => this.rejections?.isUnknown(typeUrl, name) !== true)
    if (names.length > 0) this.#stream.warnings.unsendable(typeUrl, names, isWithheld)
    else if (isWithheld) this.#stream.warnings.unknown(typeUrl, all)
  }
}

/** What a TTL is told in (rule 81). */
function knowsWrapper({ clientFeatures }: Node): boolean {
  return (
    clientFeatures.includes('xds.config.resource-in-sotw') ||
    clientFeatures.includes('xds.config.supports-resource-ttl')
  )
}
