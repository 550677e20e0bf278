import { status } from '@grpc/grpc-js'
import type { SnapshotCache, Watch } from '../cache/cache.ts'
import type { Clock, Timer } from '../clock.ts'
import { formatOrigin, messageOf } from '../errors.ts'
import type { Log } from '../log.ts'
import { decodeNode, decodeNodeId } from '../resource/decode-node.ts'
import type { DeltaRequest, SotwRequest } from '../resource/discovery-envelope.ts'
import type { Node } from '../resource/node.ts'
import { hasOnDemandHosts } from '../resource/references/on-demand-hosts.ts'
import type { Resource } from '../resource/resource.ts'
import { type ResourceType, resourceTypeOf, resourceTypes, type TypeUrl, wordOf } from '../resource/type-url.ts'
import { diffSets, type ResourceSet } from '../snapshot/resource-set.ts'
import type { Call, CallListener } from './call.ts'
import { clientKeyOf } from './client-key.ts'
import type { Admission, Entrant } from './flow/admission.ts'
import type { FanOut, Sender } from './flow/fan-out.ts'
import { Heart } from './flow/heart.ts'
import { Outbox } from './flow/outbox.ts'
import type { SeldomLog } from './flow/seldom-log.ts'
import type { BodyCache, Encoding, Message } from './protocol/body.ts'
import {
  type CanSend,
  type Content,
  deltaContent,
  isSotwSilent,
  noHostOf,
  type Question,
  questionOf,
  sotwContent,
} from './protocol/content.ts'
import { expiringIn, heartbeatContent, isExpiring } from './protocol/heartbeat.ts'
import { type NameSet, nameSetOf, noNames, unionNames } from './protocol/names.ts'
import { type Reply, type ReplyMemo, replyOf } from './protocol/reply.ts'
import type { ReadRequest, RequestReader } from './protocol/request-reader.ts'
import type { EmptyListRule } from './protocol/sotw.ts'
import {
  addOwed,
  isOwing,
  type LateRejection,
  noteUnchanged,
  type Sent,
  type Subscription,
  sharedSubscription,
  type Verdict,
} from './protocol/subscription.ts'
import { nackMessage } from './rejection/nack-message.ts'
import { type RejectionBook, RejectionRecord, type StandingRejection } from './rejection/rejection-book.ts'
import { StreamRejections } from './rejection/stream-rejections.ts'
import type { StatusRecorder, StreamRecord, TypeRecord } from './status.ts'
import type { Protocol, StreamEvent } from './stream-event.ts'
import type { ClientMemory, LiveClient, Remembered } from './transition/client-memory.ts'
import { followersOf, followersOfListeners } from './transition/cluster-news.ts'
import type { PastViews } from './transition/past-views.ts'
import { plan } from './transition/planner.ts'
import { Progress, type ProgressOptions } from './transition/progress.ts'
import { additionOrder, canName, changeBetween, setIn, type View } from './transition/view.ts'

export interface StreamOptions extends ProgressOptions {
  /** How long a push waits for the verdict on the last push of its type. Answers to requests never wait. */
  readonly ackWaitMs: { readonly cluster: number; readonly other: number }
  /** Skip the first answer of a pure wildcard LDS or CDS subscription that states the current version (rule 32). */
  readonly sotwResume: boolean
  /** Sensitive resources may be written to this server's clients. */
  readonly canSendSecrets: boolean
}

export interface StreamDeps {
  readonly cache: SnapshotCache
  /** What streams of one kind share, so that what is equal for many is computed once. */
  readonly bodies: BodyCache
  readonly replies: ReplyMemo
  readonly requests: Readonly<Record<Protocol, RequestReader>>
  readonly fanOut: FanOut
  /** Lets new streams in; without it, all at once. */
  readonly admission?: Admission
  readonly clock: Clock
  readonly log: Log
  /** For what all of a group's streams may have to say at once. */
  readonly seldom: SeldomLog
  readonly status: StatusRecorder
  /** Remembers clients between two of their streams; without it each stream starts anew. */
  readonly memory?: ClientMemory
  /** Remembers what groups had; without it a client that is not remembered starts anew. */
  readonly past?: PastViews
  /** Remembers rejections over reconnections; without it they are known as long as the stream lasts. */
  readonly rejections?: RejectionBook
  /** For tests and measurements. */
  readonly onEvent?: ((event: StreamEvent) => void) | undefined
  readonly options: StreamOptions
}

export interface StreamKind {
  readonly protocol: Protocol
  /** The type of a per-type service; undefined on ADS. */
  readonly typeUrl: TypeUrl | undefined
}

/** Envoy repeats a request when a cluster warms again (rule 72), which happens at the pace of changes. */
const maxRepeatsPerSecond = 50

const clusterType = resourceTypes.cluster.typeUrl
const endpointType = resourceTypes.endpoint.typeUrl
const hostType = resourceTypes.virtualHost.typeUrl
const listenerType = resourceTypes.listener.typeUrl
const routeType = resourceTypes.route.typeUrl

/** Of a text that a client makes up, when it is said back to it or logged. */
const maxShownLength = 200

/** More are the mark of a client that makes them up: each costs a place in the books. */
const maxUnknownTypes = 100

let lastStreamId = 0

/** The two rules are two objects, for requests are remembered with theirs. */
const emptyIsWildcard: EmptyListRule = { isWildcardWhenEmpty: true }
const emptyIsNothing: EmptyListRule = { isWildcardWhenEmpty: false }

/** One type of a stream. */
interface TypeState {
  readonly type: ResourceType | undefined
  readonly rule: EmptyListRule
  readonly record: TypeRecord
  /** The client had something of it when the stream began. */
  readonly hadBefore: boolean
  subscription: Subscription
}

/**
 * One gRPC call of one client: what it asked, what it has, and what it is to be told next. It reads requests through the
 * protocol's pure functions, follows one watch, takes its steps from `planner.ts` and writes shared bodies.
 */
export class Stream implements Sender, Entrant, CallListener, LiveClient {
  readonly #call: Call
  readonly #kind: StreamKind
  readonly #deps: StreamDeps
  readonly #id = ++lastStreamId
  readonly #canSend: CanSend
  readonly #isDebugging: boolean
  readonly #outbox: Outbox
  readonly #record: StreamRecord
  #node: Node | undefined
  /** Of the node: what it had is remembered by it. */
  #clientKey = ''
  #watch: Watch | undefined
  /** The label of the node's group, for people. */
  #group = ''
  /** What the client should have in the end; undefined while there is nothing to serve (rule 104). */
  #target: View | undefined
  /** The key of the group that this is of: the watch may be in another one already. */
  #targetGroup = ''
  /** What it is to have now. */
  #view: View | undefined
  /** What it had when it had last answered everything. */
  #steadyView: View | undefined
  #rejections: StreamRejections | undefined
  #rejectionRecord: RejectionRecord | undefined
  /** Those that the client asked for, in the order in which it did. */
  readonly #types = new Map<TypeUrl, TypeState>()
  /** Counts changes of what the client has: with one, the plan may lead further. */
  #updates = 0
  readonly #progress: Progress
  /** Assignments and secrets to send with the first answer of their type, for their cluster was sent (rule 58). */
  readonly #followUps = new Map<TypeUrl, NameSet>()
  readonly #resumeVersions = new Map<TypeUrl, string>()
  #unknownTypes = 0
  readonly #warned = new Set<string>()
  #repeats = { sinceMs: 0, count: 0 }
  #isWrapped = false
  #isGrpcClient = false
  #isEnvoy = false
  /** The client was told all that it is to have, and nothing waits for time or room. */
  #isSettled = false
  /** It was so when the stream last looked, and no request has changed it since. */
  #hadAll = false
  #wakeAtMs = Number.POSITIVE_INFINITY
  #wake: Timer | undefined
  /** Undefined while nothing that the client has expires. */
  #heart: Heart | undefined
  /** Its turn for a first answer has come. */
  #isAdmitted = false
  /** It was let in, and has not taken that answer yet. */
  #isEntering = false
  #isClosed = false
  readonly #onClosed: (stream: Stream) => void

  constructor(call: Call, kind: StreamKind, deps: StreamDeps, onClosed: (stream: Stream) => void) {
    this.#call = call
    this.#kind = kind
    this.#deps = deps
    this.#onClosed = onClosed
    this.#outbox = new Outbox(call, deps.fanOut, deps.clock, this)
    this.#progress = new Progress(deps.options)
    const { canSendSecrets } = deps.options
    this.#canSend = (resource) => resource.isReady && (canSendSecrets || !resource.isSensitive)
    this.#isDebugging = deps.log.isLevelEnabled('debug')
    const { protocol } = kind
    this.#record = deps.status.open({ streamId: this.#id, protocol, peer: call.peer, service: kind.typeUrl })
    deps.onEvent?.({ kind: 'open', streamId: this.#id, protocol, method: call.path, peer: call.peer })
  }

  // ---- what the call tells

  receive(bytes: Buffer): void {
    this.#guard(() => this.#receive(bytes))
  }

  halfClose(): void {
    if (this.#isClosed) return
    this.#release('client closed')
    this.#call.end(status.OK, 'OK')
  }

  cancel(reason: string): void {
    this.#release(reason)
  }

  // ---- what the server tells

  /** Ends the stream with a status that its client tries again after, elsewhere (rule 89). */
  end(reason: string): void {
    this.#fail(status.UNAVAILABLE, reason)
  }

  admit(): void {
    this.#isAdmitted = true
    this.#isEntering = true
    this.#deps.fanOut.schedule(this, true)
  }

  get isAsked(): boolean {
    for (const { subscription } of this.#types.values()) if (isOwing(subscription)) return true
    return false
  }

  /** Brings the client as far as it can be brought now: called when anything changed. */
  advance(): void {
    this.#guard(() => this.#advance())
  }

  #guard(act: () => void): void {
    if (this.#isClosed) return
    try {
      act()
    } catch (error) {
      this.#log.error({ err: error }, 'stream failed')
      this.#fail(status.INTERNAL, 'internal error; the log of the control plane says more')
    }
  }

  // ---- requests

  #receive(bytes: Buffer): void {
    let read: ReadRequest
    try {
      read = this.#deps.requests[this.#kind.protocol].read(bytes, () => this.#knownNames())
      if (!this.#meetNode(read.request.node)) return
    } catch (error) {
      this.#fail(status.INVALID_ARGUMENT, `the request cannot be read: ${messageOf(error)}`)
      return
    }
    const { request } = read
    const typeUrl = request.typeUrl || (this.#kind.typeUrl ?? '')
    if (typeUrl === '') {
      this.#fail(status.INVALID_ARGUMENT, 'type_url is missing: on an aggregated stream every request must have it')
      return
    }
    if (this.#kind.typeUrl !== undefined && typeUrl !== this.#kind.typeUrl) {
      const shown = typeUrl.slice(0, maxShownLength)
      this.#fail(status.INVALID_ARGUMENT, `type_url is ${shown}, but this service is for ${this.#kind.typeUrl}`)
      return
    }
    if (this.#subscribe(typeUrl, read)) return
    this.#hadAll = false
    this.#advance()
  }

  *#knownNames(): Generator<Uint8Array> {
    for (const { subscription } of this.#types.values()) {
      if (subscription.requested !== undefined) yield subscription.requested.bytes
    }
  }

  /** Takes the node of the first request (rules 1–3). False when the stream had to end. */
  #meetNode(bytes: Uint8Array | undefined): boolean {
    if (this.#node !== undefined) {
      if (bytes !== undefined && decodeNodeId(bytes) !== this.#node.id) {
        this.#warn(undefined, 'a later request names another node.id; the stream stays with the first')
      }
      return true
    }
    const node = bytes === undefined ? undefined : decodeNode(bytes)
    if (node === undefined || node.id === '') {
      const what = node === undefined ? 'node is missing in the first request' : 'node.id is empty'
      this.#fail(status.INVALID_ARGUMENT, `${what}: set node.id in the bootstrap, for it selects the configuration`)
      return false
    }
    const { clientFeatures } = node
    this.#isWrapped =
      clientFeatures.includes('xds.config.resource-in-sotw') ||
      clientFeatures.includes('xds.config.supports-resource-ttl')
    this.#isGrpcClient = node.userAgentName.startsWith('gRPC')
    this.#isEnvoy = node.userAgentName === 'envoy'
    this.#node = node
    this.#clientKey = clientKeyOf(node)
    this.#watch = this.#deps.cache.watch(node, (snapshot) => {
      this.#follow(snapshot)
      this.#isSettled = false
      this.#followGroup()
      this.#deps.fanOut.schedule(this)
    })
    this.#target = this.#watch.snapshot
    this.#targetGroup = this.#watch.group.key
    const rejected = this.#deps.rejections?.find(node)
    if (rejected !== undefined) this.#goBy(rejected, node)
    this.#group = this.#watch.group.label
    this.#log.info({ peer: this.#call.peer, protocol: this.#kind.protocol }, 'client connected')
    this.#record.joined(node, this.#group)
    this.#deps.onEvent?.({ kind: 'node', streamId: this.#id, node, group: this.#group })
    return true
  }

  #follow(snapshot: View): void {
    if (this.#isSettled && this.#view !== undefined && this.#hasAnsweredAll()) {
      this.#steadyView = this.#view
      this.#rejections?.noteSteady(this.#view)
    }
    if (this.#rejections !== undefined) {
      this.#rejections.follow(snapshot, this.#deps.clock.now())
      return
    }
    if (this.#target !== undefined) this.#deps.past?.note(this.#targetGroup, this.#target)
    this.#target = snapshot
    this.#targetGroup = this.#watch?.group.key ?? ''
  }

  #hasAnsweredAll(): boolean {
    for (const { subscription } of this.#types.values()) if (subscription.outstanding.length > 0) return false
    return true
  }

  #goBy(record: RejectionRecord, node: Node): StreamRejections {
    this.#rejectionRecord = record
    this.#deps.rejections?.join(node, record)
    this.#rejections = new StreamRejections(record, this.#clientKey, this.#target)
    if (this.#steadyView !== undefined) this.#rejections.noteSteady(this.#steadyView)
    this.#record.rejected(this.#rejections)
    return this.#rejections
  }

  /** Selectors come and go, and a client that connected before the first read was in no group at all. */
  #followGroup(): void {
    const group = this.#watch?.group.label ?? ''
    if (group === this.#group) return
    this.#group = group
    this.#record.movedTo(group)
    this.#deps.onEvent?.({ kind: 'group', streamId: this.#id, group })
  }

  /** True when nothing can follow from the request: an ACK by a client that has everything. */
  #subscribe(typeUrl: TypeUrl, read: ReadRequest): boolean {
    const known = this.#types.get(typeUrl)
    if (known === undefined && resourceTypeOf(typeUrl) === undefined && !this.#mayBeUnknown()) return true
    const type = known === undefined ? this.#meetType(typeUrl) : known.type
    const { request } = read
    if (type?.isDeltaOnly === true && this.#kind.protocol === 'sotw') {
      this.#warn(typeUrl, `${type.service} exists in the delta protocol only: set api_type DELTA_GRPC; not answered`)
      return true
    }
    const before = known?.subscription
    const rule = known?.rule ?? this.#ruleOf(type)
    if (this.#types.size === 0) this.#recall(typeUrl, request)
    const received = read.receive(typeUrl, before, rule)
    let { subscription } = received
    if (this.#heart !== undefined) subscription = this.#hearAnswer(this.#heart, subscription, request)
    if (received.isRepeated && !this.#mayRepeat(typeUrl)) {
      subscription = { ...subscription, owed: before?.owed ?? noNames }
    }
    let state = known
    if (state === undefined) {
      if ('versionInfo' in request && request.versionInfo !== '') this.#resumeVersions.set(typeUrl, request.versionInfo)
      const followUp = this.#followUps.get(typeUrl)
      if (followUp !== undefined) {
        this.#followUps.delete(typeUrl)
        subscription = { ...subscription, owed: addOwed(subscription.owed, followUp) }
      }
      const hadBefore = 'versionInfo' in request && request.versionInfo !== ''
      state = { type, rule, record: this.#record.typeOf(typeUrl), hadBefore, subscription }
      this.#types.set(typeUrl, state)
    } else state.subscription = subscription
    const { verdict, isChanged } = received
    if (verdict !== undefined) {
      if (before !== undefined) this.#progress.noteVerdict(before, subscription, verdict, this.#deps.clock.now())
      this.#takeVerdict(state, verdict)
    }
    if (isChanged) {
      const { isWildcard, names } = subscription
      state.record.asked(names.names.length, isWildcard)
      this.#deps.onEvent?.({ kind: 'request', streamId: this.#id, typeUrl, names: names.names.length, isWildcard })
    }
    return this.#isSettled && verdict?.kind === 'ack' && !isChanged && !isOwing(subscription)
  }

  /** A client that was here before goes on from where it was, not from what it should have: see `planner.ts`. */
  #recall(typeUrl: TypeUrl, request: SotwRequest | DeltaRequest): void {
    const { memory, past, clock } = this.#deps
    if (memory === undefined || this.#node === undefined || this.#kind.typeUrl !== undefined) return
    const { protocol } = this.#kind
    const stated = { ...request, typeUrl }
    const now = clock.now()
    let left = memory.recall(this.#clientKey, protocol, stated, now)
    memory.enter(this.#clientKey, this)
    if (left === undefined && this.#target !== undefined) {
      left = past?.recall(this.#watch?.group.key ?? '', protocol, stated, this.#target)
    }
    if (left === undefined) return
    this.#view = left.view
    this.#progress.resume(left, now)
    if (protocol === 'sotw') return
    // Those that it has not answered may be warming still, and what they wait for may not have come.
    const [accepted, ...unanswered] = left.mayHold.get(clusterType) ?? []
    for (const set of unanswered) {
      for (const [type, names] of followersOf(diffSets(accepted, set).changed)) this.#followUp(type, names)
    }
  }

  /** These are to be sent, though they may be unchanged, with the first answer of their type. */
  #followUp(typeUrl: TypeUrl, names: NameSet): void {
    this.#followUps.set(typeUrl, unionNames(this.#followUps.get(typeUrl) ?? noNames, names))
  }

  leave(): Remembered | undefined {
    return this.#view && this.#progress.leave(this.#kind.protocol, this.#view, this.#subscriptions())
  }

  #mayBeUnknown(): boolean {
    this.#unknownTypes++
    if (this.#unknownTypes <= maxUnknownTypes) return true
    this.#warn(
      undefined,
      `the client asks for more than ${maxUnknownTypes} types that are not known here; the rest is not answered`,
    )
    return false
  }

  #meetType(typeUrl: TypeUrl): ResourceType | undefined {
    const type = resourceTypeOf(typeUrl)
    if (type === undefined) {
      const shown = typeUrl.slice(0, maxShownLength)
      this.#warn(typeUrl, `type ${shown} is not known here: it is served if there are resources of it`)
    }
    return type
  }

  #ruleOf(type: ResourceType | undefined): EmptyListRule {
    return (type?.isWildcardByDefault ?? true) && !this.#isGrpcClient ? emptyIsWildcard : emptyIsNothing
  }

  /** A client that asks the same over and over must not make a loop of it. */
  #mayRepeat(typeUrl: TypeUrl): boolean {
    const now = this.#deps.clock.now()
    if (now - this.#repeats.sinceMs >= 1000) this.#repeats = { sinceMs: now, count: 0 }
    this.#repeats.count++
    if (this.#repeats.count <= maxRepeatsPerSecond) return true
    this.#warn(typeUrl, `the client repeats its requests of type ${wordOf(typeUrl)} without end; some are not answered`)
    return false
  }

  #takeVerdict(state: TypeState, verdict: Verdict): void {
    if (this.#isEntering) this.#beIn()
    const { subscription, record } = state
    const { typeUrl, nacked } = subscription
    const { nonce, set, atMs, isComplete } = verdict.sent
    const { version } = set
    const ms = this.#deps.clock.now() - atMs
    if (verdict.kind === 'ack') {
      const isPartial = !isComplete || nacked !== undefined
      record.acked(version, ms, isPartial)
      this.#deps.onEvent?.({ kind: 'ack', streamId: this.#id, typeUrl, version, nonce, ms, isPartial })
      if (verdict.late !== undefined) this.#takeLate(state, verdict.late, verdict.sent)
      if (this.#rejections !== undefined) this.#judge(this.#rejections, state, verdict)
      return
    }
    const message = nackMessage(typeUrl, verdict.message)
    record.nacked(version, message)
    this.#deps.onEvent?.({ kind: 'nack', streamId: this.#id, typeUrl, version, nonce, ms, message })
    if (this.#judge(this.#rejections ?? this.#beginRejections(), state, verdict)) return
    this.#warnSeldom({ type: wordOf(typeUrl), version, nonce, reason: message }, 'client rejected a response')
  }

  #beginRejections(): StreamRejections {
    const node = this.#node as Node
    return this.#goBy(this.#deps.rejections?.open(node) ?? new RejectionRecord(), node)
  }

  #takeLate({ subscription, record }: TypeState, late: LateRejection, { nonce, set }: Sent): void {
    const { typeUrl } = subscription
    const { version } = late.older.at(-1)?.set ?? set
    const message = nackMessage(typeUrl, late.message)
    record.rejectedBefore()
    this.#deps.onEvent?.({ kind: 'nack', streamId: this.#id, typeUrl, version, nonce, ms: 0, message })
    const found = (this.#rejections ?? this.#beginRejections()).noteLate(late, set, new Date())
    if (found.length > 0) this.#tellRejected(found)
    else this.#warnSeldom({ type: wordOf(typeUrl), version, nonce, reason: message }, 'client rejected a response')
  }

  /** Finds what a verdict is about, and tells of it once (rule 102). False when that is nothing that is known. */
  #judge(rejections: StreamRejections, state: TypeState, verdict: Verdict): boolean {
    this.#isSettled = false
    const { subscription: judged, record } = state
    const { protocol } = this.#kind
    const now = this.#deps.clock.now()
    const { found, subscription } = rejections.note({ ...state, protocol, verdict }, now, new Date())
    if (found.length === 0) return false
    const { acked: taken } = subscription
    if (subscription !== judged && taken !== undefined) {
      state.subscription = subscription
      this.#progress.noteVerdict(judged, subscription, { kind: 'ack', sent: { ...verdict.sent, set: taken } }, now)
    }
    record.blamed(subscription === judged ? undefined : taken?.version)
    this.#tellRejected(found)
    return true
  }

  #tellRejected(found: readonly StandingRejection[]): void {
    for (const { resource, accepted, message } of found) {
      const { typeUrl, name, version } = resource
      const origin = this.#record.placeOf(resource)
      const keeps = accepted === undefined ? 'nothing' : accepted.isReady ? accepted.version : 'unknown'
      this.#warnSeldom(
        { type: wordOf(typeUrl), name, version, origin: formatOrigin(origin), keeps, reason: message },
        'client rejected a resource: it is not sent to this node again until it changes',
      )
    }
  }

  // ---- answers and pushes

  #advance(): void {
    if (this.#rejections !== undefined) this.#target = this.#targetBeside(this.#rejections)
    if (this.#target === undefined) return
    if (!this.#isAdmitted && !this.#enter()) return
    const hadAll = this.#hadAll
    this.#isSettled = false
    this.#hadAll = false
    this.#wakeAtMs = this.#rejections?.dueMs ?? Number.POSITIVE_INFINITY
    this.#view ??= this.#target
    let types: readonly TypeUrl[] | undefined
    if (this.#view !== this.#target) {
      const change = changeBetween(this.#view, this.#target)
      if (change.isPlain) {
        this.#view = this.#target
        // A client that had everything lacks just these. What follows a cluster is found by looking at every type.
        if (hadAll && !change.types.includes(clusterType)) types = change.types
      }
    }
    for (;;) {
      // Plan first, so that after a wait only the newest is said.
      const isMoved = this.#view !== this.#target && this.#step(this.#view, this.#target)
      const before = this.#updates
      if (!this.#sendAll(this.#view, types)) return
      if (this.#view === this.#target || (!isMoved && before === this.#updates)) break
    }
    this.#isSettled = this.#view === this.#target && this.#wakeAtMs === Number.POSITIVE_INFINITY
    this.#hadAll = this.#isSettled
    this.#arm()
    // A client that lacks nothing has nothing to answer.
    if (this.#isEntering && this.#isSettled && this.#hasAnsweredAll()) this.#beIn()
    if (this.#heart !== undefined || this.#hears(this.#view)) this.#keepAlive(this.#view)
  }

  /** False while it waits for its turn (rule 88): what it asks meanwhile is noted, and answered then. */
  #enter(): boolean {
    const { admission } = this.#deps
    this.#isEntering = admission?.enter(this) === true
    this.#isAdmitted = this.#isEntering || admission === undefined
    return this.#isAdmitted
  }

  #beIn(): void {
    this.#isEntering = false
    this.#deps.admission?.leave(this)
  }

  #targetBeside(rejections: StreamRejections): View | undefined {
    return rejections.target(this.#view, this.#deps.clock.now())
  }

  /** Takes the next step of the transition. False while it must wait. */
  #step(from: View, to: View): boolean {
    const now = this.#deps.clock.now()
    const { client, lookAgainAtMs } = this.#progress.stateOf(this.#types.values(), now, () => this.#seldomLog)
    this.#wakeAt(lookAgainAtMs)
    this.#view = plan(this.#rejections?.withoutRejected(from) ?? from, to, client).view
    return this.#view !== from
  }

  *#subscriptions(): Generator<Subscription> {
    for (const { subscription } of this.#types.values()) yield subscription
  }

  /** False when the socket or the fan-out is full: then the stream is called again. */
  #sendAll(view: View, types: readonly TypeUrl[] | undefined): boolean {
    if (types !== undefined) return types.every((typeUrl) => this.#sendIfRoom(view, typeUrl))
    for (const typeUrl of additionOrder) if (!this.#sendIfRoom(view, typeUrl)) return false
    for (const [typeUrl, { type }] of this.#types) {
      if (type === undefined && !this.#sendIfRoom(view, typeUrl)) return false
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
      if (subscription.nacked !== undefined && this.#rejections?.hasNews(subscription, set) === false) return true
      const last = subscription.outstanding.at(-1)
      if (last !== undefined) {
        const { cluster, other } = this.#deps.options.ackWaitMs
        const dueMs = last.atMs + (typeUrl === clusterType ? cluster : other)
        if (this.#deps.clock.now() < dueMs) {
          this.#wakeAt(dueMs)
          return true
        }
      }
    }
    if (!this.#outbox.hasRoom()) return false
    this.#send(state, set, isAnswer)
    return true
  }

  /**
   * Envoy asks for its listeners a moment before it says what it makes of its first clusters. Should it reject one of them,
   * it would reject every listener that names any in routes of its own, too.
   */
  #awaitsFirstClusters(typeUrl: TypeUrl): boolean {
    if (!this.#isEnvoy || typeUrl === clusterType || !canName(typeUrl)) return false
    const { acked, outstanding } = this.#types.get(clusterType)?.subscription ?? {}
    const last = outstanding?.at(-1)
    if (acked !== undefined || last === undefined) return false
    const dueMs = last.atMs + this.#deps.options.ackWaitMs.cluster
    if (this.#deps.clock.now() >= dueMs) return false
    this.#wakeAt(dueMs)
    return true
  }

  #send(state: TypeState, set: ResourceSet, isAnswer: boolean): void {
    if (state.subscription.nacked !== undefined && this.#rejections !== undefined) {
      state.subscription = this.#rejections.withoutKept(state.subscription, set)
    }
    const { subscription, record } = state
    const { typeUrl } = subscription
    const { content, messages, question, after } = this.#replyTo(state, set)
    if (content.unsendable.length > 0) this.#warnUnsendable(typeUrl, content.unsendable, content.isWithheld)
    if (content.isWithheld) return
    const isResumed = this.#resumes(subscription, set)
    if (isResumed) {
      this.#update(state, { ...noteUnchanged(subscription, set), mustAnswer: false })
      this.#progress.noteUnchanged(subscription, set)
      return
    }
    // Recorded before the write, or a fast ACK would look unknown (rule 12).
    this.#update(state, after)
    if (messages.length === 0) {
      this.#progress.noteUnchanged(subscription, set)
      return
    }
    if (typeUrl === clusterType) {
      const news = this.#newClustersIn(question, content)
      this.#progress.noteClusters(after, news, this.#types.get(endpointType)?.subscription.names)
      this.#oweFollowers(subscription, news)
    } else this.#progress.noteSent(after, content.resources)
    if (typeUrl === listenerType && this.#kind.protocol === 'delta') this.#oweFollowers(subscription, content.resources)
    if (typeUrl === routeType && this.#kind.protocol === 'delta') this.#tellOfNoHosts(question, content)
    for (const message of messages) {
      if (this.#isClosed) return
      this.#outbox.write(message.bytes)
      record.sent(set.version, message.resources, message.bytes.length)
      this.#noteWritten(typeUrl, set.version, message, isAnswer)
    }
  }

  /** For those who look on: the books are kept already. */
  #noteWritten(typeUrl: TypeUrl, version: string, message: Message, isAnswer: boolean): void {
    const { resources, removed } = message
    const bytes = message.bytes.length
    const nonce = String(message.nonce)
    this.#deps.onEvent?.({
      kind: 'sent',
      streamId: this.#id,
      typeUrl,
      version,
      nonce,
      resources,
      removed,
      bytes,
      isAnswer,
    })
    if (this.#isDebugging) this.#log.debug({ type: wordOf(typeUrl), version, nonce, bytes }, 'response sent')
    if (bytes > 4 * 1024 * 1024 && this.#isGrpcClient) {
      this.#warn(
        typeUrl,
        `a response of type ${wordOf(typeUrl)} has more than 4 MiB, which gRPC clients refuse by default`,
      )
    }
  }

  #update(state: TypeState, subscription: Subscription): void {
    state.subscription = subscription
    this.#updates++
  }

  #replyTo({ type, subscription }: TypeState, set: ResourceSet): Reply {
    const { bodies, replies, clock } = this.#deps
    const { protocol } = this.#kind
    const now = clock.now()
    const isDelta = protocol === 'delta'
    const { typeUrl, mustAnswer, isWildcard, names } = subscription
    if (isDelta && typeUrl === hostType && mustAnswer && !isWildcard && names === noNames) {
      const question = questionOf(subscription, set)
      return replyOf(subscription, question, bodies.bodyForOne(question, 'delta', this.#noHosts()), false, now)
    }
    const encoding: Encoding = isDelta ? 'delta' : this.#isWrapped ? 'sotw-wrapped' : 'sotw'
    const compute = (): Reply => {
      const question = questionOf(subscription, set)
      const body = bodies.bodyOf(question, encoding, () =>
        isDelta ? deltaContent(question, this.#canSend) : sotwContent(question, type, this.#canSend, this.#isWrapped),
      )
      const isSilent = !mustAnswer && this.#isSilent(question, body.content)
      return replyOf(subscription, question, body, isSilent, now)
    }
    // Clients can make up types without end.
    return type === undefined ? compute() : replies.replyTo(subscription, set, encoding, now, compute)
  }

  /** To the empty first request of VHDS: no virtual host yet, which ends the listeners' wait (rule 46). */
  #noHosts(): Content {
    const routes = this.#types.get(routeType)?.subscription.names ?? noNames
    return {
      resources: [],
      frames: [],
      removed: routes.names.map(noHostOf),
      unsendable: [],
      isWithheld: false,
    }
  }

  /** Envoy asks for VHDS once a stream: of the route configurations that come later it waits to be told unasked. */
  #tellOfNoHosts({ owed }: Question, { resources }: Content): void {
    const hosts = this.#types.get(hostType)
    if (hosts === undefined || hosts.subscription.sent === undefined) return
    const routes = resources.filter((route) => (owed === 'all' || owed.has(route.name)) && hasOnDemandHosts(route))
    if (routes.length === 0) return
    const names = nameSetOf(routes.map(({ name }) => noHostOf(name)))
    this.#update(hosts, { ...hosts.subscription, owed: addOwed(hosts.subscription.owed, names) })
  }

  #isSilent(question: Question, content: Content): boolean {
    if (this.#kind.protocol === 'delta') return content.frames.length === 0 && content.removed.length === 0
    return isSotwSilent(question, content, resourceTypeOf(question.to.typeUrl))
  }

  /** `--sotw-resume`: the client has this very version, and asks for all of a type that is always full state (rule 32). */
  #resumes(subscription: Subscription, set: ResourceSet): boolean {
    const { typeUrl, isWildcard, names, sent } = subscription
    const stated = this.#resumeVersions.get(typeUrl)
    this.#resumeVersions.delete(typeUrl)
    if (!this.#deps.options.sotwResume || sent !== undefined || !isWildcard || names !== noNames) return false
    return resourceTypeOf(typeUrl)?.isFullState === true && stated === set.version
  }

  /** Those that are news to the client: a full state has all of them. */
  #newClustersIn(question: Question, content: Content): readonly Resource[] {
    if (this.#kind.protocol === 'delta') return content.resources
    const [only] = question.from
    return question.from.length === 1
      ? diffSets(only, question.to).changed
      : question.from.flatMap((set) => diffSets(set, question.to).changed)
  }

  /**
   * What was sent warms, and needs what it names again, though that is unchanged: a cluster its assignment and secrets
   * (rules 58, 72), a listener its secrets and filter configurations (rule 73).
   */
  #oweFollowers(subscription: Subscription, sent: readonly Resource[]): void {
    const isFirst = subscription.sent === undefined
    if (this.#kind.protocol === 'sotw' && isFirst) return
    for (const [typeUrl, names] of followersOf(sent)) {
      const follower = this.#types.get(typeUrl)
      if (follower !== undefined) {
        const { subscription: before } = follower
        this.#update(follower, { ...before, owed: addOwed(before.owed, names) })
      } else if (isFirst) this.#followUp(typeUrl, names)
    }
  }

  // ---- what expires (rules 81–85)

  /** A TTL is told in delta, and in SotW to a client that knows the wrapper it goes in. */
  #hears(view: View): boolean {
    return (this.#isWrapped || this.#kind.protocol === 'delta') && isExpiring(view)
  }

  #keepAlive(view: View): void {
    this.#heart ??= new Heart(this.#deps.clock, this.#id, () => this.#guard(() => this.#beat()))
    for (const [typeUrl, { subscription }] of this.#types) {
      const expiring = expiringIn(setIn(view, typeUrl), subscription)
      if (expiring === undefined) this.#heart.drop(typeUrl)
      else this.#heart.keep(typeUrl, expiring.periodMs, subscription.initialVersions !== undefined)
    }
    this.#heart.arm()
  }

  #beat(): void {
    const [heart, view] = [this.#heart, this.#view]
    if (heart === undefined || view === undefined) return
    for (const [typeUrl, state] of this.#types) {
      if (!heart.isDue(typeUrl)) continue
      const set = setIn(view, typeUrl)
      const expiring = expiringIn(set, state.subscription)
      if (expiring === undefined) heart.drop(typeUrl)
      else heart.next(typeUrl, expiring.periodMs, !this.#sendHeartbeat(heart, state, set, expiring.names))
    }
    heart.arm()
    this.#advance()
  }

  /** False where nothing was said, because there is no room or it would say something else. */
  #sendHeartbeat(heart: Heart, state: TypeState, set: ResourceSet, expiring: NameSet): boolean {
    if (!this.#outbox.hasRoom()) return false
    const { typeUrl, isWildcard, names, mayHold, lastNonce } = state.subscription
    if (this.#kind.protocol === 'sotw' || typeUrl === hostType) return this.#sendAgain(state, set, expiring)
    const about = { to: set, isWildcard, names, owed: noNames, from: mayHold, initialVersions: undefined }
    const question: Question = { ...about, isComplete: true }
    const body = this.#deps.bodies.bodyOf(question, 'heartbeat', () => heartbeatContent(question, this.#canSend))
    if (body.content.frames.length === 0) return false
    for (const { bytes, nonce: number, part, resources } of body.messages(Number(lastNonce))) {
      const nonce = String(number)
      // Not among the responses under way: nothing waits for its verdict, and it brings the client nowhere.
      heart.noteSent(typeUrl, nonce, part ?? body.content.resources.map(({ name }) => name))
      state.subscription = sharedSubscription({ ...state.subscription, lastNonce: nonce })
      this.#outbox.write(bytes)
      state.record.heartbeat(bytes.length)
      this.#deps.onEvent?.({ kind: 'heartbeat', streamId: this.#id, typeUrl, nonce, resources, bytes: bytes.length })
    }
    return true
  }

  /**
   * Where a heartbeat without a body means something else, the same comes again in full: Envoy takes a SotW response
   * of them for an empty one, and a bodiless virtual host for one that does not exist (docs/protocol.md, rule 84).
   */
  #sendAgain(state: TypeState, set: ResourceSet, expiring: NameSet): boolean {
    const { subscription, type } = state
    const { sent, nacked, outstanding, owed, isWildcard, names } = subscription
    if (sent?.version !== set.version || nacked?.set.version === set.version) return false
    // A full state answers for all that is under way, a part does not.
    if (outstanding.length > 0 && type?.isFullState !== true) return false
    const again = set.typeUrl !== hostType ? expiring : isWildcard ? 'all' : names
    this.#update(state, { ...subscription, owed: addOwed(owed, again) })
    return true
  }

  /** A client in which it has expired cannot take a heartbeat of it: it gets that in full again. */
  #hearAnswer(heart: Heart, subscription: Subscription, request: SotwRequest | DeltaRequest): Subscription {
    const { typeUrl } = subscription
    const names = heart.answered(typeUrl, request.responseNonce)
    if (names === undefined || request.errorDetail === undefined) return subscription
    const reason = nackMessage(typeUrl, request.errorDetail.message)
    this.#log.warn({ type: wordOf(typeUrl), nonce: request.responseNonce, reason }, 'client rejected a heartbeat')
    return { ...subscription, owed: addOwed(subscription.owed, nameSetOf(names)) }
  }

  // ---- time, warnings, the end

  #wakeAt(atMs: number): void {
    this.#wakeAtMs = Math.min(this.#wakeAtMs, atMs)
  }

  #arm(): void {
    if (this.#wake !== undefined) {
      this.#wake.cancel()
      this.#wake = undefined
    }
    if (this.#wakeAtMs === Number.POSITIVE_INFINITY) return
    // A millisecond more, for timers may fire early by a fraction of one.
    const delayMs = Math.max(1, Math.ceil(this.#wakeAtMs - this.#deps.clock.now()) + 1)
    this.#wake = this.#deps.clock.after(delayMs, () => this.advance())
  }

  /** Made when there is something to log: a thousand streams would hold a thousand loggers for a few lines each. */
  get #log(): Log {
    const who = this.#node === undefined ? {} : { node: this.#node.id, group: this.#group }
    return this.#deps.log.child({ stream: this.#id, ...who })
  }

  /** As the stream's own, but for its warnings. */
  get #seldomLog(): Log {
    const warn = (fields: object, message: string): void => this.#warnSeldom(fields, message)
    return Object.assign(Object.create(this.#log) as Log, { warn })
  }

  #warnSeldom(fields: object, message: string): void {
    this.#deps.seldom.warn(() => this.#log, fields, message)
  }

  #warn(typeUrl: TypeUrl | undefined, message: string): void {
    if (this.#warned.has(message)) return
    this.#warned.add(message)
    this.#log.warn(
      { ...(typeUrl !== undefined && { type: wordOf(typeUrl).slice(0, maxShownLength) }), reason: message },
      'client warning',
    )
    this.#record.warned(message)
    this.#deps.onEvent?.({ kind: 'warning', streamId: this.#id, typeUrl, message })
  }

  #warnUnsendable(typeUrl: TypeUrl, all: readonly string[], isWithheld: boolean): void {
    const names = all.filter((name) => this.#rejections?.isUnknown(typeUrl, name) !== true)
    if (names.length === 0) {
      if (isWithheld) {
        this.#warn(
          typeUrl,
          `nothing of type ${wordOf(typeUrl)} is sent until ${all.slice(0, 5).join(', ')} is mended: what the client has of it in place of what it rejected was not sent by this server, and would be lost`,
        )
      }
      return
    }
    const { canSendSecrets } = this.#deps.options
    const why = canSendSecrets
      ? 'their sensitive content was not kept and their source was not read yet'
      : 'they are sensitive or not ready and this connection is not encrypted: serve with TLS, or --allow-plaintext-secrets'
    const what = isWithheld
      ? `nothing of type ${wordOf(typeUrl)} is sent, because`
      : `some of type ${wordOf(typeUrl)} are not sent:`
    this.#warn(typeUrl, `${what} ${names.slice(0, 5).join(', ')}${names.length > 5 ? ', …' : ''}: ${why}`)
  }

  #fail(code: status, details: string): void {
    if (this.#isClosed) return
    if (code !== status.UNAVAILABLE) this.#log.warn({ reason: details }, 'stream refused')
    this.#release(details)
    this.#call.end(code, details)
  }

  /** Exactly once, whichever way the stream ends (rule 16). */
  #release(reason: string): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#watch?.close()
    this.#wake?.cancel()
    this.#heart?.stop()
    if (this.#isEntering || !this.#isAdmitted) this.#deps.admission?.leave(this)
    this.#outbox.close()
    if (this.#node !== undefined) this.#deps.memory?.forget(this.#clientKey, this, this.#deps.clock.now())
    this.#types.clear()
    if (this.#rejectionRecord !== undefined) this.#deps.rejections?.leave(this.#rejectionRecord)
    if (this.#node !== undefined) this.#log.info({ reason }, 'client gone')
    this.#record.closed()
    this.#deps.onEvent?.({ kind: 'close', streamId: this.#id, reason })
    this.#onClosed(this)
  }
}
