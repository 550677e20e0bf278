import { compileFormat } from '../access-log/format.ts'
import type { FieldReader } from '../config/field-reader.ts'
import { isChosen, type RuntimeFraction, readRuntimeFraction } from '../config/fraction.ts'
import { Headers } from '../http/headers.ts'
import type { HttpFilterKind } from '../http/http-filter.ts'
import { applyHeaderChanges, type HeaderChanges, readAddition } from '../route/header-changes.ts'
import { readTokenBucket, TokenBucket, type TokenBucketConfig } from './token-bucket.ts'

interface RateLimitConfig {
  readonly prefix: string
  readonly status: number
  /** Undefined: nothing is limited. */
  readonly bucket: TokenBucketConfig | undefined
  readonly enabled: RuntimeFraction
  readonly enforced: RuntimeFraction
  /** Of a refusal. */
  readonly responseHeaders: HeaderChanges
  /** Of a request that goes on although it is over the limit. */
  readonly requestHeaders: HeaderChanges
  readonly isPerConnection: boolean
  readonly isExhausted: boolean
}

const never: RuntimeFraction = { key: '', byDefault: { numerator: 0, denominator: 100 } }

const compile = (template: string): ReturnType<typeof compileFormat> => compileFormat(template, '')

function readRateLimit(fields: FieldReader): RateLimitConfig {
  return {
    prefix: fields.string('stat_prefix'),
    status: fields.message('status', (status) => statusOf(status)) ?? 429,
    bucket: fields.message('token_bucket', readTokenBucket),
    enabled: fields.message('filter_enabled', readRuntimeFraction) ?? never,
    enforced: fields.message('filter_enforced', readRuntimeFraction) ?? never,
    responseHeaders: {
      add: fields.list('response_headers_to_add', (option) => readAddition(option, compile)),
      remove: [],
    },
    requestHeaders: {
      add: fields.list('request_headers_to_add_when_not_enforced', (option) => readAddition(option, compile)),
      remove: [],
    },
    isPerConnection: fields.flag('local_rate_limit_per_downstream_connection'),
    isExhausted: fields.flag('rate_limited_as_resource_exhausted'),
  }
}

/** A status that is no error stands for 429, as in Envoy. */
function statusOf(fields: FieldReader): number {
  const code = fields.choice('code', ['Empty', 'TooManyRequests', 'ServiceUnavailable', 'Forbidden', 'BadRequest'])
  return { Empty: 429, TooManyRequests: 429, ServiceUnavailable: 503, Forbidden: 403, BadRequest: 400 }[code]
}

/** Lets so many requests through in a time; one bucket for each configuration, or for each connection. */
export const localRateLimitFilter: HttpFilterKind<RateLimitConfig> = {
  type: 'envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit',
  read: readRateLimit,
  perRoute: { 'envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit': readRateLimit },
  create(config, name, { context }) {
    const { clock, runtime, random } = context
    const buckets = new WeakMap<object, TokenBucket>()
    const perConnection = new WeakMap<object, WeakMap<object, TokenBucket>>()
    const bucketOf = (own: RateLimitConfig, bucket: TokenBucketConfig, connection: object): TokenBucket => {
      if (!own.isPerConnection) return found(buckets, bucket, () => new TokenBucket(bucket, clock))
      const ofConnection = found(perConnection, connection, () => new WeakMap<object, TokenBucket>())
      return found(ofConnection, bucket, () => new TokenBucket(bucket, clock))
    }
    return () => ({
      onRequest(stream) {
        const own = (stream.route()?.perFilter(name).at(-1) as RateLimitConfig | undefined) ?? config
        if (own.bucket === undefined || !isChosen(own.enabled, runtime, random())) return true
        const counter = (what: string) => context.stats.counter(`${own.prefix}.http_local_rate_limit.${what}`)
        counter('enabled').add()
        if (bucketOf(own, own.bucket, stream.connection).take()) {
          counter('ok').add()
          return true
        }
        counter('rate_limited').add()
        const { info, connection, request } = stream
        const subject = { info, connection, request, nowMs: clock.now() }
        if (!isChosen(own.enforced, runtime, random())) {
          applyHeaderChanges(stream.request, own.requestHeaders, subject)
          return true
        }
        counter('enforced').add()
        const headers = new Headers()
        applyHeaderChanges(headers, own.responseHeaders, subject)
        stream.reply({
          status: own.status,
          body: 'local_rate_limited',
          headers,
          flag: 'RL',
          details: 'local_rate_limited',
          ...(own.isExhausted && { grpcStatus: 8 }),
        })
        return false
      },
    })
  },
}

function found<Value>(map: WeakMap<object, Value>, key: object, make: () => Value): Value {
  const known = map.get(key) ?? make()
  map.set(key, known)
  return known
}
