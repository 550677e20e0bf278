import { status } from '@grpc/grpc-js'
import type { Group, Watch } from '../cache/cache.ts'
import type { Timer } from '../clock.ts'
import { messageOf } from '../errors.ts'
import type { Log } from '../log.ts'
import { decodeNode, decodeNodeId } from '../resource/decode-node.ts'
import type { Node } from '../resource/node.ts'
import { type ResourceType, resourceTypeOf, resourceTypes, type TypeUrl, wordOf } from '../resource/type-url.ts'
import { diffSets } from '../snapshot/resource-set.ts'
import { type Call, type CallListener, internalError } from './call.ts'
import { clientKeyOf } from './client-key.ts'
import type { Conversation } from './conversation.ts'
import type { Doubter } from './fence/barrier.ts'
import { maxUnheard, StreamFence, type Unheard } from './fence/stream-fence.ts'
import type { Entrant } from './flow/admission.ts'
import type { Sender } from './flow/fan-out.ts'
import { Outbox } from './flow/outbox.ts'
import { noNames } from './protocol/names.ts'
import type { ReadRequest, Request } from './protocol/request-reader.ts'
import type { EmptyListRule } from './protocol/sotw.ts'
import { addOwed, isOwing, type Verdict } from './protocol/subscription.ts'
import { needsPulse, Pulse } from './pulse.ts'
import { RejectionRecord } from './rejection/rejection-book.ts'
import { StreamRejections } from './rejection/stream-rejections.ts'
import { maxUnknownTypes, RequestLimits } from './request-limits.ts'
import type { StreamRecord } from './status.ts'
import type { StreamDeps, StreamKind } from './stream-deps.ts'
import type { Protocol } from './stream-event.ts'
import { maxShownLength, StreamWarnings } from './stream-warning.ts'
import { Telling } from './telling.ts'
import { isClaiming, type LiveClient, type Remembered, type Stated } from './transition/client-memory.ts'
import { followersOf } from './transition/cluster-news.ts'
import { type Meanwhile, withNewerLeaves } from './transition/past-views.ts'
import { plan } from './transition/planner.ts'
import { maxResumingMs, Progress } from './transition/progress.ts'
import { changeBetween, isUser, type View } from './transition/view.ts'
import { TypeBook, type TypeState } from './type-book.ts'
import { Verdicts } from './verdicts.ts'

const clusterType = resourceTypes.cluster.typeUrl
const endpointType = resourceTypes.endpoint.typeUrl

let lastStreamId = 0

/** Of an Envoy that has something, and has not said yet which clusters. */
interface Placing {
  /** For it may have none: from when it can be answered, infinite before. */
  untilMs: number
  /** What it asks for of the types that send requests to clusters. */
  readonly unheard: Unheard[]
}

/** The two rules are two objects, for requests are remembered with theirs. */
const emptyIsWildcard: EmptyListRule = { isWildcardWhenEmpty: true }
const emptyIsNothing: EmptyListRule = { isWildcardWhenEmpty: false }

/**
 * One gRPC call of one client: what it asked, what it has, and what it is to be told next. It reads requests through the
 * protocol's pure functions, follows one watch, takes its steps from `planner.ts` and writes shared bodies.
 */
export class Stream implements Conversation, Sender, Entrant, Doubter, CallListener, LiveClient {
  readonly id: number = ++lastStreamId
  readonly protocol: Protocol
  readonly deps: StreamDeps
  readonly types: TypeBook = new TypeBook()
  readonly progress: Progress
  readonly outbox: Outbox
  readonly record: StreamRecord
  readonly #call: Call
  /** Undefined on ADS. */
  readonly #typeOfService: TypeUrl | undefined
  readonly #onClosed: (stream: Stream) => void
  #node: Node | undefined
  /** Of the node: what it had is remembered by it. */
  #clientKey = ''
  /** Since its node is known. */
  #telling: Telling | undefined
  #watch: Watch | undefined
  /** The one that `#target` is of: the watch may be in another one already. */
  #group: Group | undefined
  /** The newest that the watch told, until the stream looks at it, and the group that it is of. */
  #news: View | undefined
  #newsGroup: Group | undefined
  /** What the client should have in the end; undefined while there is nothing to serve (rule 104). */
  #target: View | undefined
  /** What it is to have now. */
  #view: View | undefined
  /** What it had when it had last answered everything. */
  #steadyView: View | undefined
  /** The client was told all that it is to have, and nothing waits for time or room. */
  #isSettled = false
  /** It was so when the stream last looked, and no request has changed it since. */
  #hadAll = false
  #wakeAtMs = Number.POSITIVE_INFINITY
  #wake: Timer | undefined
  /** Its turn for a first answer has come. */
  #isAdmitted = false
  /** It was let in, and has not taken that answer yet. */
  #isEntering = false
  /** What the client had when the stream began is known, as far as it can be. */
  #isPlaced = false
  /** What is in force here may be older than what the client has: nothing says yet that it is not. */
  #mayLag: boolean
  #isHeldBack = false
  #isClosed = false
  // Most streams never need what follows.
  /** Of a client that says what it has, until it is known that what is in force here is not older. */
  #fence: StreamFence | undefined
  #unheard: Unheard[] | undefined
  #placing: Placing | undefined
  #verdicts: Verdicts | undefined
  #rejectionRecord: RejectionRecord | undefined
  #pulse: Pulse | undefined
  #limits: RequestLimits | undefined
  #saidWarnings: StreamWarnings | undefined

  constructor(call: Call, kind: StreamKind, deps: StreamDeps, onClosed: (stream: Stream) => void) {
    const { protocol, typeUrl: service } = kind
    this.protocol = protocol
    this.deps = deps
    this.#call = call
    this.#typeOfService = service
    this.#onClosed = onClosed
    this.#mayLag = deps.barrier !== undefined
    this.outbox = new Outbox(call, deps.fanOut, deps.clock, this)
    this.progress = new Progress(deps.options)
    this.record = deps.status.open({ streamId: this.id, protocol, peer: call.peer, service })
    deps.onEvent?.({ kind: 'open', streamId: this.id, protocol, method: call.path, peer: call.peer })
  }

  // ---- what the call tells

  receive(bytes: Buffer): void {
    if (this.#isClosed) return
    try {
      this.#receive(bytes)
    } catch (error) {
      this.#crash(error)
    }
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
    this.deps.fanOut.schedule(this, true)
  }

  prove(): void {
    this.#openFence()
    // It takes its turn, for thousands may be held back.
    if (this.#unheard !== undefined || this.#isHeldBack) this.deps.fanOut.schedule(this, true)
  }

  get isAsked(): boolean {
    return this.types.isOwing
  }

  /** Brings the client as far as it can be brought now: called when anything changed. */
  advance(): void {
    try {
      this.#advance()
    } catch (error) {
      this.#crash(error)
    }
  }

  leave(): Remembered | undefined {
    return this.#view && this.progress.leave(this.protocol, this.#view, this.types.values())
  }

  // ---- requests

  #receive(bytes: Buffer): void {
    const typeOfService = this.#typeOfService
    let read: ReadRequest
    try {
      read = this.deps.requests[this.protocol].read(bytes, this.types)
      if (!this.#meetNode(read.request.node)) return
    } catch (error) {
      this.#fail(status.INVALID_ARGUMENT, `the request cannot be read: ${messageOf(error)}`)
      return
    }
    const typeUrl = read.request.typeUrl || (typeOfService ?? '')
    if (typeUrl === '') {
      this.#fail(status.INVALID_ARGUMENT, 'type_url is missing: on an aggregated stream every request must have it')
      return
    }
    if (typeOfService !== undefined && typeUrl !== typeOfService) {
      const shown = typeUrl.slice(0, maxShownLength)
      this.#fail(status.INVALID_ARGUMENT, `type_url is ${shown}, but this service is for ${typeOfService}`)
      return
    }
    if (this.#mayLag) this.#noteClaim(typeUrl, read)
    if (this.#unheard !== undefined || (this.#fence !== undefined && this.#isFenced())) {
      this.#hearLater(typeUrl, read)
      return
    }
    if (this.#hear(typeUrl, read)) return
    this.#hadAll = false
    this.#advance()
  }

  /** Takes the node of the first request (rules 1–3). False when the stream had to end. */
  #meetNode(bytes: Uint8Array | undefined): boolean {
    if (this.#node !== undefined) {
      if (bytes !== undefined && decodeNodeId(bytes) !== this.#node.id) {
        this.warnings.once(undefined, 'a later request names another node.id; the stream stays with the first')
      }
      return true
    }
    const node = bytes === undefined ? undefined : decodeNode(bytes)
    if (node === undefined || node.id === '') {
      const what = node === undefined ? 'node is missing in the first request' : 'node.id is empty'
      this.#fail(status.INVALID_ARGUMENT, `${what}: set node.id in the bootstrap, for it selects the configuration`)
      return false
    }
    this.#node = node
    this.#clientKey = clientKeyOf(node)
    this.#telling = new Telling(this, node)
    // A thousand streams are told of a change one after another: each looks at it in its turn, in one go.
    this.#watch = this.deps.cache.watch(node, (snapshot, group) => {
      this.#notePast()
      this.#news = snapshot
      this.#newsGroup = group
      this.deps.fanOut.schedule(this)
    })
    this.#target = this.#watch.snapshot
    this.#group = this.#watch.group
    const { label } = this.#group
    const rejected = this.deps.rejections?.find(node)
    if (rejected !== undefined) this.#goBy(rejected, node)
    this.log.info({ peer: this.#call.peer, protocol: this.protocol }, 'client connected')
    this.record.joined(node, label)
    this.deps.onNode?.(node)
    this.deps.onEvent?.({ kind: 'node', streamId: this.id, node, group: label })
    return true
  }

  /** At once, for a client of another replica may come with what is the past now before this stream has its turn. */
  #notePast(): void {
    if (this.#verdicts !== undefined) return
    const hasNews = this.#news !== undefined
    const before = hasNews ? this.#news : this.#target
    const group = hasNews ? this.#newsGroup : this.#group
    if (before !== undefined) this.deps.past?.note(group?.key ?? '', before)
  }

  /** What the watch told since the stream last looked. */
  #takeNews(): void {
    const snapshot = this.#news
    if (snapshot === undefined) return
    this.#news = undefined
    this.#follow(snapshot)
    this.#isSettled = false
    if (this.#newsGroup !== this.#group) this.#moveTo(this.#newsGroup)
  }

  #follow(snapshot: View): void {
    const rejections = this.#verdicts?.rejections
    if (this.#isSettled && this.#view !== undefined && this.types.hasAnsweredAll) {
      this.#steadyView = this.#view
      rejections?.noteSteady(this.#view)
    }
    if (rejections !== undefined) {
      rejections.follow(snapshot, this.deps.clock.now())
      return
    }
    this.#target = snapshot
  }

  /** Selectors come and go, and a client that connected before the first read was in no group at all. */
  #moveTo(group: Group | undefined): void {
    const before = this.#group
    this.#group = group
    const label = group?.label ?? ''
    if (label === before?.label) return
    this.record.movedTo(label)
    this.deps.onEvent?.({ kind: 'group', streamId: this.id, group: label })
  }

  /** True when nothing can follow from the request. */
  #hear(typeUrl: TypeUrl, read: ReadRequest): boolean {
    if (!this.#isPlaced) {
      if (this.types.get(typeUrl) === undefined) this.#isPlaced = this.#place(typeUrl, read)
      if (this.#placing !== undefined && !this.#isPlaced && isUser(typeUrl)) {
        this.#placing.unheard.push({ typeUrl, read })
        // It may ask for virtual hosts as fast as they are called.
        if (this.#placing.unheard.length > maxUnheard) this.#placeAnyhow(this.#placing)
        return false
      }
    }
    const isDone = this.#subscribe(typeUrl, read)
    if (this.#placing === undefined || !this.#isPlaced) return isDone
    this.#hearRest(this.#placing)
    return false
  }

  /** True when nothing can follow from the request: an ACK by a client that has everything. */
  #subscribe(typeUrl: TypeUrl, read: ReadRequest): boolean {
    const known = this.types.get(typeUrl)
    const type = known === undefined ? resourceTypeOf(typeUrl) : known.type
    if (known === undefined && type === undefined && !this.#mayBeUnknown(typeUrl)) return true
    const { request } = read
    if (type?.isDeltaOnly === true && this.protocol === 'sotw') {
      const only = `${type.service} exists in the delta protocol only: set api_type DELTA_GRPC; not answered`
      this.warnings.once(typeUrl, only)
      return true
    }
    const before = known?.subscription
    const rule = known?.rule ?? this.#ruleOf(type)
    const held = known === undefined ? this.#heldOf(typeUrl, request) : undefined
    const { verdict, isChanged, isRepeated, subscription: received } = read.receive(typeUrl, before, rule)
    let subscription = received
    if (held !== undefined) subscription = { ...received, initialVersions: held.size > 0 ? held : undefined }
    if (this.#pulse !== undefined) subscription = this.#pulse.hear(subscription, request)
    if (isRepeated && !this.#mayRepeat(typeUrl)) subscription = { ...subscription, owed: before?.owed ?? noNames }
    let state = known
    if (state === undefined) {
      const owed = this.#telling?.takeOwed(typeUrl)
      if (owed !== undefined) subscription = { ...subscription, owed: addOwed(subscription.owed, owed) }
      const statedVersion = 'versionInfo' in request ? request.versionInfo : ''
      const earlier = this.progress.earlierOf(typeUrl, this.protocol === 'sotw' ? statedVersion : undefined)
      state = { type, rule, record: this.record.typeOf(typeUrl), statedVersion, earlier, subscription }
      this.types.add(typeUrl, state)
    } else this.types.put(state, subscription)
    if (verdict !== undefined && before !== undefined) {
      const now = this.deps.clock.now()
      this.progress.noteVerdict(before, subscription, verdict, now)
      this.#takeVerdict(state, verdict, now)
    }
    if (isChanged) {
      const { isWildcard, names } = subscription
      state.record.asked(names.names.length, isWildcard)
      this.deps.onEvent?.({ kind: 'request', streamId: this.id, typeUrl, names: names.names.length, isWildcard })
    }
    return this.#isSettled && verdict?.kind === 'ack' && !isChanged && !isOwing(subscription)
  }

  /** What a delta client has that does not say it rightly, for it rejected something; undefined where it does. */
  #heldOf(typeUrl: TypeUrl, request: Request): ReadonlyMap<string, string> | undefined {
    const rejections = this.#verdicts?.rejections
    if (rejections === undefined || !('initialVersions' in request)) return undefined
    const held = rejections.held(typeUrl, request.initialVersions)
    return held === request.initialVersions ? undefined : held
  }

  /**
   * Learns what the client had before this stream by what it says first: one that was here before goes on from where it was,
   * not from what it should have (see `planner.ts`). False while too little was said.
   */
  #place(typeUrl: TypeUrl, read: ReadRequest): boolean {
    const { memory, past, clock } = this.deps
    if (memory === undefined || this.#telling === undefined || this.#typeOfService !== undefined) return true
    const { protocol } = this
    this.#takeNews()
    const now = clock.now()
    const isLate = typeUrl !== clusterType && this.#telling.isEnvoy
    const stated = this.#statedIn(typeUrl, read, isLate)
    // Envoy begins with its clusters, save while one of them warms. What else it says fits to many places: listeners are
    // mostly equal in all of them, and of assignments it states a version of the way.
    let left = memory.recall(this.#clientKey, protocol, stated, now)
    if (left === undefined && isLate && (this.#placing !== undefined || isClaiming(stated))) {
      this.#placing ??= { untilMs: Number.POSITIVE_INFINITY, unheard: [] }
      const awaited = this.#meanwhile()?.awaited.get(typeUrl)
      if (protocol === 'delta' && awaited !== undefined) this.#telling.owe(typeUrl, awaited)
      return false
    }
    // It may still say where it is: a new cluster's assignment, or a layer that is unknown here, it asks for as if it were new.
    if (left === undefined && isLate && !isUser(typeUrl)) return false
    memory.enter(this.#clientKey, this)
    const group = this.#watch?.group
    if (left === undefined && this.#target !== undefined && group !== undefined) {
      left = past?.recall(group.key, protocol, stated, this.#target, () => this.deps.cache.pastOf(group))
    }
    this.#view = left?.view
    if (left === undefined) return true
    if (this.#target !== undefined && !changeBetween(left.view, this.#target).isPlain) {
      // Of what is gone by now it may have taken newer endpoints elsewhere: they do not go back.
      const meanwhile = this.#meanwhile()
      if (meanwhile !== undefined) this.#view = withNewerLeaves(left.view, meanwhile)
    }
    this.progress.resume(left, now)
    // Those that it has not answered may be warming still, and what they wait for may not have come.
    const [accepted, ...unanswered] = left.mayHold.get(clusterType) ?? []
    if (protocol === 'sotw') return true
    for (const set of unanswered) {
      for (const [type, names] of followersOf(diffSets(accepted, set).changed)) this.#telling.owe(type, names)
    }
    return true
  }

  #statedIn(typeUrl: TypeUrl, read: ReadRequest, isLate: boolean): Stated {
    const { request } = read
    const said =
      'versionInfo' in request
        ? { typeUrl, isLate, versionInfo: request.versionInfo }
        : { typeUrl, isLate, initialVersions: this.#heldOf(typeUrl, request) ?? request.initialVersions }
    if (!isLate || typeUrl !== endpointType) return said
    const { names } = read.receive(typeUrl, undefined, this.#ruleOf(resourceTypeOf(typeUrl))).subscription
    return { ...said, assignments: names }
  }

  #goOnPlacing(placing: Placing, target: View): void {
    const now = this.deps.clock.now()
    if (placing.untilMs === Number.POSITIVE_INFINITY) placing.untilMs = now + maxResumingMs(this.deps.options)
    const meanwhile = this.#meanwhile()
    if (meanwhile?.hasClusters === false) {
      this.#placeNowhere(placing)
      return
    }
    if (now >= placing.untilMs) {
      this.#placeAnyhow(placing)
      return
    }
    this.#view = meanwhile?.view ?? target
    this.#wakeAt(placing.untilMs)
  }

  /** It has not asked for clusters in time, or asks for more than can be put off. */
  #placeAnyhow(placing: Placing): void {
    const types = [...new Set(placing.unheard.map(({ typeUrl }) => wordOf(typeUrl)))]
    if (types.length > 0) {
      this.warnings.seldom({ types }, 'the client has not said which clusters it has: going on without')
    }
    this.#placeNowhere(placing)
  }

  #placeNowhere(placing: Placing): void {
    this.#isPlaced = true
    this.#view = undefined
    this.deps.memory?.enter(this.#clientKey, this)
    this.#hearRest(placing)
  }

  #hearRest({ unheard }: Placing): void {
    this.#placing = undefined
    for (const { typeUrl, read } of unheard) this.#subscribe(typeUrl, read)
  }

  /** What a client is told that is not placed yet. */
  #meanwhile(): Meanwhile | undefined {
    const { past, cache } = this.deps
    const group = this.#watch?.group
    if (this.#target === undefined || group === undefined) return undefined
    return past?.meanwhile(group.key, this.#target, () => cache.pastOf(group))
  }

  #mayBeUnknown(typeUrl: TypeUrl): boolean {
    this.#limits ??= new RequestLimits()
    if (this.#limits.mayBeUnknown()) {
      const shown = typeUrl.slice(0, maxShownLength)
      this.warnings.once(typeUrl, `type ${shown} is not known here: it is served if there are resources of it`)
      return true
    }
    const what = `the client asks for more than ${maxUnknownTypes} types that are not known here; the rest is not answered`
    this.warnings.once(undefined, what)
    return false
  }

  /** A client that asks the same over and over must not make a loop of it. */
  #mayRepeat(typeUrl: TypeUrl): boolean {
    this.#limits ??= new RequestLimits()
    if (this.#limits.mayRepeat(this.deps.clock.now())) return true
    const what = `the client repeats its requests of type ${wordOf(typeUrl)} without end; some are not answered`
    this.warnings.once(typeUrl, what)
    return false
  }

  #ruleOf(type: ResourceType | undefined): EmptyListRule {
    return (type?.isWildcardByDefault ?? true) && this.#telling?.isGrpc !== true ? emptyIsWildcard : emptyIsNothing
  }

  #takeVerdict(state: TypeState, verdict: Verdict, nowMs: number): void {
    if (this.#isEntering) this.#beIn()
    if (verdict.kind === 'ack') {
      const { typeUrl, nacked } = state.subscription
      const { nonce, set, atMs, isComplete } = verdict.sent
      const { version } = set
      const ms = nowMs - atMs
      const isPartial = !isComplete || nacked !== undefined
      this.types.noteAccepted(state, version)
      state.record.acked(version, ms, isPartial)
      this.deps.onEvent?.({ kind: 'ack', streamId: this.id, typeUrl, version, nonce, ms, isPartial })
      if (this.#verdicts === undefined && verdict.late === undefined) return
    }
    this.#isSettled = false
    const verdicts = this.#verdicts ?? this.#beginRejections()
    verdicts.take(state, verdict, nowMs)
  }

  #beginRejections(): Verdicts {
    const node = this.#node as Node
    return this.#goBy(this.deps.rejections?.open(node) ?? new RejectionRecord(), node)
  }

  #goBy(rejected: RejectionRecord, node: Node): Verdicts {
    this.#rejectionRecord = rejected
    this.deps.rejections?.join(node, rejected)
    const rejections = new StreamRejections(rejected, this.#clientKey, this.#target)
    if (this.#steadyView !== undefined) rejections.noteSteady(this.#steadyView)
    if (this.#telling !== undefined) this.#telling.rejections = rejections
    this.record.rejected(rejections)
    this.#verdicts = new Verdicts(this, rejections)
    return this.#verdicts
  }

  // ---- the fence (rule 87)

  /** Of what a client says that it has, the first of each type counts: later it speaks of what it was told here. */
  #noteClaim(typeUrl: TypeUrl, read: ReadRequest): void {
    const { request } = read
    if (!isClaiming(request) || this.types.get(typeUrl) !== undefined || this.#fence?.isOpenTo(typeUrl) === false)
      return
    const { barrier, clock, options } = this.deps
    if (this.#fence === undefined) {
      this.#fence = new StreamFence(clock.now() + options.transitionTimeoutMs)
      barrier?.enter(this)
    }
    this.#aim()
    const { isWildcard, names } = read.receive(typeUrl, undefined, this.#ruleOf(resourceTypeOf(typeUrl))).subscription
    const said =
      'versionInfo' in request ? { versionInfo: request.versionInfo } : { initialVersions: request.initialVersions }
    this.#fence.note({ typeUrl, isWildcard, names, ...said }, this.#target)
  }

  /** What is in force may be older than what the client has. */
  #isFenced(): boolean {
    const fence = this.#fence
    if (fence === undefined) return false
    this.#aim()
    if (this.#target === undefined || fence.admits(this.#target)) return false
    if (this.deps.clock.now() < fence.openAtMs) return true
    this.deps.barrier?.leave(this)
    this.#openFence()
    return false
  }

  #openFence(): void {
    this.#fence = undefined
    this.#mayLag = false
  }

  #hearLater(typeUrl: TypeUrl, read: ReadRequest): void {
    this.#unheard ??= []
    this.#unheard.push({ typeUrl, read })
    if (this.#unheard.length > maxUnheard) {
      this.#fail(status.RESOURCE_EXHAUSTED, `more than ${maxUnheard} requests while the client is held back`)
      return
    }
    this.#advance()
  }

  #holdBack(openAtMs: number): void {
    this.#isSettled = false
    this.#hadAll = false
    this.#wakeAtMs = openAtMs
    if (this.#placing !== undefined) this.#placing.untilMs = Number.POSITIVE_INFINITY
    this.#arm()
    // It takes no place from those that can be answered.
    if (this.#isEntering || !this.#isAdmitted) {
      this.#isEntering = false
      this.#isAdmitted = false
      this.deps.admission?.leave(this)
    }
    if (this.#isHeldBack) return
    this.#isHeldBack = true
    this.deps.barrier?.hold(this)
    this.record.heldBack(true)
  }

  /** Hears what was said while it was held back, as if it were said now. */
  #goOn(): void {
    if (this.#isHeldBack) {
      this.#isHeldBack = false
      this.deps.barrier?.letGo(this)
      this.record.heldBack(false)
    }
    const unheard = this.#unheard ?? []
    this.#unheard = undefined
    for (const { typeUrl, read } of unheard) this.#hear(typeUrl, read)
    this.#hadAll = false
  }

  // ---- answers and pushes

  /** What the client should have in the end, as of now. */
  #aim(): void {
    this.#takeNews()
    const rejections = this.#verdicts?.rejections
    if (rejections !== undefined) this.#target = rejections.target(this.#view, this.deps.clock.now())
  }

  #advance(): void {
    if (this.#isClosed) return
    this.#aim()
    if (this.#fence !== undefined && this.#isFenced()) {
      this.#holdBack(this.#fence.openAtMs)
      return
    }
    if (this.#unheard !== undefined || this.#isHeldBack) {
      this.#goOn()
      this.#aim()
    }
    const rejections = this.#verdicts?.rejections
    const telling = this.#telling
    if (this.#target === undefined || telling === undefined) return
    if (!this.#isAdmitted && !this.#enter()) return
    const hadAll = this.#hadAll
    this.#isSettled = false
    this.#hadAll = false
    this.#wakeAtMs = rejections?.dueMs ?? Number.POSITIVE_INFINITY
    if (this.#placing !== undefined) this.#goOnPlacing(this.#placing, this.#target)
    const isPlacing = this.#placing !== undefined
    this.#view ??= this.#target
    let types: readonly TypeUrl[] | undefined
    if (this.#view !== this.#target && !isPlacing) {
      const change = changeBetween(this.#view, this.#target)
      if (change.isPlain) {
        this.#view = this.#target
        // A client that had everything lacks just these. What follows a cluster is found by looking at every type.
        if (hadAll && !change.types.includes(clusterType)) types = change.types
      }
    }
    for (;;) {
      // Plan first, so that after a wait only the newest is said.
      const isMoved = !isPlacing && this.#view !== this.#target && this.#step(this.#view, this.#target)
      const before = this.types.updates
      if (!telling.bringTo(this.#view, types)) return
      this.#wakeAt(telling.dueMs)
      if (this.#view === this.#target || (!isMoved && before === this.types.updates)) break
    }
    this.#isSettled = this.#view === this.#target && this.#wakeAtMs === Number.POSITIVE_INFINITY
    this.#hadAll = this.#isSettled
    if (rejections !== undefined) this.#wakeAt(rejections.retryAtMs)
    this.#arm()
    // A client that lacks nothing has nothing to answer, and one that is waited for may say nothing for long.
    if (this.#isEntering && (this.#isSettled || isPlacing) && this.types.hasAnsweredAll) this.#beIn()
    if (this.#pulse !== undefined || needsPulse(telling.encoding, this.#view)) {
      this.#pulse ??= new Pulse(this, telling.encoding, () => this.#beat())
      this.#pulse.keepAlive(this.#view)
    }
  }

  /** False while it waits for its turn (rule 88): what it asks meanwhile is noted, and answered then. */
  #enter(): boolean {
    const { admission } = this.deps
    this.#isEntering = admission?.enter(this) === true
    this.#isAdmitted = this.#isEntering || admission === undefined
    return this.#isAdmitted
  }

  #beIn(): void {
    this.#isEntering = false
    this.deps.admission?.leave(this)
  }

  /** Takes the next step of the transition. False while it must wait. */
  #step(from: View, to: View): boolean {
    const now = this.deps.clock.now()
    const log = (): Log => this.warnings.seldomLog
    const { client, lookAgainAtMs } = this.progress.stateOf(this.types.values(), now, log)
    this.#wakeAt(lookAgainAtMs)
    this.#view = plan(this.#verdicts?.rejections.withoutRejected(from) ?? from, to, client).view
    return this.#view !== from
  }

  // ---- time, warnings, the end

  #beat(): void {
    if (this.#isClosed || this.#view === undefined) return
    try {
      this.#pulse?.beat(this.#view)
      this.#advance()
    } catch (error) {
      this.#crash(error)
    }
  }

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
    const delayMs = Math.max(1, Math.ceil(this.#wakeAtMs - this.deps.clock.now()) + 1)
    this.#wake = this.deps.clock.after(delayMs, () => this.advance())
  }

  /** Made when there is something to log: a thousand streams would hold a thousand loggers for a few lines each. */
  get log(): Log {
    const who = this.#node === undefined ? {} : { node: this.#node.id, group: this.#group?.label ?? '' }
    return this.deps.log.child({ stream: this.id, ...who })
  }

  get warnings(): StreamWarnings {
    this.#saidWarnings ??= new StreamWarnings(this.deps, this.record, () => this.log)
    return this.#saidWarnings
  }

  #crash(error: unknown): void {
    this.log.error({ err: error }, 'stream failed')
    this.#fail(status.INTERNAL, internalError)
  }

  #fail(code: status, details: string): void {
    if (this.#isClosed) return
    if (code !== status.UNAVAILABLE) this.warnings.seldom({ warning: details }, 'stream refused')
    this.#release(details)
    this.#call.end(code, details)
  }

  /** Exactly once, whichever way the stream ends (rule 16). */
  #release(reason: string): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#watch?.close()
    this.#wake?.cancel()
    this.#pulse?.stop()
    if (this.#isEntering || !this.#isAdmitted) this.deps.admission?.leave(this)
    if (this.#fence !== undefined || this.#isHeldBack) this.deps.barrier?.leave(this)
    this.#unheard = undefined
    this.outbox.close()
    if (this.#node !== undefined) this.deps.memory?.forget(this.#clientKey, this, this.deps.clock.now())
    this.types.clear()
    if (this.#rejectionRecord !== undefined) this.deps.rejections?.leave(this.#rejectionRecord)
    if (this.#node !== undefined) this.log.info({ reason }, 'client gone')
    this.record.closed()
    this.deps.onEvent?.({ kind: 'close', streamId: this.id, reason })
    this.#onClosed(this)
  }
}
