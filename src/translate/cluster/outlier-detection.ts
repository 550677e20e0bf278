import { serviceDefaults as defaults } from '../defaults.ts'
import { durationJson } from '../duration-json.ts'
import { at, type EnvoyJson } from '../envoy-json.ts'
import { durationOr, or, type PolicyLayers, type Said, said } from './policy-layers.ts'

/** Undefined where it is off. */
export function outlierDetection(layers: PolicyLayers): EnvoyJson | undefined {
  const first = layers.find(({ policy }) => policy.outlierDetection !== undefined)
  if (first?.policy.outlierDetection === 'off') return undefined
  const consecutive = or(said(layers, 'outlierDetection', 'consecutive5xx'), defaults.consecutive5xx)
  const gatewayErrors = said(layers, 'outlierDetection', 'consecutiveGatewayErrors')
  const successRate = said(layers, 'outlierDetection', 'successRate')
  // What Envoy enforces of itself differs from check to check.
  const enforced = or(whole(successRate), { value: 0, why: '' })
  return {
    consecutive_5xx: consecutive,
    // Counted apart from answers, so that a host that refuses connections is found out by them alone.
    consecutive_local_origin_failure: consecutive,
    split_external_local_origin_errors: true,
    ...(gatewayErrors && {
      consecutive_gateway_failure: at(gatewayErrors.from, gatewayErrors.value),
      enforcing_consecutive_gateway_failure: 100,
    }),
    enforcing_success_rate: enforced,
    enforcing_local_origin_success_rate: enforced,
    interval: durationOr(said(layers, 'outlierDetection', 'interval'), defaults.outlierIntervalMs),
    ...ejectionTimes(layers),
    max_ejection_percent: or(whole(said(layers, 'outlierDetection', 'maxEjected')), defaults.maxEjectedPercent),
  }
}

/** Envoy refuses a longest time below the first one, which can come of two layers: the nearer one is right. */
function ejectionTimes(layers: PolicyLayers): { readonly [field: string]: EnvoyJson } {
  const first = said(layers, 'outlierDetection', 'ejectionTime')
  const longest = said(layers, 'outlierDetection', 'maxEjectionTime')
  const ms = {
    first: first?.value ?? defaults.ejectionTimeMs.value,
    longest: longest?.value ?? defaults.maxEjectionTimeMs.value,
  }
  const isFirstNearer = (first?.layer ?? layers.length) < (longest?.layer ?? layers.length)
  const limit = isFirstNearer ? ms.first : ms.longest
  const json = (found: Said<number> | undefined, value: number): EnvoyJson =>
    found === undefined ? durationJson(value) : at(found.from, durationJson(value))
  return {
    base_ejection_time: json(first, isFirstNearer ? ms.first : Math.min(ms.first, limit)),
    max_ejection_time: json(longest, isFirstNearer ? Math.max(ms.longest, limit) : ms.longest),
  }
}

/** Envoy takes no fractions of these. */
function whole(found: Said<number> | undefined): Said<number> | undefined {
  return found && { ...found, value: Math.round(found.value) }
}
