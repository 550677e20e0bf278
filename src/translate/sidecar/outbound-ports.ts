import type { GeneratedJson, OutboundPort, SidecarInput } from '../contract.ts'
import { sidecarDefaults as defaults, listenerDefaults } from '../defaults.ts'
import type { SourcePlace } from '../envoy-json.ts'
import { clusterName, outboundName } from '../names.ts'
import { outboundHttp, outboundTcp } from './outbound-filters.ts'
import { placeText } from './place-text.ts'

/** `capture: ports`: a listener for each address and port that a Service has; HTTP ones are told apart by host. */
export function outboundByPorts(input: SidecarInput): readonly GeneratedJson[] {
  const from: SourcePlace = { document: input.sidecar, path: 'outbound' }
  return listenersOf(input.outbound.ports).map(({ address, port, service }): GeneratedJson => {
    const name = outboundName(input.sidecar.form.name, address === undefined ? String(port) : placeText(address, port))
    const json = {
      name,
      traffic_direction: 'OUTBOUND',
      address: { socket_address: { address: address ?? defaults.outboundAddress.value, port_value: port } },
      per_connection_buffer_limit_bytes: listenerDefaults.bufferBytes.value,
      filter_chains: [
        {
          filters: [
            service === undefined
              ? outboundHttp(input, name, from)
              : outboundTcp(input, name, clusterName(service.name)),
          ],
        },
      ],
    }
    return { type: 'listener', name, json, from }
  })
}

/** One for each place; where two Services cannot share it, which is told elsewhere, the first has it. */
function listenersOf(ports: readonly OutboundPort[]): readonly OutboundPort[] {
  const found = new Map<string, OutboundPort>()
  for (const one of ports) {
    const key = placeText(one.address ?? defaults.outboundAddress.value, one.port)
    if (!found.has(key)) found.set(key, one)
  }
  return [...found.values()]
}
