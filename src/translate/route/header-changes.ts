import type { HeaderChange } from '../../config/kinds/common-form.ts'
import { formatPath } from '../../resource/tree-path.ts'
import { at, type EnvoyJson, type SourcePlace } from '../envoy-json.ts'
import type { Fields } from './match-json.ts'

/**
 * Envoy's `request_headers_to_add` and its like, of a route or a weighted cluster.
 * @param from the change
 */
export function headerFields(of: 'request' | 'response', change: HeaderChange | undefined, from: SourcePlace): Fields {
  if (change === undefined) return {}
  const added = [
    ...optionsOf(change.set, 'set', 'OVERWRITE_IF_EXISTS_OR_ADD', from),
    ...optionsOf(change.add, 'add', 'APPEND_IF_EXISTS_OR_ADD', from),
  ]
  const removed = (change.remove ?? []).map((name, index) => placed(from, ['remove', index], name))
  return {
    [`${of}_headers_to_add`]: added.length > 0 ? added : undefined,
    [`${of}_headers_to_remove`]: removed.length > 0 ? removed : undefined,
  }
}

function optionsOf(
  headers: Readonly<Record<string, string>> = {},
  field: 'set' | 'add',
  action: string,
  from: SourcePlace,
): readonly EnvoyJson[] {
  return Object.entries(headers).map(([key, value]) => {
    const option = { header: { key, value: literal(value) }, append_action: action, keep_empty_value: true }
    return placed(from, [field, key], option)
  })
}

/** Envoy reads `%…%` as a command, and refuses all if there is none of that name. */
const literal = (value: string): string => value.replaceAll('%', '%%')

function placed({ document, path }: SourcePlace, below: readonly (string | number)[], value: EnvoyJson): EnvoyJson {
  return at({ document, path: formatPath(path, below) }, value)
}
