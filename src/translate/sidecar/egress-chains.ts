import type { OutboundEgress, OutboundPort, SidecarInput } from '../contract.ts'
import { serverNames, sniLookup } from '../egress/sni-lookup.ts'
import { at, type EnvoyJson } from '../envoy-json.ts'
import { outboundTcp } from './outbound-filters.ts'

/** The ports on which a workload may reach hosts outside. */
export function egressPortsOf(egress: OutboundEgress | undefined): readonly number[] {
  const ports = egress?.allowed.flatMap((one) => one.ports) ?? []
  return [...new Set(ports)].sort((a, b) => a - b)
}

/**
 * The filter chains for TLS to hosts outside, which is told by the name that a client asks for and passed on as it is.
 * @param port that it was sent to, where one listener is for many
 * @param taken names of others: Envoy refuses two chains for one
 */
export function egressChains(
  input: SidecarInput,
  name: string,
  port: number,
  { isCaptured = false, taken = [] }: { readonly isCaptured?: boolean; readonly taken?: readonly string[] } = {},
): readonly EnvoyJson[] {
  const { egress } = input.outbound
  return (egress?.allowed ?? []).flatMap(({ hosts, ports, from }): EnvoyJson[] => {
    const free = hosts.filter((host) => !taken.includes(host))
    if (egress === undefined || !ports.includes(port) || free.length === 0) return []
    const chain = {
      name: isCaptured ? `egress:${free[0]}:${port}` : `egress:${free[0]}`,
      filter_chain_match: {
        ...(isCaptured && { destination_port: port }),
        server_names: serverNames(free),
        transport_protocol: 'tls',
      },
      filters: [sniLookup(egress.cluster, port), outboundTcp(input, `${name}/egress`, egress.cluster)],
    }
    return [at(from, chain)]
  })
}

/** Names that Services are asked for by TLS and that have no address of their own. */
export function tlsNamesOf(ports: readonly OutboundPort[]): readonly string[] {
  return ports.flatMap(({ address, service }) =>
    service?.protocol === 'tls' && address === undefined ? service.hosts : [],
  )
}
