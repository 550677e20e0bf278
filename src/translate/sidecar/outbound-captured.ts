import { isIPv6 } from 'node:net'
import type { GeneratedJson, OutboundPort, SidecarInput } from '../contract.ts'
import { sidecarDefaults as defaults, listenerDefaults } from '../defaults.ts'
import { at, type EnvoyJson, type SourcePlace, within } from '../envoy-json.ts'
import { clusterName, outboundName } from '../names.ts'
import { egressChains, egressPortsOf, tlsNamesOf } from './egress-chains.ts'
import { alsoOnIpv6 } from './ipv6.ts'
import { listenerFilter } from './listener-filter.ts'
import { outboundHttp, outboundTcp } from './outbound-filters.ts'

/**
 * `capture: iptables`: one listener for every connection of the workload. HTTP is told by its host, TLS by its SNI, and
 * anything else by the address and port that it was for.
 */
export function capturedOutbound(input: SidecarInput): readonly GeneratedJson[] {
  const { sidecar, outbound } = input
  const from: SourcePlace = { document: sidecar, path: 'outbound' }
  const name = outboundName(sidecar.form.name)
  const addressed = outbound.ports.filter(({ address, service }) => address !== undefined && service !== undefined)
  // Envoy does not go back from a port of its own to what is for every port.
  const ports = [undefined, ...new Set([...addressed.map(({ port }) => port), ...egressPortsOf(outbound.egress)])]
  const taken = tlsNamesOf(outbound.ports)
  const port = at(within(from, 'port'), sidecar.form.outbound?.port ?? defaults.outboundPort.value)
  const json = {
    name,
    traffic_direction: 'OUTBOUND',
    address: {
      socket_address: {
        address: defaults.outboundAddress.value,
        port_value: port,
      },
    },
    additional_addresses: alsoOnIpv6(sidecar, defaults.outboundIpv6Address.value, port),
    per_connection_buffer_limit_bytes: listenerDefaults.bufferBytes.value,
    listener_filters: [
      listenerFilter('original_dst', 'original_dst.v3.OriginalDst'),
      listenerFilter('tls_inspector', 'tls_inspector.v3.TlsInspector'),
      listenerFilter('http_inspector', 'http_inspector.v3.HttpInspector'),
    ],
    // Of some protocols the server speaks first, and nothing comes that could be looked at.
    listener_filters_timeout: '1s',
    continue_on_listener_filters_timeout: true,
    filter_chains: [
      ...addressed.map((one) => addressedChain(input, name, one)),
      ...ports.flatMap((port) => [
        httpChain(input, name, port, from),
        ...tlsChains(input, name, port),
        ...(port === undefined ? [] : egressChains(input, name, port, { isCaptured: true, taken })),
      ]),
    ],
    default_filter_chain:
      outbound.passthrough === undefined
        ? undefined
        : { name: 'passthrough', filters: [outboundTcp(input, `${name}/passthrough`, outbound.passthrough)] },
  }
  return [{ type: 'listener', name, json, from }]
}

function addressedChain(input: SidecarInput, name: string, { address = '', port, service }: OutboundPort): EnvoyJson {
  const cluster = clusterName(service?.name ?? '')
  return {
    name: `${service?.protocol}:${cluster}`,
    filter_chain_match: {
      destination_port: port,
      prefix_ranges: [{ address_prefix: address, prefix_len: isIPv6(address) ? 128 : 32 }],
    },
    filters: [outboundTcp(input, `${name}/${cluster}`, cluster)],
  }
}

function httpChain(input: SidecarInput, name: string, port: number | undefined, from: SourcePlace): EnvoyJson {
  return {
    name: port === undefined ? 'http' : `http:${port}`,
    filter_chain_match: {
      destination_port: port,
      transport_protocol: 'raw_buffer',
      application_protocols: ['http/1.0', 'http/1.1', 'h2c'],
    },
    filters: [outboundHttp(input, name, from)],
  }
}

/** Services that speak TLS and have no address of their own. */
function tlsChains(input: SidecarInput, name: string, port: number | undefined): readonly EnvoyJson[] {
  return input.outbound.ports.flatMap(({ address, service }): EnvoyJson[] => {
    if (service?.protocol !== 'tls' || address !== undefined) return []
    const cluster = clusterName(service.name)
    return [
      {
        name: port === undefined ? `tls:${cluster}` : `tls:${cluster}:${port}`,
        filter_chain_match: { destination_port: port, transport_protocol: 'tls', server_names: service.hosts },
        filters: [outboundTcp(input, `${name}/${cluster}`, cluster)],
      },
    ]
  })
}
