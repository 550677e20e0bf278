import type { FieldReader } from '../config/field-reader.ts'
import { readFraction } from '../config/fraction.ts'
import { readHeaderMatcher } from '../config/header-matcher.ts'
import { grpcStatusOfHttp } from '../http/grpc-status.ts'
import type { ProxyContext } from '../proxy-context.ts'
import type { FormatSubject } from './format-subject.ts'
import { grpcStatusNumber } from './grpc-status-name.ts'

/** Whether a stream is logged. */
export type AccessLogFilter = (subject: FormatSubject, context: ProxyContext) => boolean

const kinds: Readonly<Record<string, (fields: FieldReader) => AccessLogFilter>> = {
  status_code_filter: (fields) => {
    const compare = fields.message('comparison', readComparison) ?? (() => true)
    return ({ info }, context) => compare(info.responseCode ?? 0, context)
  },
  duration_filter: (fields) => {
    const compare = fields.message('comparison', readComparison) ?? (() => true)
    return ({ info, nowMs }, context) => compare(Math.floor(nowMs - info.startMs), context)
  },
  not_health_check_filter:
    () =>
    ({ info }) =>
      !info.filterState.has('envoy.health_check'),
  runtime_filter: readRuntimeFilter,
  and_filter: (fields) => {
    const filters = fields.list('filters', readAccessLogFilter)
    return (subject, context) => filters.every((filter) => filter(subject, context))
  },
  or_filter: (fields) => {
    const filters = fields.list('filters', readAccessLogFilter)
    return (subject, context) => filters.some((filter) => filter(subject, context))
  },
  header_filter: (fields) => {
    const test = fields.message('header', readHeaderMatcher) ?? (() => true)
    return ({ request }) => request !== undefined && test(request)
  },
  response_flag_filter: (fields) => {
    const flags = fields.strings('flags')
    return ({ info }) => (flags.length === 0 ? info.flags.size > 0 : flags.some((flag) => info.flags.has(flag)))
  },
  grpc_status_filter: readGrpcFilter,
}

/** `envoy.config.accesslog.v3.AccessLogFilter`. */
export function readAccessLogFilter(fields: FieldReader): AccessLogFilter {
  for (const [name, read] of Object.entries(kinds)) {
    const filter = fields.message(name, read)
    if (filter !== undefined) return filter
  }
  return () => true
}

type Comparison = (value: number, context: ProxyContext) => boolean

function readComparison(fields: FieldReader): Comparison {
  const operator = fields.choice('op', ['EQ', 'GE', 'LE', 'NE'])
  const wanted = fields.message('value', (value) => ({
    key: value.string('runtime_key'),
    byDefault: value.number('default_value') ?? 0,
  })) ?? { key: '', byDefault: 0 }
  return (value, { runtime }) => {
    const other = runtime.number(wanted.key, wanted.byDefault)
    if (operator === 'EQ') return value === other
    if (operator === 'GE') return value >= other
    return operator === 'LE' ? value <= other : value !== other
  }
}

/** By the request's id, so that all proxies on its way log it or none; by chance where it has none, or as asked. */
function readRuntimeFilter(fields: FieldReader): AccessLogFilter {
  const key = fields.string('runtime_key')
  const share = fields.message('percent_sampled', readFraction) ?? { numerator: 0, denominator: 100 }
  const isIndependent = fields.flag('use_independent_randomness')
  return ({ request }, { runtime, random }) => {
    const id = isIndependent ? undefined : request?.get('x-request-id')
    const number = Number.parseInt(id?.slice(0, 8) ?? '', 16)
    const chance = Number.isNaN(number) ? random() : (number % share.denominator) / share.denominator
    return runtime.isChosen(key, share, chance)
  }
}

/** What is no gRPC has the status that its HTTP status maps to. */
function readGrpcFilter(fields: FieldReader): AccessLogFilter {
  const statuses = new Set(fields.strings('statuses').map(grpcStatusNumber))
  const isExcluding = fields.flag('exclude')
  return (subject) => {
    const { trailers, response, info } = subject
    const text = trailers?.get('grpc-status') ?? response?.get('grpc-status')
    const status = text === undefined ? grpcStatusOfHttp(info.responseCode ?? 0) : Number(text)
    return statuses.has(status) !== isExcluding
  }
}
