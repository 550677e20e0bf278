import type { FieldReader } from './field-reader.ts'

/** Where a resource comes from: for this proxy always from its one aggregated stream. */
export interface ConfigSourceConfig {
  /** How long to wait for the first answer before going on without; 0 is for ever. */
  readonly initialFetchTimeoutMs: number
}

const envoysTimeoutMs = 15_000

/** `envoy.config.core.v3.ConfigSource` */
export function readConfigSource(fields: FieldReader): ConfigSourceConfig {
  fields.choice('resource_api_version', ['AUTO', 'V3'])
  if (!fields.has('ads') && !fields.has('self')) fields.refuse('ads', 'only the aggregated stream (ads) is supported')
  fields.message('ads', () => undefined)
  fields.message('self', () => undefined)
  return { initialFetchTimeoutMs: fields.durationMs('initial_fetch_timeout') ?? envoysTimeoutMs }
}
