import { randomBytes } from 'node:crypto'
import type { FieldReader } from '../../config/field-reader.ts'
import { readPercent } from '../../config/fraction.ts'
import type { ProxyContext } from '../../proxy-context.ts'
import type { Headers } from '../headers.ts'
import { traceReasonOf, withTraceReason } from './request-id.ts'

/**
 * Which requests would be traced. This proxy exports no spans: it decides, says so in `x-request-id`, and passes the
 * context on, so that whoever is behind it sees what it would see behind Envoy.
 */
export interface TracingConfig {
  /** Fractions of 1. */
  readonly client: number
  readonly random: number
  readonly overall: number
  readonly propagation: 'traceparent' | 'b3' | 'none'
}

/** `…HttpConnectionManager.Tracing` */
export function readTracing(fields: FieldReader): TracingConfig {
  for (const name of ['verbose', 'max_path_tag_length', 'custom_tags', 'spawn_upstream_span'])
    fields.ignore(name, 'it would show only in spans, and none is exported')
  return {
    client: fields.message('client_sampling', readPercent) ?? 1,
    random: fields.message('random_sampling', readPercent) ?? 1,
    overall: fields.message('overall_sampling', readPercent) ?? 1,
    propagation: fields.message('provider', readProvider) ?? 'none',
  }
}

function readProvider(fields: FieldReader): TracingConfig['propagation'] {
  fields.ignore('name', 'the type says what it is')
  const ignoringAll =
    (propagation: TracingConfig['propagation'], names: readonly string[]) =>
    (config: FieldReader): TracingConfig['propagation'] => {
      for (const name of names) config.ignore(name, 'no span is exported')
      return propagation
    }
  return (
    fields.any('typed_config', {
      'envoy.config.trace.v3.OpenTelemetryConfig': ignoringAll('traceparent', [
        'grpc_service',
        'http_service',
        'service_name',
        'resource_detectors',
      ]),
      'envoy.config.trace.v3.ZipkinConfig': ignoringAll('b3', [
        'collector_cluster',
        'collector_endpoint',
        'collector_endpoint_version',
        'collector_hostname',
        'trace_id_128bit',
        'shared_span_context',
        'split_spans_for_request',
      ]),
    }) ?? 'none'
  )
}

const hex = (bytes: number): string => randomBytes(bytes).toString('hex')

/** Decides whether this request is traced, marks its id with the reason, and passes a trace context on. */
export function traceRequest(
  request: Headers,
  config: TracingConfig,
  packsReason: boolean,
  context: ProxyContext,
): void {
  const id = request.get('x-request-id')
  if (id === undefined) return
  const { runtime, random } = context
  const isWithin = (key: string, share: number): boolean =>
    runtime.isChosen(key, { numerator: share * 1_000_000, denominator: 1_000_000 }, random())
  let reason = traceReasonOf(id)
  if (reason === 'none') {
    if (request.has('x-client-trace-id') && isWithin('tracing.client_enabled', config.client)) reason = 'client'
    else if (request.has('x-envoy-force-trace')) reason = 'forced'
    else if (isWithin('tracing.random_sampling', config.random)) reason = 'sampled'
  }
  if (reason !== 'none' && !isWithin('tracing.global_enabled', config.overall)) reason = 'none'
  if (packsReason) request.set('x-request-id', withTraceReason(id, reason))
  propagate(request, config.propagation, reason !== 'none')
}

/** A context that came in goes on with a span of this proxy's; where none came, one begins here. */
function propagate(request: Headers, format: TracingConfig['propagation'], isSampled: boolean): void {
  if (format === 'traceparent') {
    const [, trace, , flags] =
      /^00-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})$/.exec(request.get('traceparent') ?? '') ?? []
    request.set('traceparent', `00-${trace ?? hex(16)}-${hex(8)}-${flags ?? (isSampled ? '01' : '00')}`)
  } else if (format === 'b3') {
    const parent = request.get('x-b3-spanid')
    const span = hex(8)
    if (!request.has('x-b3-traceid')) request.set('x-b3-traceid', span)
    if (parent !== undefined) request.set('x-b3-parentspanid', parent)
    request.set('x-b3-spanid', span)
    if (!request.has('x-b3-sampled')) request.set('x-b3-sampled', isSampled ? '1' : '0')
  }
}
