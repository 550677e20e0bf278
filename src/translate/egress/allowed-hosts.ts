import type { Egress } from '../../config/kinds/common-form.ts'
import type { SourcePlace } from '../envoy-json.ts'
import { covers } from '../route/host-pattern.ts'

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
  const taken = new Set<string>()
  return said.flatMap(({ egress, from }) => {
    const byPorts = new Map<string, { readonly hosts: string[]; readonly ports: readonly number[] }>()
    for (const host of egress.hosts) {
      if (taken.has(host)) continue
      taken.add(host)
      const ports = portsOf(host, said)
      const entry = byPorts.get(ports.join()) ?? { hosts: [], ports }
      entry.hosts.push(host)
      byPorts.set(ports.join(), entry)
    }
    return [...byPorts.values()].map((entry) => ({ ...entry, from }))
  })
}

/** Proxies look at the entry that is nearest to a host, and at no other. */
function portsOf(host: string, said: readonly SaidEgress[]): readonly number[] {
  const ports = said.flatMap(({ egress }) =>
    egress.hosts.some((pattern) => covers(pattern, host)) ? (egress.ports ?? egressPorts) : [],
  )
  return [...new Set(ports)]
}
