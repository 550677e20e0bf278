import type { EnvoyApi } from '../resource/envoy-api.ts'
import { nearestName } from '../resource/json/near-name.ts'
import type { NodeSelector } from '../resource/node-selector.ts'
import { type OwnField, ownFieldOf, ownFields } from '../resource/own-fields.ts'
import { entryOf, type MapEntry, type MapTree, type Tree, type TreeProblem } from '../resource/tree.ts'
import { formatPath, isWord } from '../resource/tree-path.ts'
import { parseSelectors } from './selector.ts'

/** A document's envelope, read: whom it is for, and the trees of its resources. */
export interface RawDocument {
  /** Undefined when they cannot be read. */
  readonly selectors: readonly NodeSelector[] | undefined
  readonly resources: readonly RawResource[]
  readonly problems: readonly TreeProblem[]
}

export interface RawResource {
  readonly tree: Tree
  /** Where it stands in the document: `resources[1]`; '' for a resource that is the document. */
  readonly path: string
}

const envelope = 'fairlead.v1.RawDocument'

/** The fields that the envelope has of its own; those of a DiscoveryResponse are only tolerated. */
const effective = ['nodes', 'resources']

/** Reads `{nodes, resources: […]}`, the form of Envoy's own filesystem subscription with a selector. */
export function readResourceList(api: EnvoyApi, tree: MapTree): RawDocument {
  const fields = ownFields(api, envelope)
  const { selectors, problems } = parseSelectors(api, entryOf(tree, 'nodes'))
  const list = entryOf(tree, 'resources')
  return {
    selectors,
    resources:
      list?.value.kind === 'list'
        ? list.value.items.map((item, index) => ({ tree: item, path: formatPath('', [list.key, index]) }))
        : [],
    problems: [...problems, ...unknownFields(fields, tree), ...withoutEffect(fields, tree), ...noList(list)],
  }
}

/** Reads a resource that is a whole document, with `nodes` beside its fields. */
export function readSingleResource(api: EnvoyApi, tree: MapTree): RawDocument {
  const nodes = entryOf(tree, 'nodes')
  const { selectors, problems } = parseSelectors(api, nodes)
  const resource: MapTree = { ...tree, entries: tree.entries.filter((entry) => entry !== nodes) }
  return { selectors, resources: [{ tree: resource, path: '' }], problems }
}

/** What of `key` a document could have meant at its top. */
export function nearestEnvelopeField(api: EnvoyApi, key: string): string | undefined {
  return nearestName(key, [...effective, ...ownFields(api, envelope).map(({ name }) => name)])
}

/** Whether a document's key is one of the envelope's. */
export function isEnvelopeField(api: EnvoyApi, key: string): boolean {
  return ownFieldOf(ownFields(api, envelope), key) !== undefined
}

function unknownFields(fields: readonly OwnField[], tree: MapTree): TreeProblem[] {
  return tree.entries
    .filter(({ key }) => ownFieldOf(fields, key) === undefined)
    .map(({ key, line, column }) => {
      const near = nearestName(
        key,
        fields.map(({ name }) => name),
      )
      const fix = 'Beside `resources` only `nodes` has a place; a field of a resource goes into its list item.'
      return {
        severity: 'error',
        code: 'unknown-field',
        line,
        column,
        path: isWord(key) ? key : '',
        message: isWord(key) ? `A document has no field \`${key}\`.` : 'A document has no such field.',
        fix: near === undefined ? fix : `Did you mean \`${near}\`?`,
      }
    })
}

/** Said once for all of them: existing files of Envoy's have several. */
function withoutEffect(fields: readonly OwnField[], tree: MapTree): TreeProblem[] {
  const entries = tree.entries.filter(({ key }) => {
    const field = ownFieldOf(fields, key)
    return field !== undefined && !effective.includes(field.name)
  })
  const [first] = entries
  if (first === undefined) return []
  const names = entries.map(({ key }) => `\`${key}\``).join(', ')
  return [
    {
      severity: 'warning',
      code: 'no-effect',
      line: first.line,
      column: first.column,
      path: first.key,
      message: `${names} ${entries.length === 1 ? 'has' : 'have'} no effect: versions and nonces are the server's.`,
      fix: 'Remove it if the file is not also read by an Envoy itself.',
    },
  ]
}

/** A list that was forgotten, rather than one that is empty, must not remove what the document held. */
function noList(list: MapEntry | undefined): TreeProblem[] {
  if (list === undefined || list.value.kind === 'list') return []
  const isNull = list.value.kind === 'scalar' && list.value.value === null
  return [
    {
      severity: 'error',
      code: 'wrong-type',
      line: list.value.line,
      column: list.value.column,
      path: list.key,
      message: isNull ? '`resources` has no value.' : '`resources` is a list.',
      fix: isNull ? 'Write `resources: []` if it is to hold none.' : "Begin each resource with `- '@type': …`.",
    },
  ]
}
