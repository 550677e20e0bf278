import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex, Readable } from 'node:stream'
import type { Http1CodecOptions } from './codec-options.ts'
import type { Exchange, HttpProtocol, Refusal } from './exchange.ts'
import { Headers } from './headers.ts'
import { reasonPhrase } from './reason-phrase.ts'

/** What an exchange has of its connection. */
export interface Http1ExchangeOwner {
  readonly stream: Duplex
  readonly options: Http1CodecOptions
  /** The last response says so, and nothing follows. */
  isClosing: boolean
  endSoon(): void
  onExchangeClosed(exchange: Exchange): void
}

type Ending = (how: 'done' | 'reset') => void

export class Http1Exchange implements Exchange {
  readonly protocol: HttpProtocol
  readonly request: Headers
  readonly body: Readable | undefined
  readonly upgrade: string | undefined
  readonly responseBody: ServerResponse
  /** The response has begun. */
  hasHeaders = false
  readonly refusal: Refusal | undefined
  readonly #connection: Http1ExchangeOwner
  readonly #message: IncomingMessage
  /** Of an upgrade or CONNECT, which Node leaves to us. */
  readonly #socket: Duplex | undefined
  #listen: Ending | undefined
  #isClosed = false
  #isLast = false

  constructor(
    connection: Http1ExchangeOwner,
    message: IncomingMessage,
    response: ServerResponse,
    socket: Duplex | undefined,
  ) {
    this.#connection = connection
    this.#message = message
    this.#socket = socket
    this.responseBody = response
    const isOld = message.httpVersion !== '1.1'
    this.protocol = isOld ? 'HTTP/1.0' : 'HTTP/1.1'
    const read = readRequest(message, connection.options.http1.allowsAbsoluteUrl)
    this.request = read.headers
    this.refusal = read.refusal
    this.body = read.hasBody && socket === undefined ? message : undefined
    this.upgrade = socket === undefined || message.method === 'CONNECT' ? undefined : read.upgrade
    // What Node would add by itself is Envoy's not to have.
    response.sendDate = false
    response.removeHeader('connection')
    response.on('error', ignore)
    response.on('close', () => this.#close(response.writableFinished ? 'done' : 'reset'))
    message.on('error', ignore)
    message.on('aborted', () => this.#close('reset'))
  }

  get isRequestComplete(): boolean {
    return this.body === undefined || this.#message.complete
  }

  trailers(): Headers | undefined {
    const { rawTrailers } = this.#message
    if (!this.#connection.options.http1.hasTrailers || rawTrailers.length === 0) return undefined
    return Headers.fromRaw(rawTrailers)
  }

  /** By hand, for Node would write only what it has a use for. */
  sendInterim(headers: Headers): void {
    const { stream } = this.#connection
    const status = Number(headers.get(':status'))
    if (this.hasHeaders || this.protocol === 'HTTP/1.0' || status === 101 || !stream.writable) return
    let text = `HTTP/1.1 ${status} ${reasonPhrase(status)}\r\n`
    for (const [name, value] of headers)
      if (name.charCodeAt(0) !== colon && !hopByHop.has(name)) text += `${name}: ${value}\r\n`
    stream.write(`${text}\r\n`, 'latin1')
  }

  sendHeaders(headers: Headers, isEnd: boolean): void {
    const response = this.responseBody
    this.hasHeaders = true
    const status = Number(headers.get(':status'))
    const list: string[] = []
    let hasLength = false
    const { flat } = headers
    for (let at = 0; at < flat.length; at += 2) {
      const name = flat[at] as string
      if (name.charCodeAt(0) === colon || hopByHop.has(name)) continue
      if (name === 'content-length') hasLength = true
      list.push(name, flat[at + 1] as string)
    }
    const isHead = this.#message.method === 'HEAD'
    if (!hasLength && status !== 204 && status !== 304) {
      if (isEnd && !isHead) list.push('content-length', '0')
      else if (this.protocol === 'HTTP/1.1') list.push('transfer-encoding', 'chunked')
      else if (!isHead) this.#isLast = true
    }
    if (this.#isLast || !response.shouldKeepAlive || this.#connection.isClosing) {
      this.#connection.isClosing = true
      list.push('connection', 'close')
    } else if (this.protocol === 'HTTP/1.0') list.push('connection', 'keep-alive')
    response.writeHead(status, reasonPhrase(status), list)
    if (isEnd) response.end()
  }

  flushHeaders(): void {
    this.responseBody.flushHeaders()
  }

  endWith(trailers: Headers): void {
    if (this.#connection.options.http1.hasTrailers) this.responseBody.addTrailers([...trailers] as never)
    this.responseBody.end()
  }

  reset(): void {
    this.#connection.stream.destroy()
    this.#close('reset')
  }

  closeAfterResponse(): void {
    this.#isLast = true
  }

  takeOver(headers: Headers): Duplex {
    const socket = this.#socket as Duplex
    this.responseBody.detachSocket(socket as never)
    this.#connection.isClosing = true
    const status = Number(headers.get(':status'))
    let text = `HTTP/1.1 ${status} ${reasonPhrase(status)}\r\n`
    for (const [name, value] of headers) if (!name.startsWith(':')) text += `${name}: ${value}\r\n`
    socket.write(`${text}\r\n`)
    socket.once('close', () => this.#close('done'))
    return socket
  }

  onClosed(listen: Ending): void {
    this.#listen = listen
  }

  #close(how: 'done' | 'reset'): void {
    if (this.#isClosed) return
    this.#isClosed = true
    // The client goes on sending what nobody will read.
    if (how === 'done' && this.body !== undefined && !this.#message.complete) this.#connection.endSoon()
    this.#listen?.(how)
    this.#connection.onExchangeClosed(this)
  }
}

const ignore = (): void => undefined

const colon = 58

/** Written anew for this connection. */
const hopByHop: ReadonlySet<string> = new Set(['connection', 'transfer-encoding', 'keep-alive', 'proxy-connection'])

interface ReadRequest {
  readonly headers: Headers
  readonly hasBody: boolean
  readonly upgrade: string | undefined
  readonly refusal: Refusal | undefined
}

const invalidUrl: Refusal = { status: 400, details: 'http1.invalid_url' }

/** The target may be a whole URL, whose host stands before that of the `host` header. */
function readRequest(message: IncomingMessage, allowsAbsolute: boolean): ReadRequest {
  const { rawHeaders } = message
  const method = message.method as string
  let path = message.url as string
  let authority: string | undefined
  let scheme: string | undefined
  let hasBody = false
  let upgrade: string | undefined
  let refusal: Refusal | undefined
  const list: string[] = [':method', method]
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] as string).toLowerCase()
    const value = rawHeaders[at + 1] as string
    if (name === 'host') {
      authority = authority === undefined ? value : `${authority},${value}`
      continue
    }
    if (name === 'content-length') hasBody ||= value !== '0'
    else if (name === 'transfer-encoding') {
      hasBody = true
      if (value.toLowerCase() !== 'chunked') refusal = { status: 501, details: 'http1.invalid_transfer_encoding' }
    } else if (name === 'upgrade') upgrade = value.toLowerCase()
    list.push(name, value)
  }
  if (method === 'CONNECT') {
    authority = path
    if (!/:\d+$/.test(path)) refusal ??= invalidUrl
    list.push(':authority', authority)
    return { headers: new Headers(list), hasBody, upgrade, refusal }
  }
  if (allowsAbsolute && path.charCodeAt(0) !== slash && path.includes('://')) {
    const url = readUrl(path)
    if ('details' in url) refusal ??= url
    else {
      authority = url.authority
      scheme = url.scheme
      path = url.path
    }
  }
  list.push(':path', path)
  if (authority !== undefined) list.push(':authority', authority)
  if (scheme !== undefined) list.push(':scheme', scheme)
  return { headers: new Headers(list), hasBody, upgrade, refusal }
}

interface Url {
  readonly scheme: string
  readonly authority: string
  readonly path: string
}

/** Who is named before an `@` is nobody's business behind this proxy. */
function readUrl(text: string): Url | Refusal {
  const [, scheme = '', authority = '', rest = ''] = /^([a-z]+):\/\/(?:[^/?#@]*@)?([^/?#]*)(.*)$/i.exec(text) ?? []
  if (!/^https?$/i.test(scheme)) return { status: 400, details: 'http1.invalid_scheme' }
  const port = /:(\d*)$/.exec(authority.replace(/^\[.*\]/, ''))?.[1]
  if (authority === '' || Number(port ?? 0) > 65_535) return invalidUrl
  return { scheme: scheme.toLowerCase(), authority, path: rest.startsWith('/') ? rest : `/${rest}` }
}

const slash = 47
