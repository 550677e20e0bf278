import type { ServiceForm } from '../../config/kinds/service-form.ts'
import type { Assignment } from '../contract.ts'
import { serviceDefaults as defaults } from '../defaults.ts'
import { durationJson } from '../duration-json.ts'
import { assignmentJson } from '../endpoint/assignment-json.ts'
import { at, type EnvoyJson, type SourcePlace, within } from '../envoy-json.ts'
import { circuitBreakers } from './circuit-breakers.ts'
import { healthChecks } from './health-checks.ts'
import { loadBalancingPolicy } from './load-balancing.ts'
import { outlierDetection } from './outlier-detection.ts'
import { durationOr, or, type PolicyLayers, said } from './policy-layers.ts'
import { speaksHttp } from './protocol.ts'
import { httpProtocolOptions } from './protocol-options.ts'
import { transportSocket } from './transport-socket.ts'

export interface ClusterInput {
  readonly name: string
  readonly form: ServiceForm
  /** The Service's document. */
  readonly from: SourcePlace
  readonly layers: PolicyLayers
  /** Given where its addresses are names to resolve, which do not come by EDS. */
  readonly inline: Assignment | undefined
}

export function buildCluster({ name, form, from, layers, inline }: ClusterInput): EnvoyJson {
  const checks = healthChecks(form, layers)
  return {
    name,
    ...discovery(form, inline),
    connect_timeout: durationOr(said(layers, 'connectionPool', 'connectTimeout'), defaults.connectTimeoutMs),
    per_connection_buffer_limit_bytes: defaults.bufferBytes.value,
    load_balancing_policy: loadBalancingPolicy(layers),
    common_lb_config: {
      healthy_panic_threshold: { value: or(said(layers, 'loadBalancing', 'panic'), defaults.panicPercent) },
      // New hosts, of which nothing is known yet, would count as unhealthy, and many of them mean panic.
      ignore_new_hosts_until_first_hc: checks && true,
      update_merge_window: durationJson(defaults.updateMergeWindowMs.value),
    },
    health_checks: checks,
    // Who is deregistered is gone at once, whatever its health checks say.
    ignore_health_on_host_removal: checks && true,
    circuit_breakers: circuitBreakers(layers),
    outlier_detection: outlierDetection(layers),
    transport_socket: transportSocket(form, layers),
    upstream_connection_options: { tcp_keepalive: tcpKeepalive(layers) },
    typed_extension_protocol_options: speaksHttp(form.protocol)
      ? {
          'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': at(
            within(from, 'protocol'),
            httpProtocolOptions(form, layers),
          ),
        }
      : undefined,
  }
}

/** By EDS a change of an endpoint leaves the cluster, and what is warm of it, alone; but that takes addresses. */
function discovery({ dns }: ServiceForm, inline: Assignment | undefined): { readonly [field: string]: EnvoyJson } {
  if (inline === undefined) {
    return { type: 'EDS', eds_cluster_config: { eds_config: { ads: {}, resource_api_version: 'V3' } } }
  }
  return {
    type: dns?.mode === 'logical' ? 'LOGICAL_DNS' : 'STRICT_DNS',
    // With AUTO a server that has IPv4 alone was never reached (measured).
    dns_lookup_family: 'V4_PREFERRED',
    dns_refresh_rate: durationJson(defaults.dnsRefreshMs.value),
    load_assignment: assignmentJson(inline),
  }
}

function tcpKeepalive(layers: PolicyLayers): EnvoyJson {
  const found = said(layers, 'connectionPool', 'tcpKeepalive')
  const seconds = Math.ceil((found?.value ?? defaults.tcpKeepaliveMs.value) / 1000)
  return {
    keepalive_time: found === undefined ? seconds : at(found.from, seconds),
    keepalive_interval: defaults.tcpKeepaliveIntervalS.value,
    keepalive_probes: defaults.tcpKeepaliveProbes.value,
  }
}
