import type { JsonObject } from '../config/field-reader.ts'

/** Fields of Envoy's API that hold what nobody but the proxy may know. */
const sensitive: ReadonlySet<string> = new Set([
  'private_key',
  'password',
  'pkcs12',
  'session_ticket_keys',
  'generic_secret',
])

type Json = JsonObject[string]

/** The same without keys and passwords. */
export function redacted(content: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(content).map(([name, value]) => [name, sensitive.has(name) ? '[redacted]' : redactedValue(value)]),
  )
}

function redactedValue(value: Json | undefined): Json {
  if (Array.isArray(value)) return (value as readonly Json[]).map(redactedValue)
  return typeof value === 'object' && value !== null ? redacted(value as JsonObject) : (value ?? null)
}
