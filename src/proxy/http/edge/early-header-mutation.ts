import { compileFormat } from '../../access-log/format.ts'
import type { FieldReader } from '../../config/field-reader.ts'
import { type HeaderMutations, readHeaderMutations } from '../../route/header-mutation.ts'

/** Of all `early_header_mutation_extensions`, in their order: changes of a request before anything else is done to it. */
export function readEarlyMutations(fields: FieldReader): HeaderMutations {
  const extensions = fields.list('early_header_mutation_extensions', (extension) => {
    extension.ignore('name', 'the type says what it is')
    return extension.any('typed_config', {
      'envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation': (config) =>
        readHeaderMutations(config, 'mutations', (template) => compileFormat(template, '')),
    })
  })
  return extensions.flatMap((mutations) => mutations ?? [])
}
