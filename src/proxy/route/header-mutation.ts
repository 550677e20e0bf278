import type { FormatSubject } from '../access-log/format-subject.ts'
import type { FieldReader } from '../config/field-reader.ts'
import type { Headers } from '../http/headers.ts'
import { applyHeaderChanges, type CompileFormat, type HeaderChanges, readAddition } from './header-changes.ts'

/** `envoy.config.common.mutation_rules.v3.HeaderMutation`, each a step of its own, in their order. */
export type HeaderMutations = readonly HeaderChanges[]

export function readHeaderMutations(fields: FieldReader, name: string, compile: CompileFormat): HeaderMutations {
  return fields.list(name, (mutation) => {
    const append = mutation.message('append', (option) => readAddition(option, compile))
    if (append !== undefined) return { add: [append], remove: [] }
    return { add: [], remove: [mutation.string('remove').toLowerCase()] }
  })
}

export function applyHeaderMutations(headers: Headers, mutations: HeaderMutations, subject: FormatSubject): void {
  for (const mutation of mutations) applyHeaderChanges(headers, mutation, subject)
}
