import type { FormatSubject } from '../access-log/format-subject.ts'
import { ConfigRejection } from '../config/config-rejection.ts'
import type { FieldReader } from '../config/field-reader.ts'
import { type HeaderOption, readHeaderOption } from '../config/header-option.ts'
import type { Headers } from '../http/headers.ts'

/** A template with command operators, as access logs have them: its text for one stream. */
export type Formatter = (subject: FormatSubject) => string

/** @throws ConfigRejection where the template has an operator that there is not. */
export type CompileFormat = (template: string) => Formatter

/** What one level (a route, its virtual host …) changes of the headers of requests, or of responses. */
export interface HeaderChanges {
  readonly add: readonly Addition[]
  readonly remove: readonly string[]
}

export interface Addition extends HeaderOption {
  readonly value: Formatter
}

/** `request_headers_to_add` and `…_remove`, or those of responses; undefined where there are none. */
export function readHeaderChanges(
  fields: FieldReader,
  direction: 'request' | 'response',
  compile: CompileFormat,
): HeaderChanges | undefined {
  const add = fields.list(`${direction}_headers_to_add`, (option) => readAddition(option, compile))
  const remove = fields.strings(`${direction}_headers_to_remove`).map((name) => name.toLowerCase())
  return add.length + remove.length === 0 ? undefined : { add, remove }
}

/** Removes first, then adds: what a level both removes and adds is there afterwards. */
export function applyHeaderChanges(headers: Headers, { add, remove }: HeaderChanges, subject: FormatSubject): void {
  for (const name of remove) headers.remove(name)
  for (const { name, value, action, keepsEmpty } of add) {
    const text = value(subject)
    if (text === '' && !keepsEmpty) continue
    const isThere = headers.has(name)
    if (action === 'OVERWRITE_IF_EXISTS' ? isThere : action === 'OVERWRITE_IF_EXISTS_OR_ADD') headers.set(name, text)
    else if (action === 'APPEND_IF_EXISTS_OR_ADD' || (action === 'ADD_IF_ABSENT' && !isThere))
      headers.append(name, text)
  }
}

/** `envoy.config.core.v3.HeaderValueOption`, its template compiled. */
export function readAddition(fields: FieldReader, compile: CompileFormat): Addition {
  const option = readHeaderOption(fields)
  return { ...option, value: compiled(fields, option.format, compile) }
}

function compiled(fields: FieldReader, template: string, compile: CompileFormat): Formatter {
  try {
    return compile(template)
  } catch (error) {
    if (!(error instanceof ConfigRejection)) throw error
    fields.refuse('header', error.message)
    return () => ''
  }
}
