import type { GeneratedJson, OutboundPort, SidecarInput } from '../contract.ts'
import { sidecarDefaults as defaults, listenerDefaults } from '../defaults.ts'
import type { EnvoyJson, SourcePlace } from '../envoy-json.ts'
import { clusterName, outboundName } from '../names.ts'
import { egressChains, egressPortsOf } from './egress-chains.ts'
import { listenerFilter } from './listener-filter.ts'
import { outboundHttp, outboundTcp } from './outbound-filters.ts'
import { placeText } from './place-text.ts'

/**
 * `capture: ports`: a listener for each address and port that a Service has, and for each port of hosts outside; HTTP ones
 * are told apart by host.
 */
export function outboundByPorts(input: SidecarInput): readonly GeneratedJson[] {
  const { sidecar, outbound } = input
  const from: SourcePlace = { document: sidecar, path: 'outbound' }
  const outside = egressPortsOf(outbound.egress).map((port): OutboundPort => ({ address: undefined, port }))
  return listenersOf([...outbound.ports, ...outside]).map(({ address, port, service }): GeneratedJson => {
    const name = outboundName(sidecar.form.name, address === undefined ? String(port) : placeText(address, port))
    const own = address ?? defaults.outboundAddress.value
    const isForOutside = service === undefined && own === defaults.outboundAddress.value
    const secure = isForOutside ? egressChains(input, name, port) : []
    const filter =
      service === undefined ? outboundHttp(input, name, from) : outboundTcp(input, name, clusterName(service.name))
    const json: EnvoyJson = {
      name,
      traffic_direction: 'OUTBOUND',
      address: { socket_address: { address: own, port_value: port } },
      per_connection_buffer_limit_bytes: listenerDefaults.bufferBytes.value,
      ...(secure.length > 0 && {
        listener_filters: [listenerFilter('tls_inspector', 'tls_inspector.v3.TlsInspector')],
        // A pool opens connections before it has anything to say: they are plain HTTP, as they would be without egress.
        continue_on_listener_filters_timeout: true,
      }),
      filter_chains: [secure.length === 0 ? { filters: [filter] } : plainChain(filter), ...secure],
    }
    return { type: 'listener', name, json, from }
  })
}

/** TLS for a name that is not allowed is closed. */
const plainChain = (filter: EnvoyJson): EnvoyJson => ({
  name: 'http',
  filter_chain_match: { transport_protocol: 'raw_buffer' },
  filters: [filter],
})

/** One for each place; where two Services cannot share it, which is told elsewhere, the first has it. */
function listenersOf(ports: readonly OutboundPort[]): readonly OutboundPort[] {
  const found = new Map<string, OutboundPort>()
  for (const one of ports) {
    const key = placeText(one.address ?? defaults.outboundAddress.value, one.port)
    if (!found.has(key)) found.set(key, one)
  }
  return [...found.values()]
}
