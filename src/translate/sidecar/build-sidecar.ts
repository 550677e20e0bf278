import type { GeneratedJson, SidecarInput } from '../contract.ts'
import { inboundResources } from './inbound.ts'
import { capturedOutbound } from './outbound-captured.ts'
import { outboundByPorts } from './outbound-ports.ts'

/** The listeners beside a workload: those where requests for it come in, and those by which it calls others. */
export function buildSidecar(input: SidecarInput): readonly GeneratedJson[] {
  const isCaptured = input.sidecar.form.capture === 'iptables'
  return [...inboundResources(input), ...(isCaptured ? capturedOutbound(input) : outboundByPorts(input))]
}
