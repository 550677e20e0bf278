import type { Duplex, Readable, Writable } from 'node:stream'
import type { Cluster, RoutingPriority } from '../cluster/cluster.ts'
import type { ClusterConfig } from '../cluster/cluster-config.ts'
import type { Host } from '../cluster/host.ts'
import type { Headers } from '../http/headers.ts'
import type { SocketAddress } from '../network/socket-address.ts'

/** Why a try got no whole response; the response flag of Envoy's that says so. */
export type FailureFlag =
  /** Could not connect. */
  | 'UF'
  /** The connection was closed before the response. */
  | 'UC'
  /** The upstream reset the stream. */
  | 'UR'
  /** Too many: a circuit breaker is open. */
  | 'UO'
  /** Its own protocol was broken by the upstream. */
  | 'UPE'

export class UpstreamFailure extends Error {
  override readonly name = 'UpstreamFailure'
  readonly flag: FailureFlag
  /** `remote connection failure`: what Envoy calls this way of ending. */
  readonly reason: string
  /** Of TCP or TLS, where it has more to say: `delayed connect error: Connection refused`. */
  readonly transportFailure: string
  /** Of a reset HTTP/2 stream: refused before anything was done. */
  readonly isRefused: boolean
  constructor(flag: FailureFlag, reason: string, transportFailure = '', isRefused = false) {
    super(transportFailure === '' ? reason : `${reason}: ${transportFailure}`)
    this.flag = flag
    this.reason = reason
    this.transportFailure = transportFailure
    this.isRefused = isRefused
  }

  /** Behind `upstream connect error or disconnect/reset before headers. `, in Envoy's words. */
  get detail(): string {
    const transport = this.transportFailure === '' ? '' : `, transport failure reason: ${this.transportFailure}`
    return `reset reason: ${this.reason}${transport}`
  }
}

export interface UpstreamResponse {
  /** With `:status`. */
  readonly headers: Headers
  /** It ended with its headers: no body, no trailers. */
  readonly isEnd?: boolean
  /** Paused until it is read. It is destroyed with an `UpstreamFailure` when the upstream breaks off. */
  readonly body: Readable
  /** Once the body has ended. */
  trailers(): Headers | undefined
}

/** One request on a connection of a pool. */
export interface UpstreamStream {
  readonly host: Host
  readonly protocol: 'HTTP/1.1' | 'HTTP/2'
  /** `10.0.0.1:43210`: where the proxy itself is in this connection. */
  readonly localAddress: string
  /** Takes the body; ending it ends the request. */
  readonly body: Writable
  /** Ends the request with trailers. */
  endWith(trailers: Headers): void
  /** Rejects with an `UpstreamFailure`. Interim (1xx) responses go to `onInterim`; 101 is a response. */
  readonly response: Promise<UpstreamResponse>
  onInterim(listen: (headers: Headers) => void): void
  /** Nobody wants the response any more. */
  cancel(): void
}

export interface UpstreamRequest {
  /** With pseudo headers; hop-by-hop headers are the codec's to write. */
  readonly headers: Headers
  /** No body follows. */
  readonly isEnd: boolean
  /** `default` or `high`: whose circuit breakers count. */
  readonly priority: RoutingPriority
  /** What the client speaks, for clusters that do likewise. */
  readonly downstreamProtocol: 'HTTP/1.1' | 'HTTP/2'
  /** `websocket`, or whatever else it is upgraded to. */
  readonly upgrade?: string
  /** Of a dynamic forward proxy: the name that TLS asks for and checks. */
  readonly serverName?: string
  /** Whom a PROXY protocol header tells of. */
  readonly client?: ClientAddresses
  /** Asked when a connection is there at last: whether somebody still waits. */
  readonly isWanted?: () => boolean
}

export interface ClientAddresses {
  readonly remoteAddress: SocketAddress
  readonly localAddress: SocketAddress
}

/** The connections of one proxy to all hosts; pools come and go with hosts. */
export interface Connections {
  /** Rejects with an `UpstreamFailure`: no connection, or none that may be opened. */
  openStream(cluster: Cluster, host: Host, request: UpstreamRequest): Promise<UpstreamStream>
  /** A raw connection, over TLS where the cluster says so. Rejects with an `UpstreamFailure`. */
  connect(cluster: Cluster, host: Host, options?: ConnectOptions): Promise<UpstreamConnection>
  /**
   * Asks for the secrets of a cluster's TLS: it is not warm before they have come, or are known not to.
   * @throws ConfigRejection where a certificate that it holds itself is of no use.
   */
  warm(config: ClusterConfig): { readonly ready: Promise<void>; cancel(): void }
  /** Ends everything now. */
  close(): void
}

export interface ConnectOptions {
  readonly serverName?: string
  /** Whom a PROXY protocol header tells of. */
  readonly client?: ClientAddresses
  /** Of a health check: it goes there, counts nowhere, and is held back by nothing. */
  readonly probe?: { readonly ip: string; readonly port: number; readonly alpn?: readonly string[] }
}

export interface UpstreamConnection {
  readonly socket: Duplex
  readonly localAddress: string
  /** How the stats of host and cluster learn that it is gone; closing the socket does it too. */
  close(): void
}
