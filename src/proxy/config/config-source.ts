import type { FieldReader } from './field-reader.ts'

/** Where a resource comes from: the one aggregated stream of the proxy, or a file. */
export interface ConfigSourceConfig {
  /** How long to wait for the first answer before going on without; 0 is for ever. */
  readonly initialFetchTimeoutMs: number
  /** The file that it is in. */
  readonly path?: string
  /** What is moved into it says that the file is another. */
  readonly watchedDirectory?: string
}

const envoysTimeoutMs = 15_000

/** `envoy.config.core.v3.ConfigSource` */
export function readConfigSource(fields: FieldReader): ConfigSourceConfig {
  fields.choice('resource_api_version', ['AUTO', 'V3'])
  const initialFetchTimeoutMs = fields.durationMs('initial_fetch_timeout') ?? envoysTimeoutMs
  const file = fields.message('path_config_source', readPath)
  if (file !== undefined) return { initialFetchTimeoutMs, ...file }
  if (!fields.has('ads') && !fields.has('self')) {
    fields.refuse('ads', 'only the aggregated stream (ads) and files (path_config_source) are supported')
  }
  fields.message('ads', () => undefined)
  fields.message('self', () => undefined)
  return { initialFetchTimeoutMs }
}

function readPath(fields: FieldReader): Pick<ConfigSourceConfig, 'path' | 'watchedDirectory'> {
  const watchedDirectory = fields.message('watched_directory', (directory) => directory.string('path'))
  return { path: fields.string('path'), ...(watchedDirectory !== undefined && { watchedDirectory }) }
}
