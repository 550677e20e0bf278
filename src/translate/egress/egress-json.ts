import type { GeneratedJson } from '../contract.ts'
import { serviceDefaults } from '../defaults.ts'
import { durationJson } from '../duration-json.ts'
import { at, type EnvoyJson, type SourcePlace } from '../envoy-json.ts'
import type { AllowedHosts } from './allowed-hosts.ts'
import { dnsCacheConfig } from './dns-cache.ts'

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

export interface EgressHosts {
  readonly allowed: readonly AllowedHosts[]
  readonly cluster: string
  /** Of requests, as Envoy's RouteAction has it; its own where nothing is given. */
  readonly timeouts?: Readonly<Record<string, EnvoyJson | undefined>>
  /** Routes of ports and of hosts that are not allowed; where none are given they are refused. */
  readonly otherPorts?: readonly EnvoyJson[]
  readonly otherHosts?: readonly EnvoyJson[]
}

/** How hosts are served that no Route is for: those that are allowed are reached on some ports. */
export function egressHosts({
  allowed,
  cluster,
  timeouts = {},
  otherPorts = refusals('egress/port', 'port not allowed\n'),
  otherHosts = refusals('egress/host', 'host not allowed\n'),
}: EgressHosts): readonly { readonly hosts: readonly string[]; readonly routes: readonly EnvoyJson[] }[] {
  const listed = allowed.map(({ hosts, ports, from }) => {
    const routes = [
      { name: 'egress/connect', match: { connect_matcher: {}, headers: [onPort(ports, true)] }, ...tunnel(cluster) },
      {
        name: 'egress/request',
        match: { prefix: '/', headers: [onPort(ports, false)] },
        route: { cluster, ...timeouts },
      },
      ...otherPorts,
    ]
    return { hosts, routes: routes.map((route) => at(from, route)) }
  })
  return allowed.some(({ hosts }) => hosts.includes('*')) ? listed : [...listed, { hosts: ['*'], routes: otherHosts }]
}

/** A route that answers 403. */
export function refusal(name: string, text: string, match: EnvoyJson = { prefix: '/' }): EnvoyJson {
  return { name, match, direct_response: { status: 403, body: { inline_string: text } } }
}

/** The same where CONNECT is taken: it has no path, so that it is refused apart. */
export function refusals(name: string, text: string): readonly EnvoyJson[] {
  return [refusal(`${name}/connect`, text, { connect_matcher: {} }), refusal(name, text)]
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
