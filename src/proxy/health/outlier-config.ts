import { ConfigRejection } from '../config/config-rejection.ts'
import type { FieldReader } from '../config/field-reader.ts'

/**
 * When a host is let out of a cluster for what becomes of its requests. Percents are from 0 to 100; `enforcing…` is how
 * often a host that is found out really is let out.
 */
export interface OutlierConfig {
  readonly consecutive5xx: number
  readonly consecutiveGatewayFailure: number
  readonly consecutiveLocalOriginFailure: number
  readonly enforcingConsecutive5xx: number
  readonly enforcingConsecutiveGatewayFailure: number
  readonly enforcingConsecutiveLocalOriginFailure: number
  readonly intervalMs: number
  /** Times the number of times that it was let out. */
  readonly baseEjectionTimeMs: number
  readonly maxEjectionTimeMs: number
  readonly maxEjectionTimeJitterMs: number
  readonly maxEjectionPercent: number
  /** One at a time may always be let out, whatever the percent. */
  readonly alwaysEjectsOneHost: boolean
  /** Failures to connect and timeouts are counted apart from what hosts answer. */
  readonly splitsLocalOrigin: boolean
  readonly successRateMinimumHosts: number
  readonly successRateRequestVolume: number
  /** In thousandths: 1900 is 1.9 standard deviations below the mean. */
  readonly successRateStdevFactor: number
  readonly enforcingSuccessRate: number
  readonly enforcingLocalOriginSuccessRate: number
  readonly failurePercentageThreshold: number
  readonly failurePercentageMinimumHosts: number
  readonly failurePercentageRequestVolume: number
  readonly enforcingFailurePercentage: number
  readonly enforcingFailurePercentageLocalOrigin: number
  /** A check that a host passes ends its time outside. */
  readonly checkUnejects: boolean
}

/**
 * `envoy.config.cluster.v3.OutlierDetection`
 * @throws ConfigRejection where the longest time outside would be shorter than the first
 */
export function readOutlierConfig(fields: FieldReader): OutlierConfig {
  const number = (name: string, byDefault: number): number => fields.number(name) ?? byDefault
  const baseEjectionTimeMs = fields.durationMs('base_ejection_time') ?? 30_000
  const maxEjectionTimeMs = fields.durationMs('max_ejection_time') ?? Math.max(300_000, baseEjectionTimeMs)
  if (maxEjectionTimeMs < baseEjectionTimeMs) {
    throw new ConfigRejection("outlier detector's max_ejection_time cannot be smaller than base_ejection_time")
  }
  return {
    consecutive5xx: number('consecutive_5xx', 5),
    consecutiveGatewayFailure: number('consecutive_gateway_failure', 5),
    consecutiveLocalOriginFailure: number('consecutive_local_origin_failure', 5),
    enforcingConsecutive5xx: number('enforcing_consecutive_5xx', 100),
    enforcingConsecutiveGatewayFailure: number('enforcing_consecutive_gateway_failure', 0),
    enforcingConsecutiveLocalOriginFailure: number('enforcing_consecutive_local_origin_failure', 100),
    intervalMs: fields.durationMs('interval') ?? 10_000,
    baseEjectionTimeMs,
    maxEjectionTimeMs,
    maxEjectionTimeJitterMs: fields.durationMs('max_ejection_time_jitter') ?? 0,
    maxEjectionPercent: number('max_ejection_percent', 10),
    alwaysEjectsOneHost: fields.flag('always_eject_one_host'),
    splitsLocalOrigin: fields.flag('split_external_local_origin_errors'),
    successRateMinimumHosts: number('success_rate_minimum_hosts', 5),
    successRateRequestVolume: number('success_rate_request_volume', 100),
    successRateStdevFactor: number('success_rate_stdev_factor', 1900),
    enforcingSuccessRate: number('enforcing_success_rate', 100),
    enforcingLocalOriginSuccessRate: number('enforcing_local_origin_success_rate', 100),
    failurePercentageThreshold: number('failure_percentage_threshold', 85),
    failurePercentageMinimumHosts: number('failure_percentage_minimum_hosts', 5),
    failurePercentageRequestVolume: number('failure_percentage_request_volume', 50),
    enforcingFailurePercentage: number('enforcing_failure_percentage', 0),
    enforcingFailurePercentageLocalOrigin: number('enforcing_failure_percentage_local_origin', 0),
    checkUnejects: fields.flag('successful_active_health_check_uneject_host', true),
  }
}
