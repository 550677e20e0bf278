import type { SidecarInput } from '../contract.ts'
import { at, type EnvoyJson } from '../envoy-json.ts'

/** A further address of a listener; only where the document says that the host has IPv6, for Envoy refuses what it cannot bind. */
export function alsoOnIpv6(
  sidecar: SidecarInput['sidecar'],
  address: string,
  port: EnvoyJson,
): readonly EnvoyJson[] | undefined {
  if (sidecar.form.ipv6 !== true) return undefined
  const json = { address: { socket_address: { address, port_value: port } } }
  return [at({ document: sidecar, path: 'ipv6' }, json)]
}
