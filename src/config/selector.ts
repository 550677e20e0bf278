import type { EnvoyApi } from '../resource/envoy-api.ts'
import { nearestName } from '../resource/json/near-name.ts'
import type { NodeSelector } from '../resource/node-selector.ts'
import { type OwnField, ownFieldOf, ownFields } from '../resource/own-fields.ts'
import { type MapEntry, type Position, plainValue, type Tree, type TreeProblem } from '../resource/tree.ts'
import { formatPath, isWord, type PathSegment } from '../resource/tree-path.ts'

export interface ParsedSelectors {
  /** Any of them; empty selects every node. Undefined when they cannot be read, and might mean anything. */
  readonly selectors: readonly NodeSelector[] | undefined
  readonly problems: readonly TreeProblem[]
}

/** Reads `nodes:`, one selector or a list of which any may match. Absent, it selects every node. */
export function parseSelectors(api: EnvoyApi, entry: MapEntry | undefined): ParsedSelectors {
  if (entry === undefined) return { selectors: [], problems: [] }
  const problems: TreeProblem[] = []
  const fields = ownFields(api, 'fairlead.v1.NodeSelector')
  const { value, key } = entry
  const selectors =
    value.kind === 'list'
      ? value.items.map((item, index) => parseSelector(fields, item, [key, index], problems))
      : [parseSelector(fields, value, [key], problems)]
  if (selectors.length === 0) {
    report(problems, value, [key], 'The list selects no node.', 'List a selector, or remove it to select every node.')
  }
  return { selectors: problems.length > 0 ? undefined : selectors, problems }
}

const form = 'Write `{cluster: …}`, `{id: …}` or `{metadata: {…}}`, or a list of such.'

function parseSelector(
  fields: readonly OwnField[],
  tree: Tree,
  path: readonly PathSegment[],
  problems: TreeProblem[],
): NodeSelector {
  if (tree.kind !== 'map') {
    report(problems, tree, path, 'A selector is a map.', form)
    return {}
  }
  const selector: Record<string, unknown> = {}
  for (const { key, value, ...at } of tree.entries) {
    const field = ownFieldOf(fields, key)
    if (field === undefined) {
      const near = nearestName(
        key,
        fields.map(({ jsonName }) => jsonName),
      )
      const message = isWord(key) ? `A selector has no key \`${key}\`.` : 'A selector has no such key.'
      const place = isWord(key) ? [...path, key] : path
      report(problems, at, place, message, near === undefined ? form : `Did you mean \`${near}\`?`)
    } else {
      selector[field.jsonName] = parseValue(field, value, [...path, key], problems)
    }
  }
  return selector
}

function parseValue(field: OwnField, tree: Tree, path: readonly PathSegment[], problems: TreeProblem[]): unknown {
  if (field.isMessage) {
    if (tree.kind === 'map') return plainValue(tree)
    report(problems, tree, path, 'A map is expected here.', 'Write the values that the node must have: `{env: prod}`.')
    return undefined
  }
  if (tree.kind !== 'scalar' || typeof tree.value !== 'string') {
    report(problems, tree, path, 'A text is expected here.', 'Write a pattern, in quotes if it is a number: "edge-*".')
    return undefined
  }
  if (tree.value === '') {
    const fix = 'Write a pattern (`*` is any run of characters), or remove the key to select any.'
    report(problems, tree, path, 'An empty pattern selects no node.', fix)
  }
  return tree.value
}

function report(
  problems: TreeProblem[],
  at: Position,
  path: readonly PathSegment[],
  message: string,
  fix: string,
): void {
  const { line, column } = at
  problems.push({
    severity: 'error',
    code: 'invalid-selector',
    line,
    column,
    path: formatPath('', path),
    message,
    fix,
  })
}
