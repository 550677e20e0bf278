import type { FieldReader } from '../config/field-reader.ts'
import { readPercent } from '../config/fraction.ts'
import type { RoutingPriority } from './routing-priority.ts'

/** How much may be under way in a cluster at a time, for one routing priority. */
export interface CircuitConfig {
  readonly maxConnections: number
  readonly maxPendingRequests: number
  readonly maxRequests: number
  readonly maxRetries: number
  /** In place of `maxRetries`: a share of what is under way. */
  readonly retryBudget: RetryBudget | undefined
  /** Whether the `remaining_*` stats are kept. */
  readonly tracksRemaining: boolean
}

export interface RetryBudget {
  /** From 0 to 1, of the requests that are active or wait for a connection. */
  readonly share: number
  /** So many are always allowed. */
  readonly minConcurrency: number
}

export type CircuitConfigs = Readonly<Record<RoutingPriority, CircuitConfig>>

/** What Envoy allows where nothing is said. */
const byDefault: CircuitConfig = {
  maxConnections: 1024,
  maxPendingRequests: 1024,
  maxRequests: 1024,
  maxRetries: 3,
  retryBudget: undefined,
  tracksRemaining: false,
}

export const defaultCircuits: CircuitConfigs = { default: byDefault, high: byDefault }

/** What `circuit_breakers` says of the cluster, and of each host of it. */
export interface CircuitBreakers {
  readonly circuits: CircuitConfigs
  readonly maxConnectionsPerHost: number
}

export const defaultBreakers: CircuitBreakers = {
  circuits: defaultCircuits,
  maxConnectionsPerHost: Number.POSITIVE_INFINITY,
}

/** `envoy.config.cluster.v3.CircuitBreakers`; the first entry of a priority counts, as for Envoy. */
export function readCircuitBreakers(fields: FieldReader): CircuitBreakers {
  const thresholds = fields.list('thresholds', readThresholds)
  const perHost = fields.list('per_host_thresholds', (of) => ({
    priority: readPriority(of),
    maxConnections: of.number('max_connections') ?? byDefault.maxConnections,
  }))
  const circuit = (priority: RoutingPriority): CircuitConfig =>
    thresholds.find((one) => one.priority === priority)?.circuit ?? byDefault
  return {
    circuits: { default: circuit('default'), high: circuit('high') },
    maxConnectionsPerHost:
      perHost.find(({ priority }) => priority === 'default')?.maxConnections ?? Number.POSITIVE_INFINITY,
  }
}

function readThresholds(fields: FieldReader): { readonly priority: RoutingPriority; readonly circuit: CircuitConfig } {
  return {
    priority: readPriority(fields),
    circuit: {
      maxConnections: fields.number('max_connections') ?? byDefault.maxConnections,
      maxPendingRequests: fields.number('max_pending_requests') ?? byDefault.maxPendingRequests,
      maxRequests: fields.number('max_requests') ?? byDefault.maxRequests,
      maxRetries: fields.number('max_retries') ?? byDefault.maxRetries,
      retryBudget: fields.message('retry_budget', readRetryBudget),
      tracksRemaining: fields.flag('track_remaining'),
    },
  }
}

function readPriority(fields: FieldReader): RoutingPriority {
  return fields.choice('priority', ['DEFAULT', 'HIGH']) === 'HIGH' ? 'high' : 'default'
}

function readRetryBudget(fields: FieldReader): RetryBudget {
  return {
    share: fields.message('budget_percent', readPercent) ?? 0.2,
    minConcurrency: fields.number('min_retry_concurrency') ?? 3,
  }
}
