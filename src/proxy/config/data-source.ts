import { readFileSync } from 'node:fs'
import { ConfigRejection } from './config-rejection.ts'
import type { FieldReader } from './field-reader.ts'

/**
 * `envoy.config.core.v3.DataSource`: its bytes; a file is read now.
 * @throws ConfigRejection where it cannot be
 */
export function readDataSource(fields: FieldReader): Buffer {
  if (fields.has('inline_string')) return Buffer.from(fields.string('inline_string'))
  if (fields.has('inline_bytes')) return fields.bytes('inline_bytes') ?? Buffer.alloc(0)
  if (fields.has('environment_variable')) return Buffer.from(process.env[fields.string('environment_variable')] ?? '')
  const filename = fields.string('filename')
  try {
    return readFileSync(filename)
  } catch (error) {
    // In Envoy's words.
    throw new ConfigRejection(`Invalid path: ${filename}`, { cause: error })
  }
}
