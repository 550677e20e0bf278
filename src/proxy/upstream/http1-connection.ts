import type { Socket } from 'node:net'
import { Readable, Writable } from 'node:stream'
import type { Host } from '../cluster/host.ts'
import type { Headers } from '../http/headers.ts'
import type { ClusterTraffic } from './cluster-traffic.ts'
import type { HttpProtocolOptions } from './http-protocol-options.ts'
import { type BodyFraming, buildLastChunk, buildRequestHead } from './http1-request-writer.ts'
import { Http1ResponseParser, HttpProtocolError, type ResponseEvents } from './http1-response-parser.ts'
import type { ConnectionKeeper, PooledConnection, PooledConnectionOptions } from './pooled-connection.ts'
import { UpstreamFailure, type UpstreamRequest, type UpstreamResponse, type UpstreamStream } from './upstream.ts'

const maxResponseHeaderBytes = 80 * 1024

/** A connection that carries one HTTP/1.1 request at a time. */
export class Http1Connection implements PooledConnection, ResponseEvents {
  readonly protocol = 'HTTP/1.1'
  readonly host: Host
  readonly localAddress: string
  readonly http: HttpProtocolOptions
  readonly #socket: Socket
  readonly #traffic: ClusterTraffic
  readonly #keeper: ConnectionKeeper
  readonly #parser: Http1ResponseParser
  #stream: Http1Stream | undefined
  #requestsLeft: number
  #isDraining = false
  #isClosed = false
  #isLocalClose = false
  #isEndedByHost = false

  constructor({ socket, host, localAddress, http, traffic, keeper }: PooledConnectionOptions) {
    this.#socket = socket
    this.host = host
    this.localAddress = localAddress
    this.http = http
    this.#traffic = traffic
    this.#keeper = keeper
    this.#requestsLeft = http.maxRequestsPerConnection ?? Number.POSITIVE_INFINITY
    this.#parser = new Http1ResponseParser(this, {
      maxHeaderBytes: maxResponseHeaderBytes,
      maxHeaderCount: http.maxHeadersCount,
      allowsChunkedLength: http.http1.allowsChunkedLength,
    })
    socket.on('data', (data: Buffer) => this.#onData(data))
    socket.on('end', () => this.#onEnd())
    // What is wrong with it shows in its closing.
    socket.on('error', () => undefined)
    socket.on('close', () => this.#onClose())
  }

  get free(): number {
    return this.#stream === undefined && !this.#isDraining && this.#socket.writable ? 1 : 0
  }

  get active(): number {
    return this.#stream === undefined ? 0 : 1
  }

  open(request: UpstreamRequest): UpstreamStream {
    if (--this.#requestsLeft === 0) {
      this.#traffic.cxMaxRequests.add()
      this.#startDraining()
    }
    const stream = new Http1Stream(this, request)
    this.#stream = stream
    this.#parser.expect(request.headers.get(':method') ?? 'GET', request.upgrade !== undefined)
    stream.start(request)
    return stream
  }

  drain(): void {
    this.#startDraining()
    if (this.#stream === undefined) this.close()
  }

  close(): void {
    if (this.#isClosed) return
    this.#isLocalClose = true
    this.#startDraining()
    this.#socket.destroy()
  }

  /** Of the stream: bytes on their way to the host. */
  write(data: string | Buffer, encoding: 'latin1'): boolean {
    this.#traffic.cxTxBytes.add(data.length)
    return typeof data === 'string' ? this.#socket.write(data, encoding) : this.#socket.write(data)
  }

  cork(): void {
    this.#socket.cork()
  }

  uncork(): void {
    this.#socket.uncork()
  }

  onceDrained(act: () => void): void {
    this.#socket.once('drain', act)
  }

  /** The client of an upgraded connection will write no more. */
  endWrites(): void {
    this.#socket.end()
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  /** The stream was given up: nothing can follow it on this connection. */
  abandon(stream: Http1Stream): void {
    if (this.#stream !== stream) return
    this.close()
  }

  onInterim(headers: Headers): void {
    this.#stream?.onInterimHeaders(headers)
  }

  onHeaders(headers: Headers, isEnd: boolean): void {
    this.#stream?.onResponse(headers, isEnd)
  }

  onBody(chunk: Buffer): void {
    this.#stream?.onBody(chunk)
  }

  onEnd(trailers: Headers | undefined): void {
    this.#stream?.onResponseEnd(this.http.http1.hasTrailers ? trailers : undefined)
  }

  /** Both sides of the stream are done, or only the response is. */
  settle(stream: Http1Stream): void {
    if (this.#stream !== stream || !stream.isAnswered) return
    if (!this.#parser.keepsAlive && !this.#isEndedByHost) this.#traffic.cxCloseNotify.add()
    const isReusable = stream.isSent && this.#parser.keepsAlive && !this.#isDraining && this.#socket.writable
    this.#stream = undefined
    if (!isReusable) {
      this.#isLocalClose = !this.#isEndedByHost
      this.#startDraining()
      // What is still to be written of an answered request is of no use; an upgraded one's last bytes are.
      if (stream.framing === 'raw') this.#socket.destroySoon()
      else this.#socket.destroy()
      stream.dropRequest()
    }
    this.#keeper.onStreamEnd(this)
    if (!isReusable) return
    this.#socket.resume()
    this.#keeper.onFree(this)
  }

  #startDraining(): void {
    if (this.#isDraining) return
    this.#isDraining = true
    this.#keeper.onDraining(this)
  }

  #onData(data: Buffer): void {
    this.#traffic.cxRxBytes.add(data.length)
    const stream = this.#stream
    try {
      this.#parser.feed(data)
    } catch (error) {
      if (!(error instanceof HttpProtocolError)) throw error
      this.#traffic.cxProtocolError.add()
      if (stream !== undefined && !stream.isAnswered) {
        this.#stream = undefined
        stream.fail(new UpstreamFailure('UPE', 'protocol error'))
        this.#keeper.onStreamEnd(this)
      }
      this.close()
    }
    // Only now: whatever followed the response in these bytes was nobody's.
    if (stream !== undefined) this.settle(stream)
  }

  /** The host writes no more: a response that lasts until then is whole, any other one is broken off. */
  #onEnd(): void {
    this.#isEndedByHost = true
    this.#startDraining()
    const stream = this.#stream
    if (stream !== undefined && this.#parser.finish()) this.settle(stream)
    else this.#socket.destroy()
  }

  #onClose(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    const stream = this.#stream
    this.#stream = undefined
    const hadStream = stream !== undefined
    if (stream !== undefined) {
      stream.fail(this.#closeFailure())
      this.#keeper.onStreamEnd(this)
    }
    const { cxDestroyWithActiveRq, cxDestroyLocalWithActiveRq, cxDestroyRemoteWithActiveRq } = this.#traffic
    if (hadStream) {
      cxDestroyWithActiveRq.add()
      if (this.#isLocalClose) cxDestroyLocalWithActiveRq.add()
      else cxDestroyRemoteWithActiveRq.add()
    }
    this.#startDraining()
    this.#keeper.onClosed(this, this.#isLocalClose)
  }

  /** A response that has begun and is cut off is broken, as Envoy has it; a request without any answer only lost. */
  #closeFailure(): UpstreamFailure {
    if (this.#isLocalClose || !this.#parser.hasBegun) return new UpstreamFailure('UC', 'connection termination')
    this.#traffic.cxProtocolError.add()
    return new UpstreamFailure('UPE', 'protocol error')
  }
}

/** One request and its response on such a connection. */
class Http1Stream implements UpstreamStream {
  readonly protocol = 'HTTP/1.1'
  readonly host: Host
  readonly localAddress: string
  readonly response: Promise<UpstreamResponse>
  framing: BodyFraming = 'none'
  /** The request went out whole. */
  isSent = false
  /** The response came in whole. */
  isAnswered = false
  readonly #connection: Http1Connection
  #accept!: (response: UpstreamResponse) => void
  #refuse!: (failure: UpstreamFailure) => void
  #requestBody: RequestBody | undefined
  #responseBody: ResponseBody | undefined
  #trailers: Headers | undefined
  #onInterim: ((headers: Headers) => void) | undefined
  #isOver = false

  constructor(connection: Http1Connection, { isEnd }: UpstreamRequest) {
    this.#connection = connection
    this.host = connection.host
    this.localAddress = connection.localAddress
    this.response = new Promise((accept, refuse) => {
      this.#accept = accept
      this.#refuse = refuse
    })
    // Whoever gives up early asks no more how it went.
    this.response.catch(() => undefined)
    this.isSent = isEnd
  }

  start(request: UpstreamRequest): void {
    const { head, framing } = buildRequestHead(request.headers, {
      isEnd: request.isEnd,
      upgrade: request.upgrade,
      options: this.#connection.http.http1,
    })
    this.framing = framing
    if (framing === 'raw') this.isSent = false
    if (request.isEnd) {
      this.#connection.write(head, 'latin1')
      return
    }
    // The first bytes of the body are often there already, and go out with the head.
    this.#connection.cork()
    this.#connection.write(head, 'latin1')
    process.nextTick(() => this.#connection.uncork())
  }

  get body(): Writable {
    this.#requestBody ??= new RequestBody(this)
    return this.#requestBody
  }

  endWith(trailers: Headers): void {
    this.#trailers = trailers
    this.body.end()
  }

  onInterim(listen: (headers: Headers) => void): void {
    this.#onInterim = listen
  }

  cancel(): void {
    if (this.#isOver) return
    this.#connection.abandon(this)
  }

  writeBody(chunk: Buffer, done: () => void): void {
    if (this.#isOver || this.isAnswered) {
      done()
      return
    }
    const connection = this.#connection
    let isDrained: boolean
    if (this.framing === 'chunked') {
      connection.cork()
      connection.write(`${chunk.length.toString(16)}\r\n`, 'latin1')
      connection.write(chunk, 'latin1')
      isDrained = connection.write('\r\n', 'latin1')
      connection.uncork()
    } else {
      isDrained = connection.write(chunk, 'latin1')
    }
    if (isDrained) done()
    else connection.onceDrained(done)
  }

  endBody(): void {
    if (this.isSent || this.#isOver) return
    this.isSent = true
    if (this.framing === 'chunked') {
      this.#connection.write(buildLastChunk(this.#trailers, this.#connection.http.http1), 'latin1')
    } else if (this.framing === 'raw') {
      this.#connection.endWrites()
    }
  }

  readMore(): void {
    if (!this.#isOver) this.#connection.resume()
  }

  onInterimHeaders(headers: Headers): void {
    this.#onInterim?.(headers)
  }

  onResponse(headers: Headers, isEnd: boolean): void {
    const body = new ResponseBody(this)
    this.#responseBody = body
    this.#accept({ headers, isEnd, body, trailers: () => body.trailers })
  }

  onBody(chunk: Buffer): void {
    if (this.#responseBody?.push(chunk) === false) this.#connection.pause()
  }

  onResponseEnd(trailers: Headers | undefined): void {
    this.isAnswered = true
    this.#isOver = true
    const body = this.#responseBody as ResponseBody
    body.trailers = trailers
    body.push(null)
  }

  /** It was answered before it was sent whole: the rest has nowhere to go. */
  dropRequest(): void {
    if (!this.isSent) this.#requestBody?.destroy()
  }

  fail(failure: UpstreamFailure): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#refuse(failure)
    this.#requestBody?.destroy()
    this.#responseBody?.destroy(failure)
  }
}

class RequestBody extends Writable {
  readonly #stream: Http1Stream

  constructor(stream: Http1Stream) {
    super({ decodeStrings: true })
    this.#stream = stream
    this.on('error', () => undefined)
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: () => void): void {
    this.#stream.writeBody(chunk, done)
  }

  override _final(done: () => void): void {
    this.#stream.endBody()
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    // Broken off before its end, a request cannot be told from a shorter one.
    if (!this.writableFinished) this.#stream.cancel()
    done(error)
  }
}

class ResponseBody extends Readable {
  trailers: Headers | undefined
  readonly #stream: Http1Stream

  constructor(stream: Http1Stream) {
    super({ highWaterMark: 64 * 1024 })
    this.#stream = stream
    // It may break off while nobody listens yet.
    this.on('error', () => undefined)
  }

  override _read(): void {
    this.#stream.readMore()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#stream.cancel()
    done(error)
  }
}
