import { constants, type ServerHttp2Stream } from 'node:http2'
import type { Duplex, Readable, Writable } from 'node:stream'
import type { Exchange, HttpProtocol } from './exchange.ts'
import { Headers } from './headers.ts'
import { http2Headers } from './http2-headers.ts'

export class Http2Exchange implements Exchange {
  readonly protocol: HttpProtocol = 'HTTP/2'
  readonly request: Headers
  readonly body: Readable | undefined
  readonly upgrade = undefined
  readonly refusal = undefined
  readonly responseBody: Writable
  /** The response has begun. */
  isAnswered = false
  readonly #stream: ServerHttp2Stream
  readonly #drain: () => void
  #requestTrailers: Headers | undefined
  #responseTrailers: Headers | undefined
  #isWhole = false
  #isReset = false

  constructor(stream: ServerHttp2Stream, raw: readonly string[], isEnd: boolean, drain: () => void) {
    this.#stream = stream
    this.#drain = drain
    this.request = readRequest(raw)
    this.responseBody = stream
    stream.on('error', ignore)
    if (isEnd) {
      this.body = undefined
      this.#isWhole = true
      stream.resume()
    } else {
      this.body = stream
      stream.on('trailers', (_headers: unknown, _flags: number, rawTrailers: readonly string[]) => {
        this.#requestTrailers = Headers.fromRaw(rawTrailers)
      })
      stream.once('end', () => {
        this.#isWhole = true
      })
    }
  }

  get isRequestComplete(): boolean {
    return this.#isWhole
  }

  trailers(): Headers | undefined {
    return this.#requestTrailers
  }

  sendInterim(headers: Headers): void {
    const stream = this.#stream
    if (this.#isReset || stream.headersSent || stream.destroyed || stream.closed || headers.get(':status') === '101')
      return
    stream.additionalHeaders(http2Headers(headers.flat))
  }

  sendHeaders(headers: Headers, isEnd: boolean): void {
    const stream = this.#stream
    this.isAnswered = true
    if (this.#isReset || stream.destroyed || stream.closed) return
    try {
      stream.respond(http2Headers(headers.flat), { endStream: isEnd, waitForTrailers: !isEnd })
    } catch {
      // What the upstream answered cannot be said in HTTP/2.
      this.reset()
      return
    }
    if (isEnd) this.#onWritten()
    else {
      stream.once('wantTrailers', () => {
        stream.sendTrailers(this.#responseTrailers === undefined ? {} : http2Headers(this.#responseTrailers.flat))
        this.#onWritten()
      })
    }
  }

  /** A client that has not said all yet need not any more; what has come and nobody read would keep the stream open. */
  #onWritten(): void {
    this.#stream.resume()
    if (!this.#isWhole) setImmediate(() => this.#stream.close(constants.NGHTTP2_NO_ERROR))
  }

  flushHeaders(): void {
    // They are on their way.
  }

  endWith(trailers: Headers): void {
    this.#responseTrailers = trailers
    this.#stream.end()
  }

  reset(): void {
    this.#isReset = true
    this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR)
  }

  closeAfterResponse(): void {
    this.#drain()
  }

  takeOver(headers: Headers): Duplex {
    this.isAnswered = true
    this.#stream.respond(http2Headers(headers.flat))
    return this.#stream
  }

  onClosed(listen: (how: 'done' | 'reset') => void): void {
    const stream = this.#stream
    stream.once('close', () => {
      const { rstCode } = stream
      listen(
        stream.writableFinished && !stream.aborted && (rstCode ?? 0) === constants.NGHTTP2_NO_ERROR ? 'done' : 'reset',
      )
    })
  }
}

const ignore = (): void => undefined

/** Cookies may come in crumbs, and the authority as `host`. */
function readRequest(raw: readonly string[]): Headers {
  const headers = Headers.fromRaw(raw)
  const cookies = headers.all('cookie')
  if (cookies.length > 1) headers.set('cookie', cookies.join('; '))
  const host = headers.get('host')
  if (host !== undefined) {
    headers.remove('host')
    if (!headers.has(':authority')) headers.set(':authority', host)
  }
  return headers
}
