import type { EnvoyJson } from '../envoy-json.ts'

/** The `@type` of a message of Envoy's: `envoy.extensions…`. */
export function typed(message: string, fields: Readonly<Record<string, EnvoyJson | undefined>>): EnvoyJson {
  return { '@type': `type.googleapis.com/${message}`, ...fields }
}

/** An extension by its name and message. */
export function extension(
  name: string,
  message: string,
  fields: Readonly<Record<string, EnvoyJson | undefined>>,
): EnvoyJson {
  return { name, typed_config: typed(message, fields) }
}
