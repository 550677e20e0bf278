import type { Duplex } from 'node:stream'
import type { FormatSubject } from '../access-log/format-subject.ts'
import type { Exchange } from './exchange.ts'
import type { Headers } from './headers.ts'
import type { HttpResponse, HttpStream } from './http-filter.ts'
import type { ManagerStats } from './manager-stats.ts'
import type { TakenRoute } from './taken-route.ts'

/** A stream as the filter sees it that answers it: the router. */
export interface RoutedStream extends HttpStream, FormatSubject {
  readonly request: Headers
  readonly exchange: Exchange
  readonly stats: ManagerStats
  /** From 0 up to 1, the same for all that chance decides of this request. */
  readonly random: number
  route(): TakenRoute | undefined
  /** Headers have gone to the client. */
  readonly isAnswered: boolean
  /** Nobody waits any more. */
  readonly isOver: boolean
  /** Of an upgrade that this connection manager allows: `websocket`, `connect`. */
  readonly upgrade: string | undefined
  /** Passes the filters and goes to the client. */
  respond(response: HttpResponse, source: ResponseSource): void
  sendInterim(headers: Headers): void
  /** Grants an upgrade. */
  takeOver(headers: Headers): Duplex
  /** There was news of the stream: its idle timeout begins anew. */
  touch(): void
  /** In place of the connection manager's; undefined is none. */
  setIdleTimeout(ms: number | undefined): void
  setMaxDuration(ms: number | undefined): void
  /** `set-cookie` of the response, for sticky clients. */
  setCookie(line: string): void
}

/** Where the body of a response comes from. */
export interface ResponseSource {
  /** Once the body has ended. */
  trailers(): Headers | undefined
  /** The response has gone by, or was broken off. */
  onDone(error?: Error): void
}
