import { type IncomingMessage, ServerResponse, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import type { CodecClient, CodecConnection } from './codec.ts'
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
    if (next !== undefined && !this.isClosing) this.#take(next)
  }

  onError(error: NodeJS.ErrnoException): void {
    if (!isParserError(error) || this.isClosing) {
      this.stream.destroy()
      return
    }
    const isTooLarge = error.code === 'HPE_HEADER_OVERFLOW'
    const status = isTooLarge ? 431 : 400
    const details = isTooLarge ? 'http1.headers_too_large' : 'http1.codec_error'
    this.isClosing = true
    const current = this.#current
    if (current !== undefined) {
      this.#client.onMalformed({ status, details })
      if (!current.hasHeaders) current.fail(status)
      this.stream.destroy()
      return
    }
    this.#client.onMalformed({ status, details })
    this.#answer(status, reasonPhrase(status))
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

const isParserError = ({ code = '' }: NodeJS.ErrnoException): boolean => code.startsWith('HPE_')

/** Of sockets; other streams do not tell. */
const bytesRead = (stream: Duplex): number => (stream as { readonly bytesRead?: number }).bytesRead ?? 0
