import { readFileSync } from 'node:fs'
import { messageOf } from '../../errors.ts'
import type { FieldReader } from './field-reader.ts'

/** `envoy.config.core.v3.DataSource`: its bytes; a file is read now. */
export function readDataSource(fields: FieldReader): Buffer {
  if (fields.has('inline_string')) return Buffer.from(fields.string('inline_string'))
  if (fields.has('inline_bytes')) return fields.bytes('inline_bytes') ?? Buffer.alloc(0)
  if (fields.has('environment_variable')) return Buffer.from(process.env[fields.string('environment_variable')] ?? '')
  try {
    return readFileSync(fields.string('filename'))
  } catch (error) {
    fields.refuse('filename', messageOf(error))
    return Buffer.alloc(0)
  }
}
