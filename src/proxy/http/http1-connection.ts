import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { CodecClient, CodecConnection, Malformed } from './codec.ts'
import type { Http1CodecOptions } from './codec-options.ts'
import { dateText } from './date-text.ts'
import type { Exchange } from './exchange.ts'
import { Http1Exchange, type Http1ExchangeOwner } from './http1-exchange.ts'
import { reasonPhrase } from './reason-phrase.ts'

/** One connection that speaks HTTP/1: its requests are taken one after the other, however many the client sends ahead. */
export class Http1Connection implements CodecConnection, Http1ExchangeOwner {
  readonly protocol = 'HTTP/1.1'
  readonly stream: Duplex
  readonly options: Http1CodecOptions
  /** Its last response says so, and nothing follows. */
  isClosing = false
  readonly #client: CodecClient
  #current: Http1Exchange | undefined
  readonly #waiting: Http1Exchange[] = []
  /** What is wrong with the request behind those that wait. */
  #problem: (Malformed & { readonly status: number }) | undefined
  /** What `bytesRead` of the socket was when no request was under way. */
  #bytesBetween = 0

  constructor(stream: Duplex, client: CodecClient, options: Http1CodecOptions) {
    this.stream = stream
    this.options = options
    this.#client = client
  }

  onRequest(request: IncomingMessage, response: ServerResponse): void {
    this.#take(new Http1Exchange(this, request, response, undefined))
  }

  /** Node leaves the connection to us; what is not granted is answered like any request, and is the last. */
  onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (head.length > 0) socket.unshift(head)
    const response = new ServerResponse(request)
    response.shouldKeepAlive = false
    response.assignSocket(socket as never)
    response.on('finish', () => {
      response.detachSocket(socket as never)
      socket.end()
      response.emit('close')
    })
    socket.once('close', () => response.emit('close'))
    socket.on('error', () => undefined)
    this.#take(new Http1Exchange(this, request, response, socket))
  }

  #take(exchange: Http1Exchange): void {
    if (this.isClosing) return
    if (this.#current !== undefined) {
      this.#waiting.push(exchange)
      if (this.#waiting.length > maxAhead) this.stream.destroy()
      return
    }
    this.#current = exchange
    this.#client.onExchange(exchange)
  }

  /** Its response is written, or it was broken off. */
  onExchangeClosed(exchange: Exchange): void {
    if (this.#current !== exchange) return
    this.#current = undefined
    this.#bytesBetween = bytesRead(this.stream)
    const next = this.#waiting.shift()
    if (this.isClosing) return
    if (next !== undefined) this.#take(next)
    else if (this.#problem !== undefined) this.#refuse(this.#problem)
  }

  onError(error: ParserError): void {
    // What comes behind the last request is nobody's.
    if (this.isClosing || error.code === 'HPE_CLOSED_CONNECTION') return
    const problem = problemOf(error)
    if (problem === undefined) {
      this.stream.destroy()
      return
    }
    if (this.#current?.isRequestComplete === true) {
      // It is the next request that is broken; this one is answered first.
      this.#problem = problem
      return
    }
    this.#refuse(problem)
  }

  #refuse(problem: Malformed & { readonly status: number }): void {
    const isUnderWay = this.#current !== undefined
    this.#client.onMalformed(problem)
    if (isUnderWay) this.endSoon()
    else this.#answer(problem.status, reasonPhrase(problem.status))
  }

  get isReadingHeaders(): boolean {
    return this.#current === undefined && bytesRead(this.stream) > this.#bytesBetween
  }

  refuseHeaders(status: number): void {
    this.isClosing = true
    this.#answer(status, '')
  }

  drain(): void {
    this.isClosing = this.#current === undefined
    if (this.isClosing) this.stream.end()
    else this.#current?.closeAfterResponse()
  }

  close(): void {
    this.stream.destroy()
  }

  /** A client that goes on sending is not listened to; it has a moment to read what was answered. */
  endSoon(): void {
    const { stream } = this
    this.isClosing = true
    stream.end()
    const timer = this.options.context.clock.after(this.options.delayedCloseMs, () => stream.destroy())
    stream.once('close', () => timer.cancel())
  }

  /** Behind no request that could be answered. */
  #answer(status: number, body: string): void {
    const { stream } = this
    if (stream.writable) {
      const type = body === '' ? '' : 'content-type: text/plain\r\n'
      stream.end(
        `HTTP/1.1 ${status} ${reasonPhrase(status)}\r\ncontent-length: ${body.length}\r\n${type}date: ${dateText()}\r\nserver: ${this.options.serverName}\r\nconnection: close\r\n\r\n${body}`,
      )
    }
    this.endSoon()
  }
}

/** Envoy reads no further than one request; Node's parser does, and a client that sends more than this ahead is no client. */
const maxAhead = 1000

/** What Node's parser says: `HPE_INVALID_METHOD`, and why. */
export interface ParserError extends Error {
  readonly code?: string
  readonly reason?: string
}

/** Undefined where the client has merely gone. */
function problemOf({ code = '', reason = '' }: ParserError): (Malformed & { readonly status: number }) | undefined {
  if (!code.startsWith('HPE_') || code === 'HPE_INVALID_EOF_STATE') return undefined
  if (code === 'HPE_HEADER_OVERFLOW') return { status: 431, details: 'http1.headers_too_large' }
  if (reason.includes("can't be present with"))
    return { status: 400, details: 'http1.content_length_and_chunked_not_allowed' }
  if (code === 'HPE_INVALID_TRANSFER_ENCODING') return { status: 501, details: 'http1.invalid_transfer_encoding' }
  const isCharacter = reason === 'Invalid header value char' || code === 'HPE_INVALID_URL'
  return { status: 400, details: isCharacter ? 'http1.invalid_characters' : 'http1.codec_error' }
}

/** Of sockets; other streams do not tell. */
const bytesRead = (stream: Duplex): number => (stream as { readonly bytesRead?: number }).bytesRead ?? 0
