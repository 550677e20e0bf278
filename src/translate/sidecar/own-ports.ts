import type { PlacedProblem } from '../build-generated.ts'
import type { SidecarInput } from '../contract.ts'
import { sidecarDefaults as defaults } from '../defaults.ts'
import { placeOf } from '../envoy-json.ts'
import { egressPortsOf } from './egress-chains.ts'
import { placeText } from './place-text.ts'

/** By ports, what the workload calls must not be where it listens itself, or where its requests come in. */
export function ownPortProblems({
  sidecar,
  outbound,
}: Pick<SidecarInput, 'sidecar' | 'outbound'>): readonly PlacedProblem[] {
  if (sidecar.form.capture === 'iptables') return []
  const own = [...outbound.ports, ...egressPortsOf(outbound.egress).map((port) => ({ address: undefined, port }))].map(
    ({ address, port }) => ({ address: address ?? defaults.outboundAddress.value, port }),
  )
  const places = new Set(own.map(({ address, port }) => placeText(address, port)))
  const ports = new Set(own.map(({ port }) => port))
  return sidecar.form.inbound.flatMap(({ app, port }, index): PlacedProblem[] => {
    const host = app.host === 'localhost' ? '127.0.0.1' : app.host
    const told = (field: string, message: string, fix: string): PlacedProblem[] => [
      {
        severity: 'error',
        code: 'conflict',
        at: placeOf({ document: sidecar, path: `inbound[${index}].${field}` }),
        message,
        fix,
      },
    ]
    if (ports.has(port)) {
      const message = `The sidecar listens on port ${port} already, for what the workload calls.`
      return told('port', message, 'Write another port.')
    }
    if (!places.has(placeText(host, app.port))) return []
    const message = `The sidecar listens there itself, for what the workload calls by this port.`
    return told(
      'app',
      message,
      'Let the workload listen on another port, or give the Service another `port`, or an `address`; or `egress` other `ports`.',
    )
  })
}
