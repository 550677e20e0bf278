import type { ServiceForm } from '../../config/kinds/service-form.ts'
import { serviceDefaults as defaults } from '../defaults.ts'
import { durationJson } from '../duration-json.ts'
import { at, type EnvoyJson, type SourcePlace, within } from '../envoy-json.ts'

const extension = (name: string, message: string, fields: Readonly<Record<string, EnvoyJson>>): EnvoyJson => ({
  name,
  typed_config: { '@type': `type.googleapis.com/${message}`, ...fields },
})

/** A cluster whose endpoints come by EDS, so that a change of one leaves the cluster, and what is warm of it, alone. */
export function buildCluster(name: string, form: ServiceForm, from: SourcePlace): EnvoyJson {
  return {
    name,
    type: 'EDS',
    eds_cluster_config: { eds_config: { ads: {}, resource_api_version: 'V3' } },
    connect_timeout: durationJson(defaults.connectTimeoutMs.value),
    per_connection_buffer_limit_bytes: defaults.bufferBytes.value,
    load_balancing_policy: { policies: [{ typed_extension_config: leastRequest() }] },
    common_lb_config: { healthy_panic_threshold: { value: defaults.panicPercent.value } },
    circuit_breakers: { thresholds: [threshold('DEFAULT'), threshold('HIGH')] },
    outlier_detection: {
      consecutive_5xx: defaults.consecutive5xx.value,
      interval: durationJson(defaults.outlierIntervalMs.value),
      base_ejection_time: durationJson(defaults.ejectionTimeMs.value),
      max_ejection_time: durationJson(defaults.maxEjectionTimeMs.value),
      max_ejection_percent: defaults.maxEjectedPercent.value,
      enforcing_success_rate: 0,
      split_external_local_origin_errors: true,
    },
    upstream_connection_options: { tcp_keepalive: { keepalive_time: defaults.tcpKeepaliveS.value } },
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': at(within(from, 'protocol'), httpOptions(form)),
    },
  }
}

function leastRequest(): EnvoyJson {
  const message = 'envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest'
  return extension('envoy.load_balancing_policies.least_request', message, { choice_count: defaults.choices.value })
}

function threshold(priority: 'DEFAULT' | 'HIGH'): EnvoyJson {
  return {
    priority,
    max_connections: defaults.maxConnections.value,
    max_pending_requests: defaults.maxPendingRequests.value,
    max_requests: defaults.maxRequests.value,
    retry_budget: {
      budget_percent: { value: defaults.retryBudgetPercent.value },
      min_retry_concurrency: defaults.retryBudgetMin.value,
    },
    track_remaining: true,
  }
}

function httpOptions({ protocol }: ServiceForm): EnvoyJson {
  const isHttp2 = protocol === 'http2' || protocol === 'grpc'
  return {
    '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
    common_http_protocol_options: { idle_timeout: durationJson(defaults.idleTimeoutMs.value) },
    // A plaintext server cannot be asked which protocol it speaks.
    explicit_http_config: isHttp2 ? { http2_protocol_options: {} } : { http_protocol_options: {} },
  }
}
