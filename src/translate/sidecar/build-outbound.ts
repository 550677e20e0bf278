import { speaksHttp } from '../cluster/protocol.ts'
import type { GeneratedJson, OutboundInput, OutboundOutput, RouteConfigurationInput } from '../contract.ts'
import { serviceDefaults } from '../defaults.ts'
import { durationJson } from '../duration-json.ts'
import { egressCluster, egressHosts, refusal, refusals, sameVersion } from '../egress/egress-json.ts'
import type { EnvoyJson } from '../envoy-json.ts'
import { clusterName } from '../names.ts'
import { buildRouteConfiguration } from '../route/build-route-configuration.ts'
import { buildFallbackCluster } from '../route/fallback.ts'

/** The routes of what a workload may call: each Service by its hosts, and what the Routes of the mesh say. */
export function buildOutbound(input: OutboundInput): OutboundOutput {
  const { name, reachable, routes, services, defaults, connectTimeout, passthrough, egress, from } = input
  const configuration = buildRouteConfiguration({
    name,
    hosts: [],
    routes,
    services,
    defaults,
    side: 'sidecar',
    implicit: reachable.filter(({ protocol }) => speaksHttp(protocol)),
    others: unknownHosts(input),
    from,
  })
  const resources: GeneratedJson[] = [
    { type: 'route', name, json: configuration.json, from },
    ...configuration.fallbacks.map(buildFallbackCluster),
  ]
  if (passthrough !== undefined)
    resources.push({ type: 'cluster', name: passthrough, json: passthroughJson(passthrough, connectTimeout), from })
  const [first] = egress?.allowed ?? []
  if (egress !== undefined && first !== undefined)
    resources.push(egressCluster({ name: egress.cluster, connectTimeout, keepsVersion: true, from: first.from }))
  return {
    resources,
    filters: configuration.filters,
    clusters: [...new Set([...configuration.clusters, ...reachable.map((one) => clusterName(one.name))])].sort(),
    problems: configuration.problems,
  }
}

/** A policy said no; a host that is known has 404 for what none of its rules is for. */
const denied = ['denied', 'This host is not in the mesh.\n'] as const

function unknownHosts({
  passthrough,
  egress,
  defaults,
}: OutboundInput): NonNullable<RouteConfigurationInput['others']> {
  const allowed = passthrough === undefined ? undefined : [passedOn(passthrough)]
  if (egress === undefined) return [{ hosts: ['*'], routes: allowed ?? [refusal(...denied)] }]
  return egressHosts({
    ...egress,
    defaults,
    side: 'sidecar',
    ...(allowed !== undefined && { otherPorts: allowed }),
    otherHosts: allowed ?? refusals(...denied),
  })
}

function passedOn(cluster: string): EnvoyJson {
  return { name: 'allowed', match: { prefix: '/' }, route: { cluster, timeout: '0s' } }
}

/** Connections go on to where they were going before they were captured. */
function passthroughJson(name: string, connectTimeout: number | undefined): EnvoyJson {
  return {
    name,
    type: 'ORIGINAL_DST',
    lb_policy: 'CLUSTER_PROVIDED',
    connect_timeout: durationJson(connectTimeout ?? serviceDefaults.connectTimeoutMs.value),
    per_connection_buffer_limit_bytes: serviceDefaults.bufferBytes.value,
    original_dst_lb_config: {},
    typed_extension_protocol_options: sameVersion,
  }
}
