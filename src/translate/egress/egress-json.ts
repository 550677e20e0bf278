import type { RouteDefaults } from '../../config/kinds/common-form.ts'
import { httpVersionAsCame } from '../cluster/protocol-options.ts'
import type { GeneratedJson, OtherHosts } from '../contract.ts'
import { serviceDefaults } from '../defaults.ts'
import { durationJson } from '../duration-json.ts'
import { at, type EnvoyJson, type SourcePlace } from '../envoy-json.ts'
import { longestTry, timeoutOf } from '../route/forward-json.ts'
import { retryJson } from '../route/retry-json.ts'
import type { AllowedHosts } from './allowed-hosts.ts'
import { dnsCacheConfig } from './dns-cache.ts'

export interface EgressCluster {
  readonly name: string
  /** What the Mesh says for all that is called. */
  readonly connectTimeout: number | undefined
  /** Requests go on in the version of HTTP in which they came; else by HTTP/1.1. */
  readonly keepsVersion: boolean
  readonly from: SourcePlace
}

/** The cluster through which hosts outside are reached: whichever a request names, for the routes let no other through. */
export function egressCluster({ name, connectTimeout, keepsVersion, from }: EgressCluster): GeneratedJson {
  const json: EnvoyJson = {
    name,
    connect_timeout: durationJson(connectTimeout ?? serviceDefaults.connectTimeoutMs.value),
    lb_policy: 'CLUSTER_PROVIDED',
    typed_extension_protocol_options: keepsVersion ? sameVersion : undefined,
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

/** Nobody can be asked without TLS which versions it speaks: who calls it knows. */
export const sameVersion: EnvoyJson = {
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': httpVersionAsCame(),
}

export interface EgressHosts {
  readonly allowed: readonly AllowedHosts[]
  readonly cluster: string
  /** Of who calls: hosts outside are called as Services are. */
  readonly defaults: RouteDefaults
  readonly side: 'gateway' | 'sidecar'
  /** Routes of ports and of hosts that are not allowed; where none are given they are refused. */
  readonly otherPorts?: readonly EnvoyJson[]
  readonly otherHosts?: readonly EnvoyJson[]
}

/** How hosts are served that no Route is for: those that are allowed are reached on some ports. */
export function egressHosts({
  allowed,
  cluster,
  defaults,
  side,
  otherPorts = refusals('egress/port', 'port not allowed\n'),
  otherHosts = refusals('egress/host', 'host not allowed\n'),
}: EgressHosts): readonly OtherHosts[] {
  const timeout = timeoutOf({}, false, defaults)
  const timeouts = {
    timeout: durationJson(timeout),
    idle_timeout: defaults.idleTimeout === undefined ? undefined : durationJson(defaults.idleTimeout),
  }
  const longest = longestTry(side, timeout)
  const retry = retryJson({ own: undefined, inherited: defaults.retry, isGrpc: false, longest })
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
    return { hosts, retry, routes: routes.map((route) => at(from, route)) }
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
