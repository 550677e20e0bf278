import { constants, performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import type { Duplex } from 'node:stream'
import type { Timer } from '../../clock.ts'
import { guardServerSession } from '../../http2-guard.ts'
import type { CodecClient, CodecConnection } from './codec.ts'
import type { Http2CodecOptions } from './codec-options.ts'
import { Http2Exchange } from './http2-exchange.ts'

/** So many streams, of which more than half are reset before they are this old, make an attack. */
const prematureLimit = 500
const prematureMs = 1000

/** One connection that speaks HTTP/2. */
export class Http2Connection implements CodecConnection {
  readonly protocol = 'HTTP/2'
  readonly isReadingHeaders = false
  readonly #session: ServerHttp2Session
  readonly #client: CodecClient
  readonly #options: Http2CodecOptions
  #closed = 0
  #premature = 0
  #isDraining = false
  #isAttack = false
  #keepalive: Timer | undefined

  constructor(stream: Duplex, client: CodecClient, options: Http2CodecOptions) {
    this.#client = client
    this.#options = options
    const { http2, maxHeadersBytes } = options
    const session = performServerHandshake(stream, {
      // The connection manager counts headers.
      maxHeaderListPairs: 10_000,
      maxSendHeaderBlockLength: 1024 * 1024,
      maxDeflateDynamicTableSize: http2.hpackTableSize,
      settings: {
        headerTableSize: http2.hpackTableSize,
        initialWindowSize: http2.initialStreamWindow,
        maxConcurrentStreams: http2.maxConcurrentStreams,
        maxHeaderListSize: maxHeadersBytes,
      },
    })
    this.#session = session
    guardServerSession(session)
    session.setLocalWindowSize(http2.initialConnectionWindow)
    session.on('stream', (opened: ServerHttp2Stream, _headers: unknown, flags: number, raw: readonly string[]) => {
      this.#onStream(opened, flags, raw)
    })
    session.on('error', () => client.onMalformed({ status: undefined, details: 'http2.violation.of.messaging.rule' }))
    session.on('close', () => this.#keepalive?.cancel())
    // Not before the session has taken what was read already.
    setImmediate(() => stream.resume())
    this.#keepAlive()
  }

  #onStream(stream: ServerHttp2Stream, flags: number, raw: readonly string[]): void {
    const startMs = this.#options.context.clock.now()
    const isEnd = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0
    const exchange = new Http2Exchange(stream, raw, isEnd, () => this.drain())
    stream.once('close', () => {
      this.#closed += 1
      if (!exchange.isAnswered && this.#options.context.clock.now() - startMs < prematureMs) this.#onPremature()
    })
    this.#client.onExchange(exchange)
  }

  #onPremature(): void {
    this.#premature += 1
    if (this.#isAttack || this.#session.destroyed) return
    if (this.#premature * 2 < Math.max(prematureLimit, this.#closed)) return
    this.#isAttack = true
    this.#session.destroy()
    this.#client.onMalformed({ status: undefined, details: 'too_many_premature_resets' })
  }

  #keepAlive(): void {
    const { http2, context } = this.#options
    const { keepalive } = http2
    if (keepalive?.intervalMs === undefined) return
    const { intervalMs, timeoutMs, jitter } = keepalive
    this.#keepalive = context.clock.after(intervalMs * (1 + jitter * context.random()), () => {
      if (this.#session.closed || this.#session.destroyed) return
      const late = context.clock.after(timeoutMs, () => this.#session.destroy())
      this.#keepalive = late
      const isSent = this.#session.ping(() => {
        late.cancel()
        if (!this.#session.destroyed) this.#keepAlive()
      })
      if (!isSent) late.cancel()
    })
  }

  refuseHeaders(): void {
    this.close()
  }

  /** The client is told twice: first that it should open no more streams, then which was the last that is answered. */
  drain(): void {
    if (this.#isDraining || this.#session.destroyed) return
    this.#isDraining = true
    this.#session.goaway(constants.NGHTTP2_NO_ERROR, 2 ** 31 - 1)
    const timer = this.#options.context.clock.after(this.#options.drainMs, () => this.#session.close())
    this.#session.once('close', () => timer.cancel())
  }

  close(): void {
    this.#session.destroy()
  }
}
