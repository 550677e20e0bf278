import type { ProxyContext } from '../proxy-context.ts'
import type { Http1Options, Http2Options } from '../upstream/http-protocol-options.ts'

export interface Http1CodecOptions {
  readonly context: ProxyContext
  readonly http1: Http1Options
  readonly maxHeadersBytes: number
  /** `server` of what the codec answers itself. */
  readonly serverName: string
  /** Between the last byte of a response and the end of its connection, where the client has still something to say. */
  readonly delayedCloseMs: number
}

export interface Http2CodecOptions {
  readonly context: ProxyContext
  readonly http2: Http2Options
  readonly maxHeadersBytes: number
  /** Between the first GOAWAY and the last. */
  readonly drainMs: number
}
