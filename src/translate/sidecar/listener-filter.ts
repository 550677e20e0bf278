import type { EnvoyJson } from '../envoy-json.ts'

/** A filter that looks at a connection before a chain is chosen. */
export function listenerFilter(name: string, message: string): EnvoyJson {
  return {
    name: `envoy.filters.listener.${name}`,
    typed_config: { '@type': `type.googleapis.com/envoy.extensions.filters.listener.${message}` },
  }
}
