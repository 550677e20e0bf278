import { type AccessLogConfig, readAccessLog } from '../access-log/access-log.ts'
import { compileFormat } from '../access-log/format.ts'
import { type ConfigSourceConfig, readConfigSource } from '../config/config-source.ts'
import type { FieldReader } from '../config/field-reader.ts'
import type { HeaderMutations } from '../route/header-mutation.ts'
import { type RouteTable, type RouteTableOptions, routeTableReader } from '../route/route-table.ts'
import {
  defaultHttp1Options,
  defaultHttp2Options,
  type Http1Options,
  type Http2Options,
  readHttp1Options,
  readHttp2Options,
} from '../upstream/http-protocol-options.ts'
import { type ClientCertPolicy, readClientCertPolicy } from './edge/client-cert.ts'
import { readEarlyMutations } from './edge/early-header-mutation.ts'
import { type InternalAddresses, readInternalAddresses } from './edge/internal-address.ts'
import { type RequestIdPolicy, readRequestIdPolicy } from './edge/request-id.ts'
import { readTracing, type TracingConfig } from './edge/tracing.ts'
import type { HttpFilterKind } from './http-filter.ts'
import { type FilterEntry, readFilterEntry } from './http-filters.ts'

/** `envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager` */
export interface ManagerConfig {
  readonly codec: 'AUTO' | 'HTTP1' | 'HTTP2'
  readonly statPrefix: string
  readonly routes: RouteSource
  readonly filters: readonly FilterEntry[]
  readonly upgrades: ReadonlyMap<string, UpgradeConfig>
  readonly accessLogs: readonly (AccessLogConfig | undefined)[]
  readonly http1: Http1Options
  readonly http2: Http2Options
  readonly timeouts: ManagerTimeouts
  readonly maxHeadersBytes: number
  readonly maxHeadersCount: number
  readonly maxRequestsPerConnection: number | undefined
  readonly server: ServerHeader
  readonly edge: EdgeRules
}

/** Where the routes come from: RDS by a name, or the configuration itself. */
export type RouteSource =
  | { readonly kind: 'rds'; readonly name: string; readonly source: ConfigSourceConfig }
  | { readonly kind: 'inline'; readonly table: RouteTable }

export interface UpgradeConfig {
  readonly isEnabled: boolean
  /** In place of the connection manager's own. */
  readonly filters: readonly FilterEntry[] | undefined
}

/** Undefined is without limit, of each. */
export interface ManagerTimeouts {
  /** Of a connection without requests. */
  readonly idleMs: number | undefined
  readonly maxConnectionMs: number | undefined
  readonly maxStreamMs: number | undefined
  /** Of a stream without any byte, either way. */
  readonly streamIdleMs: number | undefined
  /** From the first byte of a request to its last. */
  readonly requestMs: number | undefined
  /** From the first byte of a request to the end of its headers. */
  readonly requestHeadersMs: number | undefined
  /** Between the first GOAWAY and the last. */
  readonly drainMs: number
  /** Between the last byte of a response and the end of its connection, where the client has still something to say. */
  readonly delayedCloseMs: number
}

export interface ServerHeader {
  readonly name: string
  readonly handling: 'OVERWRITE' | 'APPEND_IF_ABSENT' | 'PASS_THROUGH'
}

/** What is done to requests where they come in. */
export interface EdgeRules {
  readonly usesRemoteAddress: boolean
  readonly trustedHops: number
  readonly skipsXffAppend: boolean
  readonly appendsForwardedPort: boolean
  readonly internalAddresses: InternalAddresses
  readonly via: string
  readonly requestId: RequestIdPolicy
  readonly clientCert: ClientCertPolicy
  readonly earlyMutations: HeaderMutations
  readonly tracing: TracingConfig | undefined
  readonly normalizesPath: boolean
  readonly mergesSlashes: boolean
  readonly escapedSlashes: EscapedSlashes
  readonly underscores: 'ALLOW' | 'REJECT_REQUEST' | 'DROP_HEADER'
  readonly stripsPort: 'none' | 'matching' | 'any'
  readonly stripsTrailingDot: boolean
  readonly scheme: 'http' | 'https' | undefined
  readonly answersRequestId: boolean
  /** `user-agent` where there is none, and the cluster of this proxy. */
  readonly addsUserAgent: boolean
  /** Whether a client's `Expect: 100-continue` is the upstream's to answer. */
  readonly proxiesContinue: boolean
}

export type EscapedSlashes = 'KEEP_UNCHANGED' | 'REJECT_REQUEST' | 'UNESCAPE_AND_REDIRECT' | 'UNESCAPE_AND_FORWARD'

const oneHour = 3_600_000

/** Zero, where it is said, switches a timeout off. */
const limit = (ms: number | undefined): number | undefined => (ms === undefined || ms === 0 ? undefined : ms)

/** How routes are read whose filters are of these kinds. */
export function routeOptionsOf(kinds: readonly HttpFilterKind[]): RouteTableOptions {
  return {
    perRoute: Object.assign({}, ...kinds.map(({ perRoute }) => perRoute ?? {})) as RouteTableOptions['perRoute'],
    compile: (template) => compileFormat(template, ''),
  }
}

/** @throws ConfigRejection through `fields` */
export function readManagerConfig(
  fields: FieldReader,
  kinds: readonly HttpFilterKind[],
  routeOptions: RouteTableOptions,
): ManagerConfig {
  const common = fields.message('common_http_protocol_options', readCommon) ?? commonByDefault
  const readEntry = (entry: FieldReader): FilterEntry | undefined => readFilterEntry(entry, kinds)
  const filters = known(fields.list('http_filters', readEntry))
  if (filters.at(-1)?.kind.isTerminal !== true) {
    fields.refuse('http_filters', 'the last filter must be one that ends the chain: envoy.filters.http.router')
  }
  fields.ignore('access_log_options', 'a stream is logged once, at its end')
  return {
    codec: fields.choice('codec_type', ['AUTO', 'HTTP1', 'HTTP2']),
    statPrefix: fields.string('stat_prefix'),
    routes: readRouteSource(fields, routeOptions),
    filters,
    upgrades: new Map(
      fields.list('upgrade_configs', (upgrade) => [
        upgrade.string('upgrade_type').toLowerCase(),
        {
          isEnabled: upgrade.flag('enabled', true),
          filters: upgrade.has('filters') ? known(upgrade.list('filters', readEntry)) : undefined,
        },
      ]),
    ),
    accessLogs: fields.list('access_log', readAccessLog),
    http1: fields.message('http_protocol_options', readOwnHttp1) ?? defaultHttp1Options,
    http2: fields.message('http2_protocol_options', readHttp2Options) ?? defaultHttp2Options,
    timeouts: {
      idleMs: common.idleMs,
      maxConnectionMs: common.maxConnectionMs,
      maxStreamMs: common.maxStreamMs,
      streamIdleMs: limit(fields.durationMs('stream_idle_timeout') ?? 300_000),
      requestMs: limit(fields.durationMs('request_timeout')),
      requestHeadersMs: limit(fields.durationMs('request_headers_timeout')),
      drainMs: fields.durationMs('drain_timeout') ?? 5000,
      delayedCloseMs: fields.durationMs('delayed_close_timeout') ?? 1000,
    },
    maxHeadersBytes: (fields.number('max_request_headers_kb') ?? 60) * 1024,
    maxHeadersCount: common.maxHeadersCount,
    maxRequestsPerConnection: common.maxRequests,
    server: {
      name: fields.string('server_name') || 'envoy',
      handling: fields.choice('server_header_transformation', ['OVERWRITE', 'APPEND_IF_ABSENT', 'PASS_THROUGH']),
    },
    edge: readEdgeRules(fields, common.underscores),
  }
}

const known = <T>(entries: readonly (T | undefined)[]): readonly T[] => entries.filter((entry) => entry !== undefined)

function readRouteSource(fields: FieldReader, options: RouteTableOptions): RouteSource {
  const table = fields.message('route_config', routeTableReader(options))
  if (table !== undefined) return { kind: 'inline', table }
  const rds = fields.message('rds', (source) => ({
    kind: 'rds' as const,
    name: source.string('route_config_name'),
    source: source.message('config_source', readConfigSource) ?? unsaidSource,
  }))
  if (rds === undefined) fields.refuse('rds', 'there must be routes: rds or route_config')
  return rds ?? { kind: 'rds', name: '', source: unsaidSource }
}

const unsaidSource: ConfigSourceConfig = { initialFetchTimeoutMs: 15_000 }

interface Common {
  readonly idleMs: number | undefined
  readonly maxConnectionMs: number | undefined
  readonly maxStreamMs: number | undefined
  readonly maxHeadersCount: number
  readonly maxRequests: number | undefined
  readonly underscores: EdgeRules['underscores']
}

const commonByDefault: Common = {
  idleMs: oneHour,
  maxConnectionMs: undefined,
  maxStreamMs: undefined,
  maxHeadersCount: 100,
  maxRequests: undefined,
  underscores: 'ALLOW',
}

function readCommon(fields: FieldReader): Common {
  return {
    idleMs: limit(fields.durationMs('idle_timeout') ?? oneHour),
    maxConnectionMs: limit(fields.durationMs('max_connection_duration')),
    maxStreamMs: limit(fields.durationMs('max_stream_duration')),
    maxHeadersCount: fields.number('max_headers_count') ?? 100,
    maxRequests: fields.number('max_requests_per_connection') || undefined,
    underscores: fields.choice('headers_with_underscores_action', ['ALLOW', 'REJECT_REQUEST', 'DROP_HEADER']),
  }
}

function readEdgeRules(fields: FieldReader, underscores: EdgeRules['underscores']): EdgeRules {
  const escapedSlashes = fields.choice('path_with_escaped_slashes_action', [
    'IMPLEMENTATION_SPECIFIC_DEFAULT',
    'KEEP_UNCHANGED',
    'REJECT_REQUEST',
    'UNESCAPE_AND_REDIRECT',
    'UNESCAPE_AND_FORWARD',
  ])
  const stripsMatching = fields.flag('strip_matching_host_port')
  return {
    usesRemoteAddress: fields.flag('use_remote_address'),
    trustedHops: fields.number('xff_num_trusted_hops') ?? 0,
    skipsXffAppend: fields.flag('skip_xff_append'),
    appendsForwardedPort: fields.flag('append_x_forwarded_port'),
    internalAddresses: fields.message('internal_address_config', readInternalAddresses) ?? {},
    via: fields.string('via'),
    requestId: readRequestIdPolicy(fields),
    clientCert: readClientCertPolicy(fields),
    earlyMutations: readEarlyMutations(fields),
    tracing: fields.message('tracing', readTracing),
    normalizesPath: fields.flag('normalize_path'),
    mergesSlashes: fields.flag('merge_slashes'),
    escapedSlashes: escapedSlashes === 'IMPLEMENTATION_SPECIFIC_DEFAULT' ? 'KEEP_UNCHANGED' : escapedSlashes,
    underscores,
    stripsPort: fields.flag('strip_any_host_port') ? 'any' : stripsMatching ? 'matching' : 'none',
    stripsTrailingDot: fields.flag('strip_trailing_host_dot'),
    scheme: fields.message('scheme_header_transformation', readScheme),
    answersRequestId: fields.flag('always_set_request_id_in_response'),
    addsUserAgent: fields.flag('add_user_agent'),
    proxiesContinue: fields.flag('proxy_100_continue'),
  }
}

function readScheme(fields: FieldReader): 'http' | 'https' | undefined {
  const scheme = fields.string('scheme_to_overwrite')
  return scheme === 'http' || scheme === 'https' ? scheme : undefined
}

/** Of HTTP/1 with clients, less what is done towards upstreams alone. */
function readOwnHttp1(fields: FieldReader): Http1Options {
  const read = readHttp1Options(fields)
  if (read.headerCase !== 'lower') fields.refuse('header_key_format', 'clients get names in lower case')
  if (read.allowsChunkedLength) fields.refuse('allow_chunked_length', 'such a request is refused')
  return read
}
