import type { AccessLog, Backend } from '../../config/kinds/common-form.ts'
import type { GatewayListener } from '../../config/kinds/gateway-form.ts'
import type { PlacedProblem } from '../build-generated.ts'
import { listenerDefaults as defaults } from '../defaults.ts'
import { durationJson } from '../duration-json.ts'
import { serverNames, sniLookup } from '../egress/sni-lookup.ts'
import { at, type EnvoyJson, placeOf, type SourcePlace, within } from '../envoy-json.ts'
import { clusterName } from '../names.ts'
import { connectionLoggers } from './access-log.ts'

export interface ConnectionChain {
  /** Undefined where nobody takes connections, which is a problem. */
  readonly chain: EnvoyJson | undefined
  /** Those of Services that it leads to. */
  readonly clusters: readonly string[]
  readonly problems: readonly PlacedProblem[]
}

export interface ConnectionOptions {
  readonly listener: GatewayListener
  readonly statPrefix: string
  readonly accessLog: AccessLog | undefined
  /** Network filters that stand before the proxy. */
  readonly before: readonly EnvoyJson[]
  /** The cluster of hosts outside. */
  readonly egressCluster: string
  readonly from: SourcePlace
}

/** The filter chain of a listener whose connections are passed on as they are. */
export function connectionChain(options: ConnectionOptions): ConnectionChain {
  const { listener, before, egressCluster, from } = options
  const { protocol, egress, hosts } = listener
  const names = protocol === 'tls' ? serverNames(egress?.hosts ?? hosts) : undefined
  const target = targetOf(options)
  const { services, clusters, problems } = target
  if (target.cluster === undefined) return { chain: undefined, clusters, problems }
  const lookup = egress === undefined ? [] : [sniLookup(egressCluster, egress.ports?.[0])]
  const chain: EnvoyJson = {
    name: protocol === 'tls' ? `tls:${names?.[0] ?? 'any'}` : `tcp:${services[0] ?? 'any'}`,
    // Whatever is no TLS is closed.
    ...(protocol === 'tls' && {
      filter_chain_match: { ...(names && { server_names: names }), transport_protocol: 'tls' },
    }),
    filters: [...before, ...lookup, tcpProxy(options, target.cluster)],
  }
  return { chain: at(from, chain), clusters, problems }
}

interface Target {
  readonly cluster: Readonly<Record<string, EnvoyJson>> | undefined
  readonly services: readonly string[]
  readonly clusters: readonly string[]
  readonly problems: readonly PlacedProblem[]
}

function targetOf({ listener, egressCluster, from }: ConnectionOptions): Target {
  const { service, backends = [], egress } = listener
  if (egress !== undefined) return { cluster: { cluster: egressCluster }, services: [], clusters: [], problems: [] }
  if (service !== undefined) {
    return {
      cluster: { cluster: at(within(from, 'service'), clusterName(service)) },
      services: [service],
      clusters: [clusterName(service)],
      problems: [],
    }
  }
  const arms = backends.map((backend, index) => ({ backend, place: within(from, `backends[${index}]`) }))
  const weighted = arms.filter(({ backend }) => backend.weight !== 0)
  const services = [...new Set(backends.map((backend) => backend.service))].sort()
  const named = [...new Set(backends.map(nameOf))].sort()
  const [first, ...others] = weighted
  if (first === undefined) {
    const message = 'Every backend has the weight 0, so nobody takes connections.'
    const problem: PlacedProblem = {
      severity: 'error',
      code: 'rule-violation',
      at: placeOf(within(from, 'backends')),
      message,
      fix: 'Give one of them a weight, or remove the listener.',
    }
    return { cluster: undefined, services, clusters: named, problems: [problem] }
  }
  if (others.length === 0) {
    const cluster = at(first.place, nameOf(first.backend))
    return { cluster: { cluster }, services, clusters: named, problems: [] }
  }
  const weights = weighted.map(({ backend, place }) =>
    at(place, { name: nameOf(backend), weight: at(within(place, 'weight'), backend.weight ?? 1) }),
  )
  return { cluster: { weighted_clusters: { clusters: weights } }, services, clusters: named, problems: [] }
}

const nameOf = ({ service, version }: Backend): string => clusterName(service, version)

function tcpProxy(
  { listener, statPrefix, accessLog, from }: ConnectionOptions,
  cluster: Readonly<Record<string, EnvoyJson>>,
): EnvoyJson {
  return {
    name: 'envoy.filters.network.tcp_proxy',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy',
      stat_prefix: statPrefix,
      ...cluster,
      idle_timeout: at(within(from, 'idleTimeout'), durationJson(listener.idleTimeout ?? defaults.idleTimeoutMs.value)),
      max_connect_attempts: defaults.connectAttempts.value,
      access_log: connectionLoggers(accessLog),
    },
  }
}
