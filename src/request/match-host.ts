import type { RouteConfigurationForm, VirtualHostForm } from './envoy-form.ts'

/** The virtual host that takes a Host header: its exact name, the longest `*.suffix`, the longest `prefix.*`, then `*`. */
export function matchHost(configuration: RouteConfigurationForm, authority: string): VirtualHostForm | undefined {
  const text = authority.toLowerCase()
  if (text === '') return undefined
  const host = configuration.ignore_port_in_host_matching === true ? withoutPort(text) : text
  let best: VirtualHostForm | undefined
  let bestRank: readonly [number, number] = [0, 0]
  for (const virtualHost of configuration.virtual_hosts ?? []) {
    for (const domain of virtualHost.domains ?? []) {
      const rank = rankOf(domain.toLowerCase(), host)
      if (rank === undefined || rank[0] < bestRank[0] || (rank[0] === bestRank[0] && rank[1] <= bestRank[1])) continue
      best = virtualHost
      bestRank = rank
    }
  }
  return best
}

/** Larger is more specific; undefined: it does not match. */
function rankOf(domain: string, host: string): readonly [kind: number, length: number] | undefined {
  if (domain === '*') return [1, 0]
  if (domain.startsWith('*')) {
    return host.length > domain.length - 1 && host.endsWith(domain.slice(1)) ? [3, domain.length] : undefined
  }
  if (domain.endsWith('*')) {
    return host.length > domain.length - 1 && host.startsWith(domain.slice(0, -1)) ? [2, domain.length] : undefined
  }
  return domain === host ? [4, 0] : undefined
}

const withoutPort = (host: string): string => host.replace(/(?<=^\[.*\]|^[^:]*):\d*$/, '')
