import type { FieldReader } from '../config/field-reader.ts'
import { type HeaderTest, readHeaderMatcher } from '../config/header-matcher.ts'

/** What failed tries are tried again, and how. */
export interface RetryPolicy {
  /** `5xx`, `connect-failure`, `retriable-4xx` … */
  readonly on: ReadonlySet<string>
  /** After the first try. */
  readonly retries: number
  readonly perTryTimeoutMs: number | undefined
  readonly perTryIdleTimeoutMs: number | undefined
  /** Hosts that were tried are passed over. */
  readonly avoidsTriedHosts: boolean
  /** Priorities that were tried are passed over, after so many tries. */
  readonly previousPriorities: number | undefined
  /** How often another host is looked for in place of one that is passed over. */
  readonly hostAttempts: number
  readonly statuses: ReadonlySet<number>
  readonly backOff: BackOff
  readonly rateLimited: RateLimitedBackOff | undefined
  /** A response that one of them matches is tried again, with `retriable-headers`. */
  readonly responseHeaders: readonly HeaderTest[]
  /** Only a request that one of them matches is tried again; empty: any. */
  readonly requestHeaders: readonly HeaderTest[]
}

/** The n-th retry waits up to `baseMs` × (2^n − 1), at most `maxMs`, by chance. */
export interface BackOff {
  readonly baseMs: number
  readonly maxMs: number
}

/** The upstream says by a header how long to wait. */
export interface RateLimitedBackOff {
  readonly headers: readonly { readonly name: string; readonly format: 'SECONDS' | 'UNIX_TIMESTAMP' }[]
  readonly maxMs: number
}

const previousHosts = 'envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate'
const previousPriorities = 'envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig'

/** `envoy.config.route.v3.RetryPolicy`. */
export function readRetryPolicy(fields: FieldReader): RetryPolicy {
  const predicates = fields.list('retry_host_predicate', (predicate) => {
    predicate.ignore('name', 'the type says what it is')
    return predicate.any('typed_config', { [previousHosts]: () => true })
  })
  const priority = fields.message('retry_priority', (extension) => {
    extension.ignore('name', 'the type says what it is')
    return extension.any('typed_config', {
      [previousPriorities]: (config) => config.number('update_frequency') ?? 1,
    })
  })
  return {
    on: new Set(
      fields
        .string('retry_on')
        .split(',')
        .map((word) => word.trim())
        .filter((word) => word !== ''),
    ),
    retries: fields.number('num_retries') ?? 1,
    perTryTimeoutMs: fields.durationMs('per_try_timeout'),
    perTryIdleTimeoutMs: fields.durationMs('per_try_idle_timeout'),
    avoidsTriedHosts: predicates.length > 0,
    previousPriorities: priority,
    hostAttempts: fields.number('host_selection_retry_max_attempts') ?? 1,
    statuses: new Set(fields.numbers('retriable_status_codes')),
    backOff: fields.message('retry_back_off', readBackOff) ?? { baseMs: 25, maxMs: 250 },
    rateLimited: fields.message('rate_limited_retry_back_off', readRateLimited),
    responseHeaders: fields.list('retriable_headers', readHeaderMatcher),
    requestHeaders: fields.list('retriable_request_headers', readHeaderMatcher),
  }
}

function readBackOff(fields: FieldReader): BackOff {
  const baseMs = fields.durationMs('base_interval') ?? 25
  const maxMs = fields.durationMs('max_interval') ?? 10 * baseMs
  if (maxMs < baseMs) fields.refuse('max_interval', 'it must be greater than or equal to the base_interval')
  return { baseMs, maxMs }
}

function readRateLimited(fields: FieldReader): RateLimitedBackOff {
  return {
    headers: fields.list('reset_headers', (header) => ({
      name: header.string('name').toLowerCase(),
      format: header.choice('format', ['SECONDS', 'UNIX_TIMESTAMP']),
    })),
    maxMs: fields.durationMs('max_interval') ?? 300_000,
  }
}
