import { speaksHttp } from '../cluster/protocol.ts'
import type { GeneratedJson, OutboundInput, OutboundOutput } from '../contract.ts'
import { serviceDefaults } from '../defaults.ts'
import { durationJson } from '../duration-json.ts'
import type { EnvoyJson } from '../envoy-json.ts'
import { buildRouteConfiguration } from '../route/build-route-configuration.ts'
import { buildFallbackCluster } from '../route/fallback.ts'

/** The routes of what a workload may call: each Service by its hosts, and what the Routes of the mesh say. */
export function buildOutbound(input: OutboundInput): OutboundOutput {
  const { name, reachable, routes, services, defaults, passthrough, from } = input
  const configuration = buildRouteConfiguration({
    name,
    hosts: [],
    routes,
    services,
    defaults,
    side: 'sidecar',
    implicit: reachable.filter(({ protocol }) => speaksHttp(protocol)),
    others: [{ hosts: ['*'], routes: [unknownHost(passthrough)] }],
    from,
  })
  const resources: GeneratedJson[] = [
    { type: 'route', name, json: configuration.json, from },
    ...configuration.fallbacks.map(buildFallbackCluster),
  ]
  if (passthrough !== undefined)
    resources.push({ type: 'cluster', name: passthrough, json: passthroughJson(passthrough), from })
  return {
    resources,
    filters: configuration.filters,
    services: [...new Set([...configuration.services, ...reachable.map((one) => one.name)])].sort(),
    problems: configuration.problems,
  }
}

/** A policy said no; a host that is known has 404 for what none of its rules is for. */
function unknownHost(passthrough: string | undefined): EnvoyJson {
  const match = { prefix: '/' }
  if (passthrough !== undefined) return { name: 'allowed', match, route: { cluster: passthrough, timeout: '0s' } }
  return {
    name: 'denied',
    match,
    direct_response: { status: 403, body: { inline_string: 'This host is not in the mesh.\n' } },
  }
}

/** Connections go on to where they were going before they were captured. */
function passthroughJson(name: string): EnvoyJson {
  return {
    name,
    type: 'ORIGINAL_DST',
    lb_policy: 'CLUSTER_PROVIDED',
    connect_timeout: durationJson(serviceDefaults.connectTimeoutMs.value),
    per_connection_buffer_limit_bytes: serviceDefaults.bufferBytes.value,
    original_dst_lb_config: {},
  }
}
