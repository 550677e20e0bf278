import type { Socket } from 'node:net'
import type { Timer } from '../../clock.ts'
import type { DownstreamConnection } from '../network/network-filter.ts'
import { ActiveStream } from './active-stream.ts'
import type { Codec, CodecClient, CodecConnection, Malformed } from './codec.ts'
import { isHttp2Preface } from './codec-choice.ts'
import { createStreamInfo } from './create-stream-info.ts'
import type { Exchange } from './exchange.ts'
import { Headers } from './headers.ts'
import type { ManagerParts, StreamOwner } from './manager-parts.ts'
import { reasonPhrase } from './reason-phrase.ts'

/** A connection of a client, with its requests and its timeouts. */
export class ClientConnection implements CodecClient, StreamOwner {
  readonly connection: DownstreamConnection
  readonly #manager: ManagerParts
  readonly #onGone: () => void
  readonly #startMs: number
  readonly #streams = new Set<ActiveStream>()
  #codec: CodecConnection | undefined
  #isDraining = false
  #isDrainCounted = false
  #isOver = false
  #requests = 0
  #idleSinceMs: number
  #idleTimer: Timer | undefined
  #durationTimer: Timer | undefined
  #drainTimer: Timer | undefined
  #headersSinceMs: number | undefined
  /** Told before the connection was gone, so that it is known who ended it. */
  #isLocalEnd = false

  constructor(manager: ManagerParts, connection: DownstreamConnection, onGone: () => void) {
    this.#onGone = onGone
    this.#manager = manager
    this.connection = connection
    this.#startMs = manager.owner.context.clock.now()
    this.#idleSinceMs = this.#startMs
  }

  /** Takes the connection over; what it speaks is known by ALPN, or by its first bytes. */
  start(): void {
    const { connections } = this.#manager.stats
    const { stream, tls, alpn } = this.connection
    connections.total.add()
    connections.active.add(1)
    if (tls !== undefined) {
      connections.sslTotal.add()
      connections.sslActive.add(1)
    }
    stream.on('error', () => undefined)
    stream.once('close', () => this.#onClosed())
    this.#startTimers()
    const { codec } = this.#manager.config
    if (codec === 'HTTP2' || (codec === 'AUTO' && alpn === 'h2')) this.#speak(this.#manager.http2)
    else if (codec === 'HTTP1' || alpn === 'http/1.1' || alpn === 'http/1.0') this.#speak(this.#manager.http1)
    else {
      stream.once('data', (chunk: Buffer) => {
        stream.pause()
        stream.unshift(chunk)
        this.#speak(isHttp2Preface(chunk) ? this.#manager.http2 : this.#manager.http1)
      })
      stream.resume()
    }
  }

  #speak(codec: Codec): void {
    const { connections } = this.#manager.stats
    const isHttp2 = codec === this.#manager.http2
    ;(isHttp2 ? connections.http2Total : connections.http1Total).add()
    ;(isHttp2 ? connections.http2Active : connections.http1Active).add(1)
    this.#codec = codec.accept(this.connection, this)
  }

  get isDraining(): boolean {
    return this.#isDraining || this.connection.isDraining
  }

  /** A response tells the client of it. */
  countDrainClose(): void {
    if (this.#isDrainCounted || !this.connection.isDraining) return
    this.#isDrainCounted = true
    this.#manager.stats.connections.drainClose.add()
  }

  onExchange(exchange: Exchange): void {
    this.#requests += 1
    this.#headersSinceMs = undefined
    const { maxRequestsPerConnection } = this.#manager.config
    if (this.#requests === maxRequestsPerConnection) {
      this.#manager.stats.connections.maxRequests.add()
      this.#isDraining = true
    }
    const stream = new ActiveStream(this.#manager, this, exchange)
    this.#streams.add(stream)
    stream.start()
  }

  onStreamClosed(stream: ActiveStream): void {
    this.#streams.delete(stream)
    if (this.#streams.size === 0) this.#idleSinceMs = this.#now
  }

  onMalformed(problem: Malformed): void {
    const { status, details } = problem
    const { stats, accessLog, owner } = this.#manager
    stats.connections.protocolError.add()
    if (details === 'too_many_premature_resets') stats.connections.prematureResets.add()
    const isUnderWay = this.#streams.size > 0
    for (const stream of this.#streams) stream.onMalformed(problem)
    if (status === undefined || isUnderWay) return
    stats.requests.total.add()
    stats.requests.completed.add()
    stats.requests.byClass[Math.floor(status / 100)]?.add()
    const info = createStreamInfo(owner.context.clock, 'HTTP/1.1')
    info.responseCode = status
    info.bytesSent = reasonPhrase(status).length
    info.responseCodeDetails = details
    info.flags.add('DPE')
    accessLog.log(info, this.connection, { request: new Headers(), response: undefined, trailers: undefined })
  }

  /** Called now and then: a client that has begun a request is to get on with its headers. */
  checkHeaders(limitMs: number): void {
    if (this.#codec?.isReadingHeaders !== true) {
      this.#headersSinceMs = undefined
      return
    }
    this.#headersSinceMs ??= this.#now
    if (this.#now - this.#headersSinceMs < limitMs) return
    const { stats, accessLog, owner } = this.#manager
    stats.requests.headerTimeout.add()
    stats.requests.total.add()
    stats.requests.completed.add()
    stats.requests.byClass[4]?.add()
    this.#codec.refuseHeaders(408)
    const info = createStreamInfo(owner.context.clock, 'HTTP/1.1')
    info.responseCode = 408
    info.responseCodeDetails = 'request_header_timeout'
    accessLog.log(info, this.connection, { request: new Headers(), response: undefined, trailers: undefined })
  }

  get #now(): number {
    return this.#manager.owner.context.clock.now()
  }

  #startTimers(): void {
    const { timeouts } = this.#manager.config
    const { clock } = this.#manager.owner.context
    if (timeouts.idleMs !== undefined) this.#armIdle(timeouts.idleMs, timeouts.idleMs)
    if (timeouts.maxConnectionMs !== undefined) {
      this.#durationTimer = clock.after(timeouts.maxConnectionMs, () => {
        this.#manager.stats.connections.maxDuration.add()
        this.#startDrain()
      })
    }
  }

  #armIdle(ms: number, idleMs: number): void {
    this.#idleTimer = this.#manager.owner.context.clock.after(ms, () => {
      if (this.#isOver) return
      const left = this.#streams.size > 0 ? idleMs : this.#idleSinceMs + idleMs - this.#now
      if (left > 0.5) this.#armIdle(left, idleMs)
      else {
        this.#manager.stats.connections.idleTimeout.add()
        this.#startDrain()
      }
    })
  }

  /** What is under way is ended, nothing else is begun, and after the drain timeout the connection closes. */
  #startDrain(): void {
    if (this.#isOver || this.#isDraining) return
    this.#isDraining = true
    this.#isLocalEnd = true
    const codec = this.#codec
    if (codec === undefined) this.connection.stream.destroy()
    else if (codec.protocol === 'HTTP/2') codec.drain()
    else {
      const { clock } = this.#manager.owner.context
      this.#drainTimer = clock.after(this.#manager.config.timeouts.drainMs, () => codec.drain())
    }
  }

  #onClosed(): void {
    if (this.#isOver) return
    this.#isOver = true
    for (const timer of [this.#idleTimer, this.#durationTimer, this.#drainTimer]) timer?.cancel()
    const { connections } = this.#manager.stats
    connections.active.add(-1)
    connections.destroyed.add()
    const isActive = this.#streams.size > 0
    ;(this.#isLocalEnd ? connections.destroyedLocal : connections.destroyedRemote).add()
    if (isActive) {
      connections.destroyedActive.add()
      ;(this.#isLocalEnd ? connections.destroyedLocalActive : connections.destroyedRemoteActive).add()
    }
    if (this.connection.tls !== undefined) connections.sslActive.add(-1)
    if (this.#codec !== undefined)
      (this.#codec.protocol === 'HTTP/2' ? connections.http2Active : connections.http1Active).add(-1)
    const { bytesRead = 0, bytesWritten = 0 } = this.connection.stream as Partial<Socket>
    connections.rxBytes.add(bytesRead)
    connections.txBytes.add(bytesWritten)
    connections.lengthMs.record(this.#now - this.#startMs)
    this.#onGone()
  }
}
