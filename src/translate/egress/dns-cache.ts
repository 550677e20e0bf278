import type { EnvoyJson } from '../envoy-json.ts'

/** The names that a proxy has looked up for requests to hosts outside: a filter and its cluster share them by this. */
export function dnsCacheConfig(name: string): EnvoyJson {
  return { name, dns_lookup_family: 'V4_PREFERRED' }
}
