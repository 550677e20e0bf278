import { isIP, isIPv4, isIPv6 } from 'node:net'
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
  /** Of either family: those of the other one have no effect here. */
  readonly excludedNetworks: readonly string[]
  readonly family: Family
  /** `refresh`: of chains that are in place the rules alone. */
  readonly mode: 'apply' | 'refresh' | 'remove'
}

export type Family = 4 | 6

/** What the tools of a family are called, and where a host is by itself. */
const families = {
  4: { program: 'iptables-restore', loopback: '127.0.0.0/8', bits: 32 },
  6: { program: 'ip6tables-restore', loopback: '::1/128', bits: 128 },
} as const

const [inChain, outChain] = ['FAIRLEAD_IN', 'FAIRLEAD_OUT']
const jumps = [`PREROUTING -p tcp -j ${inChain}`, `OUTPUT -p tcp -j ${outChain}`]

/** The input of `iptables-restore --noflush`, or `ip6tables-restore`, by which the connections of a workload come to its sidecar. */
export function captureRules(options: CaptureOptions): string {
  const { sidecar, place, mode, family } = options
  const head = [`# Sidecar ${sidecar.name} (${place}), for ${families[family].program} --noflush`, '*nat']
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
const isOwn = (host: string): boolean => ['localhost', '0.0.0.0', '::', '::1'].includes(host) || isLoopback(host, 4)

const isLoopback = (address: string, family: Family): boolean =>
  family === 4 ? isIPv4(address) && address.startsWith('127.') : isIPv6(address) && ipv6Text(address) === '::1'

/** As it is written shortest. */
const ipv6Text = (address: string): string => new URL(`http://[${address}]`).hostname.slice(1, -1)

function outboundRules(options: CaptureOptions): readonly string[] {
  const { sidecar, services, uid, gid, excludedPorts, excludedNetworks, family } = options
  const { loopback, bits } = families[family]
  const rule = (match: string, target: string): string => `-A ${outChain} ${match} -j ${target}`
  const toProxy = `REDIRECT --to-ports ${sidecar.outbound?.port ?? sidecarDefaults.outboundPort.value}`
  // They would count as the host's own otherwise.
  const local = services.filter(
    ({ address, port }) => address !== undefined && port !== undefined && isLoopback(address, family),
  )
  return [
    ...(uid === undefined ? [] : [rule(`-m owner --uid-owner ${uid}`, 'RETURN')]),
    ...(gid === undefined ? [] : [rule(`-m owner --gid-owner ${gid}`, 'RETURN')]),
    ...excludedPorts.map((port) => rule(`-p tcp --dport ${port}`, 'RETURN')),
    ...excludedNetworks
      .filter((network) => isIP(network.split('/')[0] ?? '') === family)
      .map((network) => rule(`-d ${network}`, 'RETURN')),
    ...local
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
      .map(({ name, address, port }) => rule(`-d ${address}/${bits} -p tcp --dport ${port}${comment(name)}`, toProxy)),
    rule('-o lo', 'RETURN'),
    rule(`-d ${loopback}`, 'RETURN'),
    rule('-p tcp', toProxy),
  ]
}

const comment = (text: string): string => ` -m comment --comment "${text}"`
