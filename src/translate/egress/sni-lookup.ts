import type { EnvoyJson } from '../envoy-json.ts'
import { dnsCacheConfig } from './dns-cache.ts'

/** The network filter that finds the address of the host that a client asks for by TLS. */
export function sniLookup(cache: string, port = 443): EnvoyJson {
  return {
    name: 'envoy.filters.network.sni_dynamic_forward_proxy',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.filters.network.sni_dynamic_forward_proxy.v3.FilterConfig',
      dns_cache_config: dnsCacheConfig(cache),
      port_value: port,
    },
  }
}

/** What a filter chain for some hosts matches; undefined is every name. */
export function serverNames(hosts: readonly string[] | undefined): readonly string[] | undefined {
  return hosts === undefined || hosts.includes('*') ? undefined : hosts
}
