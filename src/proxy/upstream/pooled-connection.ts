import type { Socket } from 'node:net'
import type { Host } from '../cluster/host.ts'
import type { ClusterTraffic } from './cluster-traffic.ts'
import type { HttpProtocolOptions } from './http-protocol-options.ts'
import type { UpstreamRequest, UpstreamStream } from './upstream.ts'

/** A connection of a pool that carries requests: one at a time, or many. */
export interface PooledConnection {
  readonly protocol: 'HTTP/1.1' | 'HTTP/2'
  /** How many more requests it may take now; none where it goes. */
  readonly free: number
  /** Requests under way. */
  readonly active: number
  /** Only where `free` says so. */
  open(request: UpstreamRequest): UpstreamStream
  /** No more requests: it closes when those under way are done. */
  drain(): void
  /** Closes it now. */
  close(): void
}

/** What one is made of that is there. */
export interface PooledConnectionOptions {
  readonly socket: Socket
  readonly host: Host
  readonly localAddress: string
  readonly http: HttpProtocolOptions
  readonly traffic: ClusterTraffic
  readonly keeper: ConnectionKeeper
}

/** Who holds it, and what that one is told. */
export interface ConnectionKeeper {
  /** A request is done, or the peer allows more: `free` may have grown. */
  onFree(connection: PooledConnection): void
  /** It takes no more requests, though some may be under way. */
  onDraining(connection: PooledConnection): void
  onClosed(connection: PooledConnection, isLocal: boolean): void
  onStreamEnd(connection: PooledConnection): void
}
