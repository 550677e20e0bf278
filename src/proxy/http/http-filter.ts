import type { Readable } from 'node:stream'
import type { Clusters } from '../cluster/cluster.ts'
import type { FieldReader, ReadByType } from '../config/field-reader.ts'
import type { DownstreamConnection, NetworkFilterOwner } from '../network/network-filter.ts'
import type { ProxyContext } from '../proxy-context.ts'
import type { StatScope } from '../stats/stat-store.ts'
import type { Connections } from '../upstream/upstream.ts'
import type { Headers } from './headers.ts'
import type { StreamInfo } from './stream-info.ts'

/** One request on its way through the filters of a connection manager. */
export interface HttpStream {
  readonly context: ProxyContext
  readonly clusters: Clusters
  readonly connection: DownstreamConnection
  readonly info: StreamInfo
  /** Filters change them in place. */
  readonly request: Headers
  /** What the request brings behind its headers; a filter may put another in its place. */
  body: Readable | undefined
  requestTrailers(): Headers | undefined
  /** The route that the request takes, found when it is first asked for. */
  route(): RouteTaken | undefined
  /** Answers in place of the upstream, as Envoy's local reply; it passes all filters, as any response. */
  reply(reply: LocalReply): void
  /** Called when the stream is over, however it ends. */
  onClosed(act: () => void): void
}

/** Of a route, what filters go by. */
export interface RouteTaken {
  readonly name: string
  readonly virtualHost: string
  /** Undefined for a redirect or direct response. */
  readonly cluster: string | undefined
  /** `typed_per_filter_config` of route, weighted cluster, virtual host and route configuration: the most specific last. */
  perFilter(filterName: string): readonly unknown[]
}

export interface LocalReply {
  readonly status: number
  readonly body?: string
  readonly headers?: Headers
  /** Envoy's response flag: `FI`, `RL`, `UH` … */
  readonly flag?: string
  /** `%RESPONSE_CODE_DETAILS%`: `route_not_found`. */
  readonly details: string
  /** Of a gRPC request, which is answered 200 with this `grpc-status`; what HTTP's status maps to where absent. */
  readonly grpcStatus?: number
}

export interface HttpResponse {
  /** With `:status`. Filters change them in place. */
  readonly headers: Headers
  /** A filter may put another in its place; undefined where the response ends with its headers. */
  body: Readable | undefined
}

/** One filter's part in one stream. */
export interface HttpFilter {
  /** In the order of the configuration. What it returns is `false` when it has answered, or taken the stream over. */
  onRequest?(stream: HttpStream): boolean | Promise<boolean>
  /** In the opposite order; for local replies too. */
  onResponse?(stream: HttpStream, response: HttpResponse): void
}

/** A kind of filter, by the full name of its configuration's message. */
export interface HttpFilterKind<Config = unknown> {
  readonly type: string
  /** It answers every request: no filter follows. */
  readonly isTerminal?: boolean
  /** @throws ConfigRejection through `fields` */
  read(fields: FieldReader): Config
  /** Of `typed_per_filter_config`, by the full name of the message. */
  readonly perRoute?: ReadByType<unknown>
  /** Called once for a connection manager; what it returns, once a stream. */
  create(config: Config, name: string, owner: FilterOwner): () => HttpFilter
}

export interface FilterOwner {
  /** By which filters get their configuration that have none of their own; absent where all have. */
  readonly discovered?: Pick<NetworkFilterOwner, 'discovery' | 'waitFor' | 'onClosed'>
  readonly context: ProxyContext
  readonly clusters: Clusters
  readonly connections: Connections
  /** How much of a request's body is kept for another try, in bytes. */
  readonly bufferLimit: number
  /** `http.PREFIX.` */
  readonly stats: StatScope
}
