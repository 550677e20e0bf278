import type { Duplex, Readable, Writable } from 'node:stream'
import type { Headers } from './headers.ts'

export type HttpProtocol = 'HTTP/1.0' | 'HTTP/1.1' | 'HTTP/2'

export interface Refusal {
  readonly status: number
  /** `http1.invalid_url` */
  readonly details: string
}

/** One request and its response on a connection of a client, as a codec gives it to the connection manager. */
export interface Exchange {
  readonly protocol: HttpProtocol
  /** With `:method`, `:path`, `:authority`, `:scheme`, each where the client said it. */
  readonly request: Headers
  /** Undefined where the request ends with its headers. Paused until it is read. */
  readonly body: Readable | undefined
  /** Of HTTP/1: what the client wants to speak instead, in lower case. */
  readonly upgrade: string | undefined
  /** Why the codec takes this request for broken though it can be read; nothing of it is to be passed on. */
  readonly refusal: Refusal | undefined
  /** The request has come whole. */
  readonly isRequestComplete: boolean
  /** Once the body has ended. */
  trailers(): Headers | undefined
  /** 100, 103 … */
  sendInterim(headers: Headers): void
  /** With `:status`; once. What is written of hop-by-hop headers is the codec's concern. */
  sendHeaders(headers: Headers, isEnd: boolean): void
  /** The body may be long in coming: the client gets the headers now. */
  flushHeaders(): void
  /** Takes the body of the response; ending it ends the response. */
  readonly responseBody: Writable
  endWith(trailers: Headers): void
  /** Breaks the response off: RST_STREAM, or the connection is closed. */
  reset(): void
  /** After the response: the connection is closed (HTTP/1), or told to go away (HTTP/2). */
  closeAfterResponse(): void
  /** An upgrade that was granted: all bytes both ways, from now on. */
  takeOver(headers: Headers): Duplex
  /** Called once when it is over: the response was written whole (`done`), or client or connection broke off. */
  onClosed(listen: (how: 'done' | 'reset') => void): void
}
