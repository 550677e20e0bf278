import type { Duplex } from 'node:stream'
import type { Clusters } from '../cluster/cluster.ts'
import type { FieldReader } from '../config/field-reader.ts'
import type { Discovery } from '../discovery/discovery.ts'
import type { Headers } from '../http/headers.ts'
import type { StreamInfo } from '../http/stream-info.ts'
import type { ProxyContext } from '../proxy-context.ts'
import type { StatScope } from '../stats/stat-store.ts'
import type { Connections } from '../upstream/upstream.ts'
import type { SocketAddress } from './socket-address.ts'

export type { SocketAddress } from './socket-address.ts'

/** A connection of a client, behind listener filters and TLS. */
export interface DownstreamConnection {
  readonly id: number
  /** What the filters read and write: plain text. */
  readonly stream: Duplex
  /** Who the client is; with the PROXY protocol, who that says. */
  readonly remoteAddress: SocketAddress
  readonly directRemoteAddress: SocketAddress
  /** Where the client wanted to go. */
  readonly localAddress: SocketAddress
  /** Of TLS, in lower case; empty where none was asked for. */
  readonly serverName: string
  /** What ALPN agreed on. */
  readonly alpn: string | undefined
  readonly tls: DownstreamTls | undefined
  readonly listener: string
  readonly filterChain: string
  /** Called when the listener begins to drain: no more requests after those under way. */
  onDrain(act: () => void): void
  readonly isDraining: boolean
}

export interface DownstreamTls {
  /** `TLSv1.3` */
  readonly version: string
  readonly cipher: string
  /** Of the client's certificate, where it has shown one. */
  readonly peer: PeerCertificate | undefined
}

export interface PeerCertificate {
  /** RFC 2253: `CN=a,O=b`. */
  readonly subject: string
  readonly uriNames: readonly string[]
  readonly dnsNames: readonly string[]
  /** SHA-256 of the DER, in hex. */
  readonly sha256: string
  readonly pem: string
}

/** What a network filter is made with; it lives as long as its listener. */
export interface NetworkFilterOwner {
  readonly context: ProxyContext
  readonly clusters: Clusters
  readonly connections: Connections
  readonly discovery: Discovery
  /** `listener.ADDRESS.` */
  readonly listenerStats: StatScope
  /** What the listener is in: traffic that comes from outside, or goes there. */
  readonly direction: 'UNSPECIFIED' | 'INBOUND' | 'OUTBOUND'
  /** What is buffered of one connection, in bytes (`per_connection_buffer_limit_bytes`); 1 MiB where absent. */
  readonly bufferLimit?: number
  /** The listener is not ready before these are done: its routes have come, or are known not to. */
  waitFor(name: string, done: Promise<void>): void
  /** The listener's end, when its last connection is gone. */
  onClosed(act: () => void): void
}

/** A filter of one filter chain. */
export interface NetworkFilter {
  /**
   * In their order, when a connection was accepted; `false` when it was refused, and closed. The last filter takes the
   * connection over.
   */
  onConnection(connection: DownstreamConnection): boolean | Promise<boolean>
}

export interface NetworkFilterKind<Config = unknown> {
  readonly type: string
  read(fields: FieldReader): Config
  create(config: Config, owner: NetworkFilterOwner): NetworkFilter
}

/** How a raw proxy and an HTTP one write what they did. */
export interface AccessLogger {
  /** Headers are absent of a raw connection. */
  log(stream: StreamInfo, connection: DownstreamConnection, http?: LoggedHttp): void
}

export interface LoggedHttp {
  readonly request: Headers
  readonly response: Headers | undefined
  readonly trailers: Headers | undefined
}
