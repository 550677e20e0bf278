import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2'
import type { Writable } from 'node:stream'
import type { Clock, Timer } from '../../clock.ts'
import { guardClientSession, guardStream } from '../../http2-guard.ts'
import type { Host } from '../cluster/host.ts'
import { Headers } from '../http/headers.ts'
import { http2Headers } from '../http/http2-headers.ts'
import type { Counter } from '../stats/stat-store.ts'
import type { PooledConnection, PooledConnectionOptions } from './pooled-connection.ts'
import { UpstreamFailure, type UpstreamRequest, type UpstreamResponse, type UpstreamStream } from './upstream.ts'

export interface Http2ConnectionOptions extends PooledConnectionOptions {
  readonly clock: Clock
  readonly random: () => number
}

/** A connection that carries many HTTP/2 requests at a time. */
export class Http2Connection implements PooledConnection {
  readonly protocol = 'HTTP/2'
  readonly host: Host
  readonly localAddress: string
  readonly #session: ClientHttp2Session
  readonly #options: Http2ConnectionOptions
  active = 0
  #maxStreams: number
  #requestsLeft: number
  #isDraining = false
  #isClosed = false
  #isLocalClose = false
  readonly #keepaliveTimeouts: Counter
  #keepalive: Timer | undefined
  #idleCheck: Timer | undefined
  #idleSinceMs: number

  constructor(options: Http2ConnectionOptions) {
    const { socket, host, localAddress, http } = options
    this.#options = options
    this.#keepaliveTimeouts = options.traffic.http2KeepaliveTimeout()
    this.host = host
    this.localAddress = localAddress
    this.#maxStreams = http.http2.maxConcurrentStreams
    this.#idleSinceMs = options.clock.now()
    this.#requestsLeft = http.maxRequestsPerConnection ?? Number.POSITIVE_INFINITY
    this.#session = connect('http://upstream', {
      createConnection: () => socket,
      settings: {
        enablePush: false,
        initialWindowSize: http.http2.initialStreamWindow,
        headerTableSize: http.http2.hpackTableSize,
        maxHeaderListSize: maxHeaderListSize,
      },
      maxHeaderListPairs: http.maxHeadersCount + pseudoHeaders,
      maxSessionMemory: sessionMegabytes,
      // The connection manager bounds what a client may send.
      maxSendHeaderBlockLength: 8192 * 1024,
    })
    const session = this.#session
    guardClientSession(session)
    outliveGoAway(session)
    // What is wrong with it shows in its closing.
    session.on('error', () => undefined)
    session.on('connect', () => session.setLocalWindowSize(http.http2.initialConnectionWindow))
    session.on('remoteSettings', ({ maxConcurrentStreams = Number.POSITIVE_INFINITY }) => {
      this.#maxStreams = Math.min(http.http2.maxConcurrentStreams, maxConcurrentStreams)
      if (this.free > 0) options.keeper.onFree(this)
    })
    session.on('goaway', () => {
      if (!this.#isDraining) options.traffic.cxCloseNotify.add()
      this.#startDraining()
      this.#closeIfDone()
    })
    session.on('close', () => this.#onClose())
    this.#armKeepalive()
  }

  get free(): number {
    if (this.#isDraining || this.#session.closed || this.#session.destroyed) return 0
    return Math.max(0, Math.min(this.#maxStreams - this.active, this.#requestsLeft))
  }

  open(request: UpstreamRequest): UpstreamStream {
    if (this.active === 0) this.#checkIdle()
    this.#requestsLeft--
    if (this.#requestsLeft === 0) this.#options.traffic.cxMaxRequests.add()
    this.active++
    const stream = new Http2Stream(this, this.#session, request)
    if (this.#requestsLeft === 0) this.#startDraining()
    return stream
  }

  drain(): void {
    this.#startDraining()
    this.#closeIfDone()
  }

  close(): void {
    if (this.#isClosed) return
    this.#isLocalClose = true
    this.#startDraining()
    this.#session.destroy()
  }

  /** How a stream on it has failed. */
  failureOf(stream: ClientHttp2Stream): UpstreamFailure {
    const { traffic } = this.#options
    const code = stream.rstCode
    if (this.#isClosed || this.#session.destroyed || this.#options.socket.destroyed) {
      return new UpstreamFailure('UC', 'connection termination')
    }
    traffic.rqRxReset.add()
    if (code === constants.NGHTTP2_REFUSED_STREAM) {
      return new UpstreamFailure('UR', 'remote refused stream reset', '', true)
    }
    return code === constants.NGHTTP2_PROTOCOL_ERROR
      ? new UpstreamFailure('UPE', 'protocol error')
      : new UpstreamFailure('UR', 'remote reset')
  }

  onStreamOver(): void {
    this.active--
    this.#idleSinceMs = this.#options.clock.now()
    const { keeper } = this.#options
    keeper.onStreamEnd(this)
    if (this.free > 0) keeper.onFree(this)
    else this.#closeIfDone()
  }

  countReset(): void {
    this.#options.traffic.rqTxReset.add()
  }

  #startDraining(): void {
    if (this.#isDraining) return
    this.#isDraining = true
    this.#options.keeper.onDraining(this)
  }

  #closeIfDone(): void {
    if (!this.#isDraining || this.active > 0 || this.#isClosed) return
    this.#isLocalClose = true
    this.#session.close()
    this.#session.destroy()
  }

  #onClose(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#keepalive?.cancel()
    this.#idleCheck?.cancel()
    this.#options.traffic.cxRxBytes.add(this.#options.socket.bytesRead)
    this.#options.traffic.cxTxBytes.add(this.#options.socket.bytesWritten)
    if (this.active > 0) {
      const { traffic } = this.#options
      traffic.cxDestroyWithActiveRq.add()
      if (this.#isLocalClose) traffic.cxDestroyLocalWithActiveRq.add()
      else traffic.cxDestroyRemoteWithActiveRq.add()
    }
    this.#startDraining()
    this.#options.keeper.onClosed(this, this.#isLocalClose)
  }

  /** Pings now and then; a connection that does not answer in time is closed. */
  #armKeepalive(): void {
    const { http, clock, random } = this.#options
    const { keepalive } = http.http2
    if (keepalive?.intervalMs === undefined) return
    const waitMs = keepalive.intervalMs * (1 + keepalive.jitter * random())
    this.#keepalive = clock.after(waitMs, () => {
      this.#keepalive = this.#ping(keepalive.timeoutMs, () => this.#armKeepalive())
    })
  }

  /** One that was idle for long is asked whether it is still there, beside its next request. */
  #checkIdle(): void {
    const { http, clock } = this.#options
    const { keepalive } = http.http2
    if (keepalive?.connectionIdleMs === undefined || this.#idleCheck !== undefined) return
    if (clock.now() - this.#idleSinceMs < keepalive.connectionIdleMs) return
    this.#idleCheck = this.#ping(keepalive.timeoutMs, () => {
      this.#idleCheck = undefined
    })
  }

  #ping(timeoutMs: number, onAnswer: () => void): Timer | undefined {
    if (this.#session.destroyed) return undefined
    const timer = this.#options.clock.after(timeoutMs, () => {
      this.#keepaliveTimeouts.add()
      this.close()
    })
    this.#session.ping(() => {
      timer.cancel()
      if (!this.#isClosed) onAnswer()
    })
    return timer
  }
}

const maxHeaderListSize = 60 * 1024
const pseudoHeaders = 1
/** Bounded by the windows of the streams instead. */
const sessionMegabytes = 1000

/** Where the upstream goes away with an error, Node would break off what is under way; Envoy waits for it, as for any GOAWAY. */
function outliveGoAway(session: ClientHttp2Session): void {
  const destroy = session.destroy.bind(session)
  let isAngry = false
  session.on('goaway', (code) => {
    isAngry = code !== constants.NGHTTP2_NO_ERROR
  })
  // Whoever does so first after such an event is Node itself, or has nothing under way any more.
  session.destroy = (error, code) => {
    if (isAngry) session.close()
    else destroy(error, code)
    isAngry = false
  }
}

/** One request and its response on such a connection. */
class Http2Stream implements UpstreamStream {
  readonly protocol = 'HTTP/2'
  readonly host: Host
  readonly localAddress: string
  readonly response: Promise<UpstreamResponse>
  readonly #connection: Http2Connection
  readonly #stream: ClientHttp2Stream
  #trailers: Headers | undefined
  #responseTrailers: Headers | undefined
  #onInterim: ((headers: Headers) => void) | undefined
  #isCancelled = false
  #failure: UpstreamFailure | undefined

  constructor(connection: Http2Connection, session: ClientHttp2Session, request: UpstreamRequest) {
    this.#connection = connection
    this.host = connection.host
    this.localAddress = connection.localAddress
    const endStream = request.isEnd && request.upgrade === undefined
    const stream = requestOn(session, request, { endStream, waitForTrailers: !endStream })
    this.#stream = stream
    guardStream(stream)
    this.#mapFailures(stream)
    if (!endStream) stream.once('wantTrailers', () => stream.sendTrailers(http2Headers(this.#trailers?.flat ?? [])))
    stream.on('headers', (_headers: unknown, _flags: unknown, raw: string[]) => this.#onInterim?.(Headers.fromRaw(raw)))
    stream.once('trailers', (_headers: unknown, _flags: unknown, raw: string[]) => {
      this.#responseTrailers = Headers.fromRaw(raw)
    })
    this.response = new Promise((accept, refuse) => {
      let isAnswered = false
      stream.once('response', (_headers: unknown, flags: number, raw: string[]) => {
        isAnswered = true
        const headers = Headers.fromRaw(raw)
        if (request.upgrade !== undefined) grantUpgrade(headers, request.upgrade)
        const isEnd = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0
        accept({ headers, isEnd, body: stream, trailers: () => this.#responseTrailers })
      })
      stream.once('close', () => {
        if (!isAnswered) refuse(this.#failureOf(stream))
        connection.onStreamOver()
      })
    })
    // Whoever gives up early asks no more how it went.
    this.response.catch(() => undefined)
  }

  get body(): Writable {
    return this.#stream
  }

  endWith(trailers: Headers): void {
    this.#trailers = trailers
    this.#stream.end()
  }

  onInterim(listen: (headers: Headers) => void): void {
    this.#onInterim = listen
  }

  cancel(): void {
    if (this.#stream.closed || this.#isCancelled) return
    this.#isCancelled = true
    this.#connection.countReset()
    this.#stream.close(constants.NGHTTP2_CANCEL)
  }

  /** Whatever breaks the stream off is told as what it means to a request. */
  #mapFailures(stream: ClientHttp2Stream): void {
    // It may break off while nobody listens yet.
    stream.on('error', () => undefined)
    // oxlint-disable-next-line no-underscore-dangle -- Node's name for where a stream learns its error
    const destroy = stream._destroy.bind(stream)
    // oxlint-disable-next-line no-underscore-dangle
    stream._destroy = (error, done) => {
      destroy(error, (cause) => {
        const isWhole = stream.readableEnded || this.#isCancelled || (cause === null && isRead(stream))
        done(isWhole ? null : this.#failureOf(stream))
      })
    }
  }

  #failureOf(stream: ClientHttp2Stream): UpstreamFailure {
    this.#failure ??= this.#connection.failureOf(stream)
    return this.#failure
  }
}

/** Whether all of the response has come, though nobody may have read it yet. */
function isRead(stream: ClientHttp2Stream): boolean {
  return stream.rstCode === constants.NGHTTP2_NO_ERROR
}

function requestOn(
  session: ClientHttp2Session,
  request: UpstreamRequest,
  options: { readonly endStream: boolean; readonly waitForTrailers: boolean },
): ClientHttp2Stream {
  const headers = http2Headers(request.headers.flat)
  if (request.upgrade !== undefined) {
    headers[':method'] = 'CONNECT'
    headers[':protocol'] = request.upgrade
    delete headers['content-length']
  }
  return session.request(headers, options)
}

/** The answer to an extended CONNECT, as that to an upgrade is in HTTP/1.1. */
function grantUpgrade(headers: Headers, upgrade: string): void {
  if (headers.get(':status') !== '200') return
  headers.set(':status', '101')
  headers.set('connection', 'upgrade')
  headers.set('upgrade', upgrade)
}
