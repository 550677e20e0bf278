import { messageOf } from '../../errors.ts'
import type { Log } from '../../log.ts'
import { resourceTypes } from '../../resource/type-url.ts'
import { ConfigRejection } from '../config/config-rejection.ts'
import type { ProxyContext } from '../proxy-context.ts'
import { BackOff } from './back-off.ts'
import type { CollectionTopic } from './collection-topic.ts'
import { contentOf } from './content.ts'
import { DeltaTalk } from './delta-talk.ts'
import type { DiscoveredResource, Discovery, NamedType, WildcardType } from './discovery.ts'
import { type Arrived, decodeDeltaResponse, decodeSotwResponse, type Response } from './envelopes.ts'
import type { Misbehaviour, OutgoingRequest } from './misbehaviour.ts'
import type { NamedTopic } from './named-topic.ts'
import { delivered } from './refusal.ts'
import { SotwTalk } from './sotw-talk.ts'
import { keepStream } from './stream-keeper.ts'
import type { Arrival, Topic, TopicOwner } from './topic.ts'
import { createCollection, createNamed } from './topics.ts'
import type { XdsServer } from './xds-server.ts'

export interface AdsOptions {
  readonly protocol: 'sotw' | 'delta'
  readonly server: XdsServer
  /** A `Node` message of Envoy's API. */
  readonly node: object
  /** Only the first request of a stream says who the proxy is. */
  readonly saysNodeOnce: boolean
  /** Between tries to open the stream. */
  readonly pauses: { readonly firstMs: number; readonly longestMs: number }
}

export interface DiscoveryOptions {
  readonly context: ProxyContext
  readonly ads: AdsOptions
  /** `initial_fetch_timeout` of `cds_config` and `lds_config`; Envoy's 15 s where absent. */
  readonly clusterTimeoutMs?: number | undefined
  readonly listenerTimeoutMs?: number | undefined
  readonly misbehaviour?: Misbehaviour | undefined
}

/** The discovery of one proxy, by its one stream, and what a test may do to that. */
export interface AdsDiscovery extends Discovery {
  /** The stream is read no more, as that of a proxy that hangs. */
  stall(): void
  resume(): void
  /** Breaks the stream; another one is opened. */
  disconnect(): void
  /** What was taken of a type, and is wanted still. */
  held(type: WildcardType | NamedType): readonly DiscoveredResource[]
  close(): void
}

type AnyType = WildcardType | NamedType

const methods = {
  sotw: '/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources',
  delta: '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources',
} as const

export function createDiscovery(options: DiscoveryOptions): AdsDiscovery {
  return new AggregatedDiscovery(options)
}

/** One type that is talked about on the stream. */
interface Subject {
  readonly type: AnyType
  readonly typeUrl: string
  readonly topic: Topic
  /** How many want its requests to wait. */
  pauses: number
  /** How many responses were heard that are not answered yet. */
  unanswered: number
}

class AggregatedDiscovery implements AdsDiscovery, TopicOwner {
  readonly clock: ProxyContext['clock']
  readonly log: Log
  readonly #context: ProxyContext
  readonly #options: DiscoveryOptions
  readonly #misbehaviour: Misbehaviour
  readonly #subjects = new Map<string, Subject>()
  /** In the order in which they were first asked for, which is the order on a new stream. */
  readonly #asked = new Set<Subject>()
  readonly #subjectOf = new Map<Topic, Subject>()
  readonly #stream: ReturnType<typeof keepStream>
  /** Who has something to say, first come first served. */
  #due = new Set<Subject>()
  #isFlushing = false
  /** What is still to be said of responses that were taken or refused. */
  #unsettled: (() => void)[] = []
  #isNodeSaid = false
  #isClosed = false

  constructor(options: DiscoveryOptions) {
    const { context, ads } = options
    this.#options = options
    this.#context = context
    this.#misbehaviour = options.misbehaviour ?? {}
    this.clock = context.clock
    this.log = context.log
    const connected = context.stats.gauge('control_plane.connected_state')
    this.#stream = keepStream(
      {
        server: ads.server,
        method: methods[ads.protocol],
        clock: context.clock,
        log: context.log,
        backOff: new BackOff(context.random, ads.pauses.firstMs, ads.pauses.longestMs),
      },
      {
        onOpen: () => {
          connected.set(1)
          this.#begin()
        },
        onMessage: (bytes) => this.#onMessage(bytes),
        onClosed: () => {
          connected.set(0)
          this.#settle()
          for (const { topic } of this.#subjects.values()) if (topic.isWatched) topic.onFailed()
        },
      },
    )
  }

  watchAll: Discovery['watchAll'] = (type, watcher) => {
    return (this.#ask(type).topic as CollectionTopic).watch(watcher)
  }

  watch: Discovery['watch'] = (type, name, watcher, options = {}) => {
    return (this.#ask(type).topic as NamedTopic).watch(name, watcher, options)
  }

  pause(type: AnyType): () => void {
    const subject = this.#subject(type)
    subject.pauses++
    let isPaused = true
    return () => {
      if (!isPaused) return
      isPaused = false
      if (--subject.pauses === 0) this.onDue(subject.topic)
    }
  }

  onDue(topic: Topic): void {
    const subject = this.#subjectOf.get(topic)
    if (subject === undefined) return
    this.#due.add(subject)
    if (this.#isFlushing) return
    this.#isFlushing = true
    // What is asked for in one go goes out in one request.
    queueMicrotask(() => this.#flush())
  }

  stall(): void {
    this.#stream.stall()
  }

  resume(): void {
    this.#stream.resume()
  }

  held(type: AnyType): readonly DiscoveredResource[] {
    return this.#subjects.get(resourceTypes[type].typeUrl)?.topic.held ?? []
  }

  disconnect(): void {
    this.#stream.disconnect()
  }

  close(): void {
    this.#isClosed = true
    this.#stream.close()
    for (const { topic } of this.#subjects.values()) topic.close()
  }

  #subject(type: AnyType): Subject {
    const { typeUrl } = resourceTypes[type]
    const known = this.#subjects.get(typeUrl)
    if (known !== undefined) return known
    const subject: Subject = { type, typeUrl, topic: this.#createTopic(type, typeUrl), pauses: 0, unanswered: 0 }
    this.#subjects.set(typeUrl, subject)
    this.#subjectOf.set(subject.topic, subject)
    return subject
  }

  #ask(type: AnyType): Subject {
    const subject = this.#subject(type)
    this.#asked.add(subject)
    return subject
  }

  #createTopic(type: AnyType, typeUrl: string): Topic {
    const talk = this.#options.ads.protocol === 'sotw' ? new SotwTalk(typeUrl) : new DeltaTalk(typeUrl)
    const { clusterTimeoutMs, listenerTimeoutMs } = this.#options
    const { stats } = this.#context
    if (type === 'cluster') return createCollection(this, type, talk, stats, clusterTimeoutMs)
    if (type === 'listener') return createCollection(this, type, talk, stats, listenerTimeoutMs)
    return createNamed(this, type, talk)
  }

  #begin(): void {
    this.#isNodeSaid = false
    this.#due.clear()
    for (const { topic } of this.#asked) {
      topic.talk.begin()
      this.onDue(topic)
    }
  }

  #flush(): void {
    this.#isFlushing = false
    if (this.#isClosed || !this.#stream.isOpen) return
    const due = this.#due
    this.#due = new Set()
    const requests: OutgoingRequest[] = []
    for (const subject of due) {
      const { talk } = subject.topic
      // Whoever resumes it says so; an answer says what is wanted, too.
      while (subject.pauses === 0 && subject.unanswered === 0 && talk.isDue) {
        const { isAnswer } = talk
        const bytes = talk.next(this.#context.api, this.#nodeToSay())
        if (bytes !== undefined) requests.push({ type: subject.type, isAnswer, bytes })
      }
    }
    const ordered = this.#misbehaviour.reorders?.(requests) ?? requests
    for (const request of ordered) {
      if (this.#misbehaviour.drops?.(request) !== true) this.#stream.send(request.bytes)
    }
  }

  #nodeToSay(): object | undefined {
    const { node, saysNodeOnce } = this.#options.ads
    if (this.#isNodeSaid && saysNodeOnce) return undefined
    this.#isNodeSaid = true
    return node
  }

  #onMessage(bytes: Buffer): void {
    const { api } = this.#context
    const isSotw = this.#options.ads.protocol === 'sotw'
    let response: Response
    try {
      response = isSotw ? decodeSotwResponse(api, bytes) : decodeDeltaResponse(api, bytes)
    } catch (error) {
      this.log.warn({ err: error }, 'the control plane sent what is no response')
      this.#stream.disconnect()
      return
    }
    if (response.server !== '') this.#context.stats.text('control_plane.identifier').set(response.server)
    const subject = this.#subjects.get(response.typeUrl)
    if (subject === undefined) {
      this.log.warn({ type: response.typeUrl }, 'the control plane sent a type that nobody asked for')
      return
    }
    const settle = this.#take(subject, response, isSotw)
    if (this.#misbehaviour.neverAnswers?.(subject.type) === true) return
    subject.unanswered++
    this.#unsettled.push(() => {
      subject.unanswered--
      settle()
      this.onDue(subject.topic)
    })
    // Whatever a response makes the proxy ask for is asked before it is answered; what waits for it hears of it by promises.
    setImmediate(() => this.#settle())
  }

  #settle(): void {
    const unsettled = this.#unsettled
    this.#unsettled = []
    for (const settle of unsettled) settle()
  }

  /** @returns what is to be said of it, later */
  #take({ type, topic }: Subject, response: Response, isSotw: boolean): () => void {
    const { talk } = topic
    const refused = (reason: string): (() => void) => {
      this.log.warn({ type, version: response.version, reason }, 'an update is refused')
      return () => talk.reject(response, reason)
    }
    if (!topic.isWatched) return () => talk.shrug(response)
    let arrivals: readonly Arrival[]
    try {
      arrivals = this.#read(type, response, isSotw)
    } catch (error) {
      topic.onRefused()
      return refused(messageOf(error))
    }
    const isWhole = isSotw && resourceTypes[type].isFullState
    const delivery = { arrivals, removed: response.removed, version: response.version, isWhole }
    const refusal = delivered(this.log, topic, delivery)
    return refusal === undefined ? () => talk.accept(response) : refused(refusal)
  }

  /** @throws ConfigRejection when the response is refused whole */
  #read(type: AnyType, response: Response, isSotw: boolean): readonly Arrival[] {
    const arrivals = response.resources.map((arrived) => this.#readOne(type, response, arrived))
    if (isSotw) return arrivals
    const names = new Set<string>()
    for (const { name } of arrivals) {
      if (names.has(name)) throw new ConfigRejection(`duplicate name ${name} found among added/updated resources`)
      names.add(name)
    }
    for (const name of response.removed) {
      if (names.has(name)) {
        throw new ConfigRejection(`duplicate name ${name} found in the union of added+removed resources`)
      }
    }
    return arrivals
  }

  #readOne(type: AnyType, { typeUrl }: Response, { name, version, ttlMs, content: packed }: Arrived): Arrival {
    if (packed === undefined) return { name, version, ttlMs, content: undefined, refusal: undefined }
    if (packed.typeUrl !== typeUrl) {
      throw new ConfigRejection(
        `type URL ${packed.typeUrl} embedded in an individual Any does not match the message-wide type URL ${typeUrl} in DiscoveryResponse`,
      )
    }
    const content = contentOf(this.#context.api, packed)
    const resource = { type, name: name === '' ? content.name : name, version, content: content.json }
    const refusal = content.inner ?? this.#misbehaviour.refuses?.(resource)
    return { name: resource.name, version, ttlMs, content: resource.content, refusal }
  }
}
