import type { FieldReader, JsonObject } from './field-reader.ts'

/** `envoy.config.core.v3.Metadata`, by filter: `{'envoy.lb': {version: 'v1'}}`. */
export type Metadata = Readonly<Record<string, JsonObject>>

export const noMetadata: Metadata = {}

export function readMetadata(fields: FieldReader): Metadata {
  return (fields.struct('filter_metadata') as Metadata | undefined) ?? noMetadata
}
