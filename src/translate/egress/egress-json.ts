import type { Egress } from '../../config/kinds/common-form.ts'
import type { GeneratedJson } from '../contract.ts'
import { serviceDefaults } from '../defaults.ts'
import { durationJson } from '../duration-json.ts'
import { at, type EnvoyJson, type SourcePlace } from '../envoy-json.ts'
import { dnsCacheConfig } from './dns-cache.ts'

/** Where nothing is said: those of HTTP and of TLS. */
export const egressPorts: readonly number[] = [80, 443]

/** The cluster through which hosts outside are reached: whichever a request names, for the routes let no other through. */
export function egressCluster(name: string, from: SourcePlace): GeneratedJson {
  const json: EnvoyJson = {
    name,
    connect_timeout: durationJson(serviceDefaults.connectTimeoutMs.value),
    lb_policy: 'CLUSTER_PROVIDED',
    cluster_type: {
      name: 'envoy.clusters.dynamic_forward_proxy',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig',
        dns_cache_config: dnsCacheConfig(name),
      },
    },
  }
  return { type: 'cluster', name, json, from }
}

/** How hosts are served that no Route is for: those that are allowed are reached on some ports, all others refused. */
export function egressHosts(
  { hosts, ports = egressPorts }: Egress,
  cluster: string,
  from: SourcePlace,
): readonly { readonly hosts: readonly string[]; readonly routes: readonly EnvoyJson[] }[] {
  const routes = [
    { name: 'egress/connect', match: { connect_matcher: {}, headers: [onPort(ports, true)] }, ...tunnel(cluster) },
    { name: 'egress/request', match: { prefix: '/', headers: [onPort(ports, false)] }, route: { cluster } },
    ...refusals('egress/port', 'port not allowed\n'),
  ]
  const allowed = { hosts, routes: routes.map((route) => at(from, route)) }
  return hosts.includes('*')
    ? [allowed]
    : [allowed, { hosts: ['*'], routes: refusals('egress/host', 'host not allowed\n') }]
}

/** A CONNECT has no path, so that it is refused apart. */
function refusals(name: string, text: string): readonly EnvoyJson[] {
  const refused = { direct_response: { status: 403, body: { inline_string: text } } }
  return [
    { name: `${name}/connect`, match: { connect_matcher: {} }, ...refused },
    { name, match: { prefix: '/' }, ...refused },
  ]
}

const tunnel = (cluster: string): { readonly route: EnvoyJson } => ({
  route: { cluster, upgrade_configs: [{ upgrade_type: 'CONNECT', connect_config: {} }] },
})

/** Hosts match whatever the port is, so that the port is asked for apart. */
function onPort(ports: readonly number[], isAlwaysGiven: boolean): EnvoyJson {
  const isOptional = !isAlwaysGiven && ports.includes(80)
  const regex = `[^:]+|\\[[^\\]]*\\]`
  const suffix = `:(${ports.join('|')})`
  return {
    name: ':authority',
    string_match: { safe_regex: { regex: `(${regex})${isOptional ? `(${suffix})?` : suffix}` } },
  }
}
