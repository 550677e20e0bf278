import type { Host } from '../cluster/host.ts'
import type { SocketAddress } from '../network/socket-address.ts'
import type { HttpProtocol } from './exchange.ts'

/** What is known of one stream or raw connection, for access logs and whoever decides by it. Times are the clock's, in ms. */
export interface StreamInfo {
  readonly startMs: number
  /** Wall clock, for `%START_TIME%`. */
  readonly startTime: Date
  /** Who the client is by `x-forwarded-for`; of a raw connection, and where that is not heeded, the connection knows. */
  clientAddress?: SocketAddress
  /** Undefined for a raw connection. */
  protocol: HttpProtocol | undefined
  requestEndMs: number | undefined
  firstUpstreamByteMs: number | undefined
  lastByteSentMs: number | undefined
  bytesReceived: number
  bytesSent: number
  responseCode: number | undefined
  /** `via_upstream`, `route_not_found`. */
  responseCodeDetails: string | undefined
  /** `UH`, `NR`, in the order in which they were set. */
  readonly flags: Set<string>
  routeName: string | undefined
  virtualHost: string | undefined
  upstreamCluster: string | undefined
  upstreamHost: Host | undefined
  upstreamLocalAddress: string | undefined
  upstreamProtocol: HttpProtocol | undefined
  upstreamTransportFailure: string | undefined
  attempts: number
  connectionTerminationDetails: string | undefined
  /** `metadata.namespace.key` that filters set. */
  readonly dynamicMetadata: Map<string, Record<string, unknown>>
  readonly filterState: Map<string, string>
}
