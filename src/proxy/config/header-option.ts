import type { FieldReader } from './field-reader.ts'

export type AppendAction =
  | 'APPEND_IF_EXISTS_OR_ADD'
  | 'ADD_IF_ABSENT'
  | 'OVERWRITE_IF_EXISTS_OR_ADD'
  | 'OVERWRITE_IF_EXISTS'

/** A header that is written, and what becomes of one that is there already. */
export interface HeaderOption {
  /** In lower case. */
  readonly name: string
  /** With command operators as in access logs: `%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%`. */
  readonly format: string
  readonly action: AppendAction
  /** An empty value is written too. */
  readonly keepsEmpty: boolean
}

/** `envoy.config.core.v3.HeaderValueOption`. */
export function readHeaderOption(fields: FieldReader): HeaderOption {
  const { name, format } = fields.message('header', readHeaderValue) ?? { name: '', format: '' }
  const action = fields.choice('append_action', [
    'APPEND_IF_EXISTS_OR_ADD',
    'ADD_IF_ABSENT',
    'OVERWRITE_IF_EXISTS_OR_ADD',
    'OVERWRITE_IF_EXISTS',
  ])
  const byFlag = fields.flag('append') ? 'APPEND_IF_EXISTS_OR_ADD' : 'OVERWRITE_IF_EXISTS_OR_ADD'
  return {
    name,
    format,
    action: fields.has('append') ? byFlag : action,
    keepsEmpty: fields.flag('keep_empty_value'),
  }
}

function readHeaderValue(fields: FieldReader): { readonly name: string; readonly format: string } {
  const raw = fields.bytes('raw_value')?.toString('latin1')
  return { name: fields.string('key').toLowerCase(), format: raw ?? fields.string('value') }
}
