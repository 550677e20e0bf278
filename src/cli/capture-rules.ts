import { isIPv4 } from 'node:net'
import type { ServiceForm } from '../config/kinds/service-form.ts'
import type { SidecarForm } from '../config/kinds/sidecar-form.ts'
import { sidecarDefaults } from '../translate/defaults.ts'

export interface CaptureOptions {
  readonly sidecar: SidecarForm
  /** Where the document stands: `shop/cart.yaml:12`. */
  readonly place: string
  readonly services: readonly ServiceForm[]
  /** Whom Envoy runs as: what it sends is not sent to it. */
  readonly uid?: number
  readonly gid?: number
  /** Ports and networks that the workload calls itself. */
  readonly excludedPorts: readonly number[]
  readonly excludedNetworks: readonly string[]
  /** `refresh`: of chains that are in place the rules alone. */
  readonly mode: 'apply' | 'refresh' | 'remove'
}

const [inChain, outChain] = ['FAIRLEAD_IN', 'FAIRLEAD_OUT']
const jumps = [`PREROUTING -p tcp -j ${inChain}`, `OUTPUT -p tcp -j ${outChain}`]

/** The input of `iptables-restore --noflush` by which the connections of a workload come to its sidecar. */
export function captureRules(options: CaptureOptions): string {
  const { sidecar, place, mode } = options
  const head = [`# Sidecar ${sidecar.name} (${place}), for iptables-restore --noflush`, '*nat']
  if (mode === 'remove') {
    const chains = [inChain, outChain]
    const gone = chains.flatMap((chain) => [`-F ${chain}`, `-X ${chain}`])
    return lines([...head, ...jumps.map((jump) => `-D ${jump}`), ...gone, 'COMMIT'])
  }
  return lines([
    ...head,
    // To name a chain is to empty it.
    `:${inChain} - [0:0]`,
    `:${outChain} - [0:0]`,
    ...(mode === 'apply' ? jumps.map((jump) => `-A ${jump}`) : []),
    ...inboundRules(options),
    ...outboundRules(options),
    'COMMIT',
  ])
}

const lines = (all: readonly string[]): string => `${all.join('\n')}\n`

/** The workload's own ports, and no other: neither ssh nor Envoy's admin port is in danger. */
function inboundRules({ sidecar }: CaptureOptions): readonly string[] {
  return sidecar.inbound.flatMap(({ app, port, service }) =>
    isOwn(app.host) && app.port !== port
      ? [`-A ${inChain} -p tcp --dport ${app.port}${comment(service)} -j REDIRECT --to-ports ${port}`]
      : [],
  )
}

/** The workload is where the proxy is, and not on another host, which has its own network. */
const isOwn = (host: string): boolean => host === 'localhost' || host === '0.0.0.0' || isLoopback(host)

const isLoopback = (address: string): boolean => isIPv4(address) && address.startsWith('127.')

function outboundRules(options: CaptureOptions): readonly string[] {
  const { sidecar, services, uid, gid, excludedPorts, excludedNetworks } = options
  const rule = (match: string, target: string): string => `-A ${outChain} ${match} -j ${target}`
  const toProxy = `REDIRECT --to-ports ${sidecar.outbound?.port ?? sidecarDefaults.outboundPort.value}`
  // They would count as the host's own otherwise.
  const local = services.filter(
    ({ address, port }) => address !== undefined && port !== undefined && isLoopback(address),
  )
  return [
    ...(uid === undefined ? [] : [rule(`-m owner --uid-owner ${uid}`, 'RETURN')]),
    ...(gid === undefined ? [] : [rule(`-m owner --gid-owner ${gid}`, 'RETURN')]),
    ...excludedPorts.map((port) => rule(`-p tcp --dport ${port}`, 'RETURN')),
    ...excludedNetworks.map((network) => rule(`-d ${network}`, 'RETURN')),
    ...local
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
      .map(({ name, address, port }) => rule(`-d ${address}/32 -p tcp --dport ${port}${comment(name)}`, toProxy)),
    rule('-o lo', 'RETURN'),
    rule('-d 127.0.0.0/8', 'RETURN'),
    rule('-p tcp', toProxy),
  ]
}

const comment = (text: string): string => ` -m comment --comment "${text}"`
