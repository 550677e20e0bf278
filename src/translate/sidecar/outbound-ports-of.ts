import { speaksHttp } from '../cluster/protocol.ts'
import type { OutboundPort, ServiceFacet } from '../contract.ts'
import { sidecarDefaults as defaults } from '../defaults.ts'
import { placeText } from './place-text.ts'

/** Where Services are called; of HTTP ones only the ports, so that one more of them changes no listener. */
export function outboundPortsOf(reachable: readonly ServiceFacet[]): readonly OutboundPort[] {
  const found = new Map<string, OutboundPort>()
  for (const { name, protocol, hosts, address, port } of reachable) {
    if (port === undefined) continue
    const isHttp = speaksHttp(protocol)
    const key = `${address} ${port} ${isHttp ? '' : name}`
    found.set(key, { address, port, ...(!isHttp && { service: { name, protocol, hosts } }) })
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one)
}

/** Two Services of which a listener can serve only one. */
export interface PortClash {
  readonly place: string
  /** Not HTTP. */
  readonly service: string
  readonly rival: string
}

/** Services that cannot be told apart by who connects to a port: only HTTP ones are, by their hosts. */
export function portClashesOf(reachable: readonly ServiceFacet[]): readonly PortClash[] {
  const first = new Map<string, ServiceFacet>()
  const clashes: PortClash[] = []
  for (const facet of reachable.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const { name, protocol, address, port } = facet
    if (port === undefined) continue
    const place = placeText(address ?? defaults.outboundAddress.value, port)
    const rival = first.get(place)
    if (rival === undefined) first.set(place, facet)
    else if (!speaksHttp(protocol)) clashes.push({ place, service: name, rival: rival.name })
    else if (!speaksHttp(rival.protocol)) clashes.push({ place, service: rival.name, rival: name })
  }
  return clashes
}

/** Services that would take the connections to hosts outside, on ports where those are reached: they speak no HTTP. */
export function outsideClashesOf(
  reachable: readonly ServiceFacet[],
  ports: readonly number[],
): readonly Omit<PortClash, 'rival'>[] {
  const outside = new Set(ports.map((port) => placeText(defaults.outboundAddress.value, port)))
  return reachable.flatMap(({ name, protocol, address = defaults.outboundAddress.value, port }) => {
    const place = port === undefined || speaksHttp(protocol) ? '' : placeText(address, port)
    return outside.has(place) ? [{ place, service: name }] : []
  })
}
