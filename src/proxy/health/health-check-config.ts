import { ConfigRejection } from '../config/config-rejection.ts'
import type { FieldReader } from '../config/field-reader.ts'
import { type HeaderOption, readHeaderOption } from '../config/header-option.ts'
import { readStringMatcher, type TextTest } from '../config/string-matcher.ts'

/** How the hosts of a cluster are checked, and what their state then is. Times are ms. */
export interface HealthCheckConfig {
  readonly timeoutMs: number
  readonly intervalMs: number
  /** Of the first check, at most. */
  readonly initialJitterMs: number
  readonly intervalJitterMs: number
  /** Of the interval, from 0 to 100. */
  readonly intervalJitterPercent: number
  /** So many failures in a row make it unhealthy. */
  readonly unhealthyThreshold: number
  /** So many successes in a row make it healthy; the very first check needs but one. */
  readonly healthyThreshold: number
  readonly reusesConnection: boolean
  readonly noTrafficIntervalMs: number
  readonly noTrafficHealthyIntervalMs: number
  readonly unhealthyIntervalMs: number
  readonly unhealthyEdgeIntervalMs: number
  readonly healthyEdgeIntervalMs: number
  readonly check: CheckKind
}

export type CheckKind = HttpCheck | TcpCheck | GrpcCheck

export interface HttpCheck {
  readonly kind: 'http'
  /** `:authority`; empty: the host's own, or the cluster's name. */
  readonly host: string
  readonly path: string
  readonly method: string
  readonly isHttp2: boolean
  readonly headersToAdd: readonly HeaderOption[]
  readonly headersToRemove: readonly string[]
  readonly expected: readonly StatusRange[]
  /** Failures that count to the threshold, where others turn it unhealthy at once. */
  readonly retriable: readonly StatusRange[]
  /** What `x-envoy-upstream-healthchecked-cluster` must be. */
  readonly serviceName: TextTest | undefined
  /** Must be in the body, in this order. */
  readonly receive: readonly Buffer[]
  readonly body: Buffer
}

/** From `start` up to, not including, `end`. */
export interface StatusRange {
  readonly start: number
  readonly end: number
}

export interface TcpCheck {
  readonly kind: 'tcp'
  /** Empty: the connection alone will do. */
  readonly send: Buffer
  /** Must be in what comes, in this order. */
  readonly receive: readonly Buffer[]
}

export interface GrpcCheck {
  readonly kind: 'grpc'
  readonly serviceName: string
  readonly authority: string
  readonly metadata: readonly HeaderOption[]
}

/** `envoy.config.core.v3.HealthCheck` */
export function readHealthCheck(fields: FieldReader): HealthCheckConfig {
  const intervalMs = fields.durationMs('interval') ?? 0
  const unhealthyIntervalMs = fields.durationMs('unhealthy_interval') ?? intervalMs
  const noTrafficIntervalMs = fields.durationMs('no_traffic_interval') ?? 60_000
  fields.ignore('always_log_health_check_failures', 'there is no event log that it would be about')
  fields.ignore('always_log_health_check_success', 'there is no event log that it would be about')
  return {
    timeoutMs: fields.durationMs('timeout') ?? 0,
    intervalMs,
    initialJitterMs: fields.durationMs('initial_jitter') ?? 0,
    intervalJitterMs: fields.durationMs('interval_jitter') ?? 0,
    intervalJitterPercent: fields.number('interval_jitter_percent') ?? 0,
    unhealthyThreshold: fields.number('unhealthy_threshold') ?? 0,
    healthyThreshold: fields.number('healthy_threshold') ?? 0,
    reusesConnection: fields.flag('reuse_connection', true),
    noTrafficIntervalMs,
    noTrafficHealthyIntervalMs: fields.durationMs('no_traffic_healthy_interval') ?? noTrafficIntervalMs,
    unhealthyIntervalMs,
    unhealthyEdgeIntervalMs: fields.durationMs('unhealthy_edge_interval') ?? unhealthyIntervalMs,
    healthyEdgeIntervalMs: fields.durationMs('healthy_edge_interval') ?? intervalMs,
    check: readKind(fields),
  }
}

function readKind(fields: FieldReader): CheckKind {
  const kind =
    fields.message('http_health_check', readHttpCheck) ??
    fields.message('tcp_health_check', readTcpCheck) ??
    fields.message('grpc_health_check', readGrpcCheck)
  return kind ?? { kind: 'tcp', send: Buffer.alloc(0), receive: [] }
}

function readHttpCheck(fields: FieldReader): HttpCheck {
  const expected = fields.list('expected_statuses', (range) => readStatusRange(range, 'expected'))
  const chosen = fields.choice('method', [
    'METHOD_UNSPECIFIED',
    'GET',
    'HEAD',
    'POST',
    'PUT',
    'DELETE',
    'OPTIONS',
    'PATCH',
  ])
  const method = chosen === 'METHOD_UNSPECIFIED' ? 'GET' : chosen
  fields.ignore('response_buffer_size', 'a check reads as much of the body as it needs')
  return {
    kind: 'http',
    host: fields.string('host'),
    path: fields.string('path'),
    method,
    isHttp2: fields.choice('codec_client_type', ['HTTP1', 'HTTP2']) === 'HTTP2',
    headersToAdd: fields.list('request_headers_to_add', readHeaderOption),
    headersToRemove: fields.strings('request_headers_to_remove').map((name) => name.toLowerCase()),
    expected: expected.length > 0 ? expected : [{ start: 200, end: 201 }],
    retriable: fields.list('retriable_statuses', (range) => readStatusRange(range, 'retriable')),
    serviceName: fields.message('service_name_matcher', readStringMatcher),
    receive: fields.list('receive', readPayload),
    body: readBody(fields, method),
  }
}

function readBody(fields: FieldReader, method: string): Buffer {
  const body = fields.message('send', readPayload)
  if (body !== undefined && !['POST', 'PUT', 'PATCH', 'OPTIONS'].includes(method)) {
    throw new ConfigRejection(
      `HTTP health check cannot specify a request payload with method '${method}'. Only methods that support a request body (POST, PUT, PATCH, OPTIONS) can be used with payload.`,
    )
  }
  return body ?? Buffer.alloc(0)
}

/** @throws ConfigRejection in Envoy's words */
function readStatusRange(fields: FieldReader, kind: 'expected' | 'retriable'): StatusRange {
  const range = { start: fields.number('start') ?? 0, end: fields.number('end') ?? 0 }
  const problem = problemOf(range)
  if (problem !== undefined) throw new ConfigRejection(`Invalid http ${kind} status range: ${problem}`)
  return range
}

function problemOf({ start, end }: StatusRange): string | undefined {
  if (start >= end) return `expecting start < end, but found start=${start} and end=${end}`
  if (start < 100) return `expecting start >= 100, but found start=${start}`
  return end > 600 ? `expecting end <= 600, but found end=${end}` : undefined
}

function readTcpCheck(fields: FieldReader): TcpCheck {
  return {
    kind: 'tcp',
    send: fields.message('send', readPayload) ?? Buffer.alloc(0),
    receive: fields.list('receive', readPayload),
  }
}

/** Text of a payload is hex. */
function readPayload(fields: FieldReader): Buffer {
  return fields.bytes('binary') ?? Buffer.from(fields.string('text'), 'hex')
}

function readGrpcCheck(fields: FieldReader): GrpcCheck {
  return {
    kind: 'grpc',
    serviceName: fields.string('service_name'),
    authority: fields.string('authority'),
    metadata: fields.list('initial_metadata', readHeaderOption),
  }
}
