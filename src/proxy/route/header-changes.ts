import type { FieldReader } from '../config/field-reader.ts'
import { type HeaderOption, readHeaderOption } from '../config/header-option.ts'
import type { Headers } from '../http/headers.ts'

/** The value of a template with command operators, of one stream. */
export type Formatter<Subject> = (subject: Subject) => string

/** How templates are read: the command operators are those of access logs. */
export type CompileFormat<Subject> = (template: string) => Formatter<Subject>

/** What one level (a route, its virtual host …) changes of the headers of requests, or of responses. */
export interface HeaderChanges<Subject> {
  readonly add: readonly Addition<Subject>[]
  readonly remove: readonly string[]
}

interface Addition<Subject> extends HeaderOption {
  readonly value: Formatter<Subject>
}

/** `request_headers_to_add` and `…_remove`, or those of responses. */
export function readHeaderChanges<Subject>(
  fields: FieldReader,
  direction: 'request' | 'response',
  compile: CompileFormat<Subject>,
): HeaderChanges<Subject> | undefined {
  const add = fields.list(`${direction}_headers_to_add`, (option) => {
    const read = readHeaderOption(option)
    return { ...read, value: compile(read.format) }
  })
  const remove = fields.strings(`${direction}_headers_to_remove`).map((name) => name.toLowerCase())
  return add.length + remove.length === 0 ? undefined : { add, remove }
}

/** Removes first, then adds: what a level both removes and adds is there afterwards. */
export function applyHeaderChanges<Subject>(
  headers: Headers,
  { add, remove }: HeaderChanges<Subject>,
  subject: Subject,
): void {
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
