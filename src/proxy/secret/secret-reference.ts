import { readConfigSource } from '../config/config-source.ts'
import type { FieldReader } from '../config/field-reader.ts'
import type { SecretReference } from './secrets.ts'

export function readSecretReference(fields: FieldReader): SecretReference {
  return { name: fields.string('name'), source: fields.message('sds_config', readConfigSource) }
}
