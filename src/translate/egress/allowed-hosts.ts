import type { Egress } from '../../config/kinds/common-form.ts'
import type { PlacedProblem } from '../build-generated.ts'
import { placeOf, type SourcePlace, within } from '../envoy-json.ts'
import { patternsOver } from '../route/host-pattern.ts'

/** Where nothing is said: those of HTTP and of TLS. */
const egressPorts: readonly number[] = [80, 443]

/** An `egress`, and where it stands. */
export interface SaidEgress {
  readonly egress: Egress
  readonly from: SourcePlace
}

/** Hosts outside that may be reached on the same ports. */
export interface AllowedHosts {
  /** Exact names, `*.suffix`, or `*`. No other entry has one of them. */
  readonly hosts: readonly string[]
  /** As they are said. */
  readonly ports: readonly number[]
  readonly from: SourcePlace
}

/** What several places allow together: each host on the ports that any of them says for it, or for a pattern that it is of. */
export function allowedHosts(said: readonly SaidEgress[]): readonly AllowedHosts[] {
  const lists = new Map<string, number[]>()
  for (const [index, { egress }] of said.entries()) {
    for (const host of egress.hosts) {
      const before = lists.get(host)
      if (before === undefined) lists.set(host, [index])
      else before.push(index)
    }
  }
  const taken = new Set<string>()
  return said.flatMap(({ egress, from }) => {
    const byPorts = new Map<string, { readonly hosts: string[]; readonly ports: readonly number[] }>()
    for (const host of egress.hosts) {
      if (taken.has(host)) continue
      taken.add(host)
      const ports = portsOf(host, said, lists)
      const entry = byPorts.get(ports.join()) ?? { hosts: [], ports }
      entry.hosts.push(host)
      byPorts.set(ports.join(), entry)
    }
    return [...byPorts.values()].map((entry) => ({ ...entry, from }))
  })
}

/** Proxies look at the entry that is nearest to a host, and at no other. */
function portsOf(
  host: string,
  said: readonly SaidEgress[],
  lists: ReadonlyMap<string, readonly number[]>,
): readonly number[] {
  const own = new Set(patternsOver(host).flatMap((pattern) => lists.get(pattern) ?? []))
  return [...new Set(said.flatMap(({ egress }, index) => (own.has(index) ? (egress.ports ?? egressPorts) : [])))]
}

/** `*` keeps nothing back. */
export function openEgress({ egress, from }: SaidEgress): readonly PlacedProblem[] {
  const index = egress.hosts.indexOf('*')
  if (index < 0) return []
  return [
    {
      severity: 'warning',
      code: 'open',
      at: placeOf(within(from, `hosts[${index}]`)),
      message: `\`*\` lets requests out to every host on the ports ${(egress.ports ?? egressPorts).join(', ')}, addresses too.`,
      fix: 'List the hosts that are meant; `*.partner.example` is all that are below one.',
    },
  ]
}
