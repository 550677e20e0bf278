import type { DownstreamConnection } from '../network/network-filter.ts'
import type { Exchange } from './exchange.ts'

/** Speaks one version of HTTP with the clients of a connection manager. */
export interface Codec {
  accept(connection: DownstreamConnection, client: CodecClient): CodecConnection
  close(): void
}

/** What a codec tells of one connection. */
export interface CodecClient {
  onExchange(exchange: Exchange): void
  /**
   * What came is no HTTP, or breaks its rules. Exchanges that are under way are to be answered so if nothing was answered
   * yet; where there is none, the codec answers. The connection closes.
   */
  onMalformed(problem: Malformed): void
}

export interface Malformed {
  /** Undefined where nothing can be answered. */
  readonly status: number | undefined
  /** `http1.codec_error` */
  readonly details: string
}

/** One connection as its codec has it. */
export interface CodecConnection {
  readonly protocol: 'HTTP/1.1' | 'HTTP/2'
  /** No more requests after those under way; then it is closed. */
  drain(): void
  /** Closed at once. */
  close(): void
  /** Of HTTP/1: bytes of a request have come that is not whole up to its headers yet. */
  readonly isReadingHeaders: boolean
  /** Answers a client that did not get on with its headers. */
  refuseHeaders(status: number): void
}
