import type { CircuitBreaker } from '../../config/kinds/service-form.ts'
import { serviceDefaults as defaults } from '../defaults.ts'
import { at, type EnvoyJson } from '../envoy-json.ts'
import { or, type PolicyLayers, said } from './policy-layers.ts'

/** The limits of what is under way at a time; routes of a high priority have as much again. */
export function circuitBreakers(layers: PolicyLayers): EnvoyJson {
  return { thresholds: [threshold(layers, 'DEFAULT'), threshold(layers, 'HIGH')] }
}

function threshold(layers: PolicyLayers, priority: 'DEFAULT' | 'HIGH'): EnvoyJson {
  return {
    priority,
    max_connections: or(said(layers, 'circuitBreaker', 'maxConnections'), defaults.maxConnections),
    max_pending_requests: or(said(layers, 'circuitBreaker', 'maxPendingRequests'), defaults.maxPendingRequests),
    max_requests: or(said(layers, 'circuitBreaker', 'maxRequests'), defaults.maxRequests),
    ...retries(layers),
    track_remaining: true,
  }
}

/** A number or a budget, whichever the nearest layer says: with a budget Envoy does not look at the number. */
function retries(layers: PolicyLayers): { readonly [field: string]: EnvoyJson } {
  const number = said(layers, 'circuitBreaker', 'maxRetries')
  const budget = said(layers, 'circuitBreaker', 'retryBudget')
  if (number !== undefined && (budget === undefined || number.layer < budget.layer)) {
    return { max_retries: at(number.from, number.value) }
  }
  const { percent, min }: Partial<NonNullable<CircuitBreaker['retryBudget']>> = budget?.value ?? {}
  const json = {
    budget_percent: { value: percent ?? defaults.retryBudgetPercent.value },
    min_retry_concurrency: min ?? defaults.retryBudgetMin.value,
  }
  return { retry_budget: budget === undefined ? json : at(budget.from, json) }
}
