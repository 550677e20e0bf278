import type { Retry } from '../../config/kinds/common-form.ts'
import { routeDefaults as defaults } from '../defaults.ts'
import { durationJson } from '../duration-json.ts'
import type { EnvoyJson } from '../envoy-json.ts'
import { methodMatcher } from './match-json.ts'

/** What a gRPC server says of a call, and what no server has seen: not what a failed HTTP request is. */
const grpcWords: readonly string[] = [
  'connect-failure',
  'refused-stream',
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
]

export interface RetrySaid {
  /** Of the rule. */
  readonly own: Retry | undefined
  /** What the caller's side and the Mesh say. */
  readonly inherited: Retry | undefined
  readonly isGrpc: boolean
  /** Of what is called, some endpoints are there for when others fail. */
  readonly hasPriorities?: boolean
  /** Milliseconds that a try may take whatever deadline comes with the request; 0 is any. */
  readonly longest?: number
}

/** Envoy's RetryPolicy. */
export function retryJson({ own, inherited, isGrpc, hasPriorities = false, longest = 0 }: RetrySaid): EnvoyJson {
  const retry = { ...inherited, ...own }
  const attempts = retry.attempts ?? defaults.retryAttempts.value
  // Every call of gRPC is a POST, and only its author knows which may be made twice.
  const methods = isGrpc ? undefined : methodMatcher(retry.methods ?? defaults.retryMethods.value)
  const only = methods && { retriable_request_headers: [methods] }
  // Without a policy a header of the client could still ask for retries, of a POST as well.
  if (attempts === 0) return { num_retries: 0, per_try_timeout: tryTimeout({}, longest), ...only }
  const words = own?.retryOn ?? (isGrpc ? grpcOnly(inherited?.retryOn) : inherited?.retryOn) ?? defaults.retryOn.value
  const statuses = words.filter((word) => /^\d{3}$/.test(word)).map(Number)
  const conditions = words.filter((word) => !/^\d{3}$/.test(word))
  const { base, max } = retry.backOff ?? {}
  return {
    retry_on: [...conditions, ...(statuses.length > 0 ? ['retriable-status-codes'] : [])].join(','),
    num_retries: attempts,
    per_try_timeout: tryTimeout(retry, conditions.some((word) => onTimeout.includes(word)) ? 0 : longest),
    retriable_status_codes: statuses.length > 0 ? statuses : undefined,
    ...only,
    ...((retry.otherHosts ?? true) && otherHosts),
    retry_priority: hasPriorities && (retry.otherHosts ?? true) ? otherPriorities(attempts) : undefined,
    retry_back_off: {
      base_interval: durationJson(base ?? defaults.backOffMs.value),
      max_interval: durationJson(max ?? 10 * (base ?? defaults.backOffMs.value)),
    },
  }
}

/** Reasons to try again that a try which took too long is. */
const onTimeout: readonly string[] = ['5xx', 'gateway-error', 'reset', 'reset-before-request']

/**
 * Envoy takes the deadline of a caller in place of the timeout of the route, also where it is later; what a try may take it
 * heeds all the same, and overlooks where the whole is not longer. Where such a try is tried again, the whole would last
 * several times as long, and upstreams would work for nobody.
 */
function tryTimeout({ perTryTimeout }: Retry, longest: number): string | undefined {
  const all = [perTryTimeout ?? 0, longest].filter((time) => time > 0)
  if (all.length === 0) return perTryTimeout === undefined ? undefined : durationJson(perTryTimeout)
  return durationJson(Math.min(...all))
}

/** Of what was said for all calls, what is safe to mean for those of gRPC. */
function grpcOnly(words: readonly string[] | undefined): readonly string[] | undefined {
  const kept = words?.filter((word) => grpcWords.includes(word))
  return kept?.length === 0 ? undefined : kept
}

/** It looks for a host that was not tried yet a few times, and then takes any. */
const otherHosts = {
  retry_host_predicate: [
    {
      name: 'envoy.retry_host_predicates.previous_hosts',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate',
      },
    },
  ],
  host_selection_retry_max_attempts: '5',
} as const

/**
 * A region that has just died is still believed to live, and all of its hosts fail alike. One other host there is tried, for
 * it is most often a host that failed; the last attempt goes where none was.
 */
function otherPriorities(attempts: number): EnvoyJson {
  return {
    name: 'envoy.retry_priorities.previous_priorities',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig',
      update_frequency: Math.min(attempts, 2),
    },
  }
}
