import { Headers } from '../http/headers.ts'

/** What a response turns out to be, bit by bit. */
export interface ResponseEvents {
  onInterim(headers: Headers): void
  /** Its status and headers; with `isEnd` nothing follows but `onEnd`. */
  onHeaders(headers: Headers, isEnd: boolean): void
  onBody(chunk: Buffer): void
  onEnd(trailers: Headers | undefined): void
}

/** The peer does not speak HTTP/1.1 as it should; Envoy's code detail says in what. */
export class HttpProtocolError extends Error {
  override readonly name = 'HttpProtocolError'
}

export interface ResponseLimits {
  /** Of all headers of one message together. */
  readonly maxHeaderBytes: number
  readonly maxHeaderCount: number
  /** Whether a `content-length` beside `transfer-encoding: chunked` is dropped or refused. */
  readonly allowsChunkedLength: boolean
}

type State = 'head' | 'length' | 'chunk size' | 'chunk' | 'chunk end' | 'trailers' | 'until close' | 'idle'

const nothing = Buffer.alloc(0)

/** Reads the responses of one HTTP/1.1 connection, one after the other. */
export class Http1ResponseParser {
  readonly #events: ResponseEvents
  readonly #limits: ResponseLimits
  #state: State = 'idle'
  /** A line or head of which the end has not come. */
  #partial: Buffer = nothing
  /** Of the body, or of the chunk. */
  #left = 0
  #method = ''
  #isUpgrade = false
  #hasBegun = false
  #keepsAlive = true

  constructor(events: ResponseEvents, limits: ResponseLimits) {
    this.#events = events
    this.#limits = limits
  }

  /** A request was sent; the next response is its. */
  expect(method: string, isUpgrade: boolean): void {
    this.#state = 'head'
    this.#method = method
    this.#isUpgrade = isUpgrade
    this.#hasBegun = false
    this.#keepsAlive = true
  }

  /** Whether the connection may carry another request after this response. */
  get keepsAlive(): boolean {
    return this.#keepsAlive
  }

  /** Whether anything of the response has come. */
  get hasBegun(): boolean {
    return this.#hasBegun
  }

  /** @throws HttpProtocolError */
  feed(data: Buffer): void {
    let rest = data
    while (rest.length > 0) {
      this.#hasBegun = true
      switch (this.#state) {
        case 'head':
          rest = this.#readHead(rest)
          break
        case 'length':
        case 'chunk':
          rest = this.#readBody(rest)
          break
        case 'until close':
          this.#events.onBody(rest)
          return
        case 'chunk size':
          rest = this.#readChunkSize(rest)
          break
        case 'chunk end':
          rest = this.#readChunkEnd(rest)
          break
        case 'trailers':
          rest = this.#readTrailers(rest)
          break
        case 'idle':
          throw new HttpProtocolError('http1.codec_error')
      }
    }
  }

  /** The peer has closed its side. Whether the response is whole by that. */
  finish(): boolean {
    if (this.#state !== 'until close') return this.#state === 'idle'
    this.#end(undefined)
    return true
  }

  #readHead(data: Buffer): Buffer {
    const whole = this.#take(data, '\r\n\r\n')
    if (whole === undefined) return nothing
    const { line, rest } = whole
    const lineEnd = line.indexOf('\r\n')
    const statusLine = lineEnd === -1 ? line : line.slice(0, lineEnd)
    const [, minor, status] = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: |$)/.exec(statusLine) ?? []
    if (status === undefined) throw new HttpProtocolError('http1.codec_error')
    const list = [':status', status]
    this.#readFields(lineEnd === -1 ? '' : line.slice(lineEnd + 2), list)
    this.#begin(Number(status), minor === '0', list)
    return rest
  }

  #begin(status: number, isHttp10: boolean, list: string[]): void {
    const framing = this.#readFraming(list)
    const isUpgraded = this.#isUpgrade && status === 101
    if (status < 200 && status !== 101) {
      checkBodiless(framing)
      // Of the response itself nothing has come.
      this.#hasBegun = false
      this.#events.onInterim(new Headers(withoutHop(list, false)))
      return
    }
    const isTunnel = isUpgraded || (this.#method === 'CONNECT' && status < 300)
    if (status === 101 && !isUpgraded) throw new HttpProtocolError('http1.invalid_upgrade')
    const hasNoBody = !isTunnel && (this.#method === 'HEAD' || status === 204 || status === 304)
    if (framing.length !== undefined && framing.isChunked && !this.#limits.allowsChunkedLength) {
      throw new HttpProtocolError('http1.content_length_and_chunked_not_allowed')
    }
    if (status === 204) checkBodiless(framing)
    const headers = new Headers(withoutHop(list, isUpgraded))
    if (framing.isChunked || status === 204) headers.remove('content-length')
    const isEnd = hasNoBody || (!isTunnel && !framing.isChunked && framing.length === 0)
    if (isTunnel || framing.closes || (isHttp10 && !framing.keepsAlive)) this.#keepsAlive = false
    if (isEnd) {
      this.#state = 'idle'
    } else if (isTunnel) {
      this.#state = 'until close'
    } else if (framing.isChunked) {
      this.#state = 'chunk size'
    } else if (framing.length !== undefined) {
      this.#state = 'length'
      this.#left = framing.length
    } else {
      this.#state = 'until close'
      this.#keepsAlive = false
    }
    this.#events.onHeaders(headers, isEnd)
    if (isEnd) this.#events.onEnd(undefined)
  }

  #readFraming(list: readonly string[]): Framing {
    let length: number | undefined
    let isChunked = false
    let closes = false
    let keepsAlive = false
    for (let at = 2; at < list.length; at += 2) {
      const name = list[at] as string
      const value = list[at + 1] as string
      if (name === 'content-length') {
        const one = /^\d{1,15}$/.test(value) ? Number(value) : undefined
        if (one === undefined || (length !== undefined && length !== one)) {
          throw new HttpProtocolError('http1.invalid_content_length')
        }
        length = one
      } else if (name === 'transfer-encoding') {
        if (value.toLowerCase() !== 'chunked' || isChunked) {
          throw new HttpProtocolError('http1.invalid_transfer_encoding')
        }
        isChunked = true
      } else if (name === 'connection' || name === 'proxy-connection') {
        const text = value.toLowerCase()
        closes ||= text.includes('close')
        keepsAlive ||= text.includes('keep-alive')
      }
    }
    return { length, isChunked, closes, keepsAlive }
  }

  #readBody(data: Buffer): Buffer {
    const isWhole = data.length >= this.#left
    const chunk = data.length > this.#left ? data.subarray(0, this.#left) : data
    const rest = data.length > this.#left ? data.subarray(this.#left) : nothing
    this.#left -= chunk.length
    const ends = isWhole && this.#state === 'length'
    if (isWhole && this.#state === 'chunk') this.#state = 'chunk end'
    this.#events.onBody(chunk)
    if (ends) this.#end(undefined)
    return rest
  }

  #readChunkSize(data: Buffer): Buffer {
    const whole = this.#take(data, '\r\n')
    if (whole === undefined) return nothing
    const [, digits] = /^([0-9a-fA-F]{1,12})[ \t]*(?:;.*)?$/.exec(whole.line) ?? []
    if (digits === undefined) throw new HttpProtocolError('http1.codec_error')
    this.#left = Number.parseInt(digits, 16)
    this.#state = this.#left === 0 ? 'trailers' : 'chunk'
    return whole.rest
  }

  #readChunkEnd(data: Buffer): Buffer {
    const whole = this.#take(data, '\r\n')
    if (whole === undefined) return nothing
    if (whole.line !== '') throw new HttpProtocolError('http1.codec_error')
    this.#state = 'chunk size'
    return whole.rest
  }

  #readTrailers(data: Buffer): Buffer {
    const joined = this.#partial.length === 0 ? data : Buffer.concat([this.#partial, data])
    if (joined.length >= 2 && joined[0] === 13 && joined[1] === 10) {
      this.#partial = nothing
      this.#end(undefined)
      return joined.subarray(2)
    }
    this.#partial = nothing
    const whole = this.#take(joined, '\r\n\r\n')
    if (whole === undefined) return nothing
    const list: string[] = []
    this.#readFields(whole.line, list)
    this.#end(new Headers(list))
    return whole.rest
  }

  #end(trailers: Headers | undefined): void {
    this.#state = 'idle'
    this.#events.onEnd(trailers)
  }

  /** The text before a separator, which may have been sent in pieces; undefined while it has not come. */
  #take(data: Buffer, separator: string): { readonly line: string; readonly rest: Buffer } | undefined {
    const before = this.#partial.length
    const joined = before === 0 ? data : Buffer.concat([this.#partial, data])
    const end = joined.indexOf(separator, Math.max(0, before - separator.length + 1), 'latin1')
    if ((end === -1 ? joined.length : end) > this.#limits.maxHeaderBytes) {
      throw new HttpProtocolError('http1.headers_too_large')
    }
    if (end === -1) {
      this.#partial = joined
      return undefined
    }
    this.#partial = nothing
    return { line: joined.toString('latin1', 0, end), rest: joined.subarray(end + separator.length) }
  }

  /** Fields, one a line, to a flat list of names and values. */
  #readFields(fields: string, list: string[]): void {
    const text = folded.test(fields) ? fields.replaceAll(folds, ' ') : fields
    if (forbidden.test(text)) throw new HttpProtocolError('http1.codec_error')
    let at = 0
    while (at < text.length) {
      const end = text.indexOf('\r\n', at)
      const lineEnd = end === -1 ? text.length : end
      const colon = text.indexOf(':', at)
      if (colon === -1 || colon >= lineEnd) throw new HttpProtocolError('http1.codec_error')
      list.push(nameOf(text.slice(at, colon)), trimmed(text, colon + 1, lineEnd))
      if (list.length > 2 * this.#limits.maxHeaderCount + 2) throw new HttpProtocolError('http1.too_many_headers')
      at = lineEnd + 2
    }
  }
}

interface Framing {
  readonly length: number | undefined
  readonly isChunked: boolean
  readonly closes: boolean
  readonly keepsAlive: boolean
}

/** @throws HttpProtocolError for a response that may have no body and speaks of one */
function checkBodiless({ length = 0, isChunked }: Framing): void {
  if (isChunked) throw new HttpProtocolError('http1.transfer_encoding_not_allowed')
  if (length > 0) throw new HttpProtocolError('http1.content_length_not_allowed')
}

/** Control characters, and line ends that are not CR LF. */
// oxlint-disable-next-line no-control-regex
const forbidden = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?<!\r)\n/

/** A line that goes on in the next, as RFC 2616 still had it. */
const folded = /\r\n[ \t]/
const folds = /\r\n[ \t]+/g

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const knownNames = new Map<string, string>()
const knownNamesAtMost = 2_000

/** In lower case; names repeat from response to response. */
function nameOf(text: string): string {
  const known = knownNames.get(text)
  if (known !== undefined) return known
  if (!token.test(text)) throw new HttpProtocolError('http1.codec_error')
  const name = text.toLowerCase()
  if (knownNames.size < knownNamesAtMost) knownNames.set(text, name)
  return name
}

/** Without blanks around it. */
function trimmed(text: string, from: number, to: number): string {
  let start = from
  let end = to
  while (start < end && isBlank(text.charCodeAt(start))) start++
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--
  return text.slice(start, end)
}

const isBlank = (code: number): boolean => code === 32 || code === 9

/** Without what concerns only this connection. */
function withoutHop(list: string[], isUpgrade: boolean): string[] {
  let to = 0
  for (let at = 0; at < list.length; at += 2) {
    const name = list[at] as string
    if (isHop(name) && !(isUpgrade && name === 'connection')) continue
    list[to] = name
    list[to + 1] = list[at + 1] as string
    to += 2
  }
  list.length = to
  return list
}

function isHop(name: string): boolean {
  return name === 'connection' || name === 'transfer-encoding' || name === 'keep-alive' || name === 'proxy-connection'
}
