import type { FieldReader } from '../config/field-reader.ts'

/** How HTTP is spoken with the hosts of a cluster: `envoy.extensions.upstreams.http.v3.HttpProtocolOptions`. */
export interface HttpProtocolOptions {
  /** `auto` asks by ALPN; `downstream` does as the client does. */
  readonly protocol: 'http1' | 'http2' | 'auto' | 'downstream'
  readonly http1: Http1Options
  readonly http2: Http2Options
  /** A connection that carries no request is closed after it; undefined: never. */
  readonly idleTimeoutMs: number | undefined
  readonly maxConnectionDurationMs: number | undefined
  readonly maxRequestsPerConnection: number | undefined
  /** Of a response. */
  readonly maxHeadersCount: number
  /** From its first byte to its last; the router's to keep. */
  readonly maxStreamDurationMs: number | undefined
  /** TLS asks for the name in `sniHeader` (`:authority`). */
  readonly isSniAutomatic: boolean
  readonly isSanValidationAutomatic: boolean
  readonly sniHeader: string
}

/** `envoy.config.core.v3.Http1ProtocolOptions`, of either side. */
export interface Http1Options {
  readonly allowsAbsoluteUrl: boolean
  readonly acceptsHttp10: boolean
  readonly defaultHostForHttp10: string
  /** How names of headers are written. */
  readonly headerCase: 'lower' | 'proper'
  /** Trailers are dropped without it. */
  readonly hasTrailers: boolean
  readonly allowsChunkedLength: boolean
  readonly sendsFullUrl: boolean
}

/** `envoy.config.core.v3.Http2ProtocolOptions`, of either side. */
export interface Http2Options {
  readonly hpackTableSize: number
  readonly maxConcurrentStreams: number
  readonly initialStreamWindow: number
  readonly initialConnectionWindow: number
  readonly keepalive: Http2Keepalive | undefined
}

export interface Http2Keepalive {
  /** Undefined: no pings but those of `connectionIdleMs`. */
  readonly intervalMs: number | undefined
  readonly timeoutMs: number
  /** 0.15: as much as 15% is added. */
  readonly jitter: number
  /** A connection idle for so long is pinged before it is used. */
  readonly connectionIdleMs: number | undefined
}

const oneHour = 3_600_000

export const defaultHttp1Options: Http1Options = {
  allowsAbsoluteUrl: true,
  acceptsHttp10: false,
  defaultHostForHttp10: '',
  headerCase: 'lower',
  hasTrailers: false,
  allowsChunkedLength: false,
  sendsFullUrl: false,
}

export const defaultHttp2Options: Http2Options = {
  hpackTableSize: 4096,
  maxConcurrentStreams: 1024,
  initialStreamWindow: 16 * 1024 * 1024,
  initialConnectionWindow: 24 * 1024 * 1024,
  keepalive: undefined,
}

/** What a cluster that says nothing speaks. */
export const defaultHttpProtocolOptions: HttpProtocolOptions = {
  protocol: 'http1',
  http1: defaultHttp1Options,
  http2: defaultHttp2Options,
  idleTimeoutMs: oneHour,
  maxConnectionDurationMs: undefined,
  maxRequestsPerConnection: undefined,
  maxHeadersCount: 100,
  maxStreamDurationMs: undefined,
  isSniAutomatic: false,
  isSanValidationAutomatic: false,
  sniHeader: ':authority',
}

export function readHttpProtocolOptions(fields: FieldReader): HttpProtocolOptions {
  const explicit = fields.message('explicit_http_config', readExplicit)
  const downstream = fields.message('use_downstream_protocol_config', (both) => readBoth(both, 'downstream'))
  const auto = fields.message('auto_config', (both) => readBoth(both, 'auto'))
  return {
    ...defaultHttpProtocolOptions,
    ...(explicit ?? downstream ?? auto),
    ...fields.message('common_http_protocol_options', readCommon),
    ...fields.message('upstream_http_protocol_options', readUpstreamNames),
  }
}

type Protocol = Pick<HttpProtocolOptions, 'protocol' | 'http1' | 'http2'>

function readExplicit(fields: FieldReader): Protocol {
  const isHttp2 = fields.has('http2_protocol_options')
  return { ...readBoth(fields, isHttp2 ? 'http2' : 'http1') }
}

function readBoth(fields: FieldReader, protocol: HttpProtocolOptions['protocol']): Protocol {
  return {
    protocol,
    http1: fields.message('http_protocol_options', readHttp1Options) ?? defaultHttp1Options,
    http2: fields.message('http2_protocol_options', readHttp2Options) ?? defaultHttp2Options,
  }
}

type Common = Pick<
  HttpProtocolOptions,
  'idleTimeoutMs' | 'maxConnectionDurationMs' | 'maxRequestsPerConnection' | 'maxHeadersCount' | 'maxStreamDurationMs'
>

function readCommon(fields: FieldReader): Common {
  const idleTimeoutMs = fields.durationMs('idle_timeout') ?? oneHour
  fields.choice('headers_with_underscores_action', ['ALLOW'])
  return {
    // Zero switches it off.
    idleTimeoutMs: idleTimeoutMs === 0 ? undefined : idleTimeoutMs,
    maxConnectionDurationMs: fields.durationMs('max_connection_duration'),
    maxRequestsPerConnection: fields.number('max_requests_per_connection') || undefined,
    maxHeadersCount: fields.number('max_headers_count') ?? defaultHttpProtocolOptions.maxHeadersCount,
    maxStreamDurationMs: fields.durationMs('max_stream_duration'),
  }
}

function readUpstreamNames(
  fields: FieldReader,
): Pick<HttpProtocolOptions, 'isSniAutomatic' | 'isSanValidationAutomatic' | 'sniHeader'> {
  return {
    isSniAutomatic: fields.flag('auto_sni'),
    isSanValidationAutomatic: fields.flag('auto_san_validation'),
    sniHeader: fields.string('override_auto_sni_header') || ':authority',
  }
}

export function readHttp1Options(fields: FieldReader): Http1Options {
  fields.ignore('use_balsa_parser', 'which parser Envoy has inside shows in nothing that this proxy covers')
  return {
    allowsAbsoluteUrl: fields.flag('allow_absolute_url', true),
    acceptsHttp10: fields.flag('accept_http_10'),
    defaultHostForHttp10: fields.string('default_host_for_http_10'),
    headerCase: fields.message('header_key_format', readHeaderCase) ?? 'lower',
    hasTrailers: fields.flag('enable_trailers'),
    allowsChunkedLength: fields.flag('allow_chunked_length'),
    sendsFullUrl: fields.flag('send_fully_qualified_url'),
  }
}

function readHeaderCase(fields: FieldReader): Http1Options['headerCase'] {
  return fields.message('proper_case_words', () => 'proper' as const) ?? 'lower'
}

export function readHttp2Options(fields: FieldReader): Http2Options {
  for (const name of floodLimits) fields.ignore(name, 'Node has its own limits against floods')
  fields.ignore('use_oghttp2_codec', 'which codec Envoy has inside shows in nothing that this proxy covers')
  return {
    hpackTableSize: fields.number('hpack_table_size') ?? defaultHttp2Options.hpackTableSize,
    maxConcurrentStreams: fields.number('max_concurrent_streams') ?? defaultHttp2Options.maxConcurrentStreams,
    initialStreamWindow: fields.number('initial_stream_window_size') ?? defaultHttp2Options.initialStreamWindow,
    initialConnectionWindow:
      fields.number('initial_connection_window_size') ?? defaultHttp2Options.initialConnectionWindow,
    keepalive: fields.message('connection_keepalive', readKeepalive),
  }
}

const floodLimits = [
  'max_outbound_frames',
  'max_outbound_control_frames',
  'max_consecutive_inbound_frames_with_empty_payload',
  'max_inbound_priority_frames_per_stream',
  'max_inbound_window_update_frames_per_data_frame_sent',
]

function readKeepalive(fields: FieldReader): Http2Keepalive {
  return {
    intervalMs: fields.durationMs('interval') || undefined,
    timeoutMs: fields.durationMs('timeout') ?? 0,
    jitter: (fields.message('interval_jitter', (percent) => percent.number('value')) ?? 15) / 100,
    connectionIdleMs: fields.durationMs('connection_idle_interval') || undefined,
  }
}
