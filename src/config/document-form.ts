import type { EnvoyApi } from '../resource/envoy-api.ts'
import { nearestName } from '../resource/json/near-name.ts'
import { entryOf, type MapEntry, type MapTree, type Position, type Tree, type TreeProblem } from '../resource/tree.ts'
import { isWord } from '../resource/tree-path.ts'
import type { Kind } from './kinds/kind-form.ts'
import { documentKinds } from './kinds/kind-name.ts'
import type { NotYet } from './kinds/not-yet.ts'
import {
  isEnvelopeField,
  nearestEnvelopeField,
  type RawDocument,
  readResourceList,
  readSingleResource,
} from './raw-document.ts'
import { parseSelectors } from './selector.ts'

/** The kinds of documents that a later version has. They are refused by name: one that does nothing is an open door. */
const laterKinds = ['Policy']

/**
 * The kind of a document that is of one of ours and of this version; undefined for all others, which `readDocument` reads
 * or refuses.
 */
export function kindOfDocument(tree: Tree, notYet: NotYet): Kind | undefined {
  if (entryOf(tree, 'apiVersion') !== undefined || hasTwoForms(tree)) return undefined
  const value = entryOf(tree, 'kind')?.value
  const kind = documentKinds.find((one) => value?.kind === 'scalar' && value.value === one)
  return kind === undefined || notYet.kinds.has(kind) ? undefined : kind
}

const forms = "Write a `kind:`, a list `resources:` of Envoy resources, or one resource with `'@type'` at the top."

/** Tells which form a document has, reads its envelope, and refuses by name what is none of this version. */
export function readDocument(api: EnvoyApi, tree: Tree): RawDocument {
  if (tree.kind !== 'map') {
    const fix = tree.kind === 'list' ? 'Put `resources:` above the list.' : forms
    return {
      selectors: undefined,
      resources: [],
      problems: [problem('wrong-type', tree, '', 'A document is a map.', fix)],
    }
  }
  const apiVersion = entryOf(tree, 'apiVersion')
  if (apiVersion !== undefined) return refused(api, tree, foreignKind(apiVersion))
  const kind = entryOf(tree, 'kind')
  const type = entryOf(tree, '@type')
  if (kind !== undefined && hasTwoForms(tree)) {
    const other = type ?? entryOf(tree, 'resources') ?? kind
    const message = `A document has either \`kind\` or \`${other.key}\`, not both.`
    const fix = 'Remove one of them, or put `---` between two documents.'
    return refused(api, tree, problem('wrong-type', other, other.key, message, fix))
  }
  if (kind !== undefined) return refused(api, tree, unsupportedKind(kind))
  if (type !== undefined && hasTwoForms(tree)) {
    const message = "A document has either `resources` or `'@type'`, not both."
    const fix = 'Remove one of them, or put `---` between two documents.'
    return refused(api, tree, problem('wrong-type', type, '@type', message, fix))
  }
  if (type !== undefined) return readSingleResource(api, tree)
  if (entryOf(tree, 'resources') !== undefined) return readResourceList(api, tree)
  return refused(api, tree, formless(api, tree))
}

/** It is what two documents become when the `---` between them is lost. */
export function hasTwoForms(tree: Tree): boolean {
  return ['resources', '@type', 'kind'].filter((key) => entryOf(tree, key) !== undefined).length > 1
}

/** Its selectors are read all the same: they say whom the document's absence may concern. */
function refused(api: EnvoyApi, tree: MapTree, why: TreeProblem): RawDocument {
  const { selectors, problems } = parseSelectors(api, entryOf(tree, 'nodes'))
  return { selectors, resources: [], problems: [why, ...problems] }
}

function foreignKind(entry: MapEntry): TreeProblem {
  const message =
    'A document with `apiVersion` is of another system (Kubernetes, Gateway API, …), and this version reads none of theirs.'
  return problem('foreign-kind', entry, entry.key, message, `Keep it elsewhere. ${forms}`)
}

function unsupportedKind(entry: MapEntry): TreeProblem {
  const { value } = entry
  if (value.kind !== 'scalar' || typeof value.value !== 'string') {
    return problem('wrong-type', value, entry.key, '`kind` is a word.', forms)
  }
  const kind = value.value
  const known: readonly string[] = [...documentKinds, ...laterKinds]
  if (known.includes(kind)) {
    return problem('unsupported-kind', value, entry.key, `The kind ${kind} is not in this version.`, later)
  }
  if (kind === 'Instance') {
    const message = 'An Instance is no document: it registers itself.'
    return problem('unsupported-kind', value, entry.key, message, 'List it in the `endpoints` of its Service.')
  }
  const near = nearestName(kind, known)
  const message = isWord(kind) ? `There is no kind ${kind}.` : 'There is no such kind.'
  const fix = near === undefined ? `The kinds are ${documentKinds.join(', ')}.` : `Did you mean \`${near}\`?`
  return problem('unsupported-kind', value, entry.key, message, fix)
}

function formless(api: EnvoyApi, tree: MapTree): TreeProblem {
  const bootstrap = entryOf(tree, 'static_resources') ?? entryOf(tree, 'staticResources')
  if (bootstrap !== undefined) {
    const message = "This is an Envoy's bootstrap, which holds no xDS resources."
    const fix = "Move its clusters and listeners into a list `resources:`, each with its `'@type'`."
    return problem('unknown-field', bootstrap, bootstrap.key, message, fix)
  }
  for (const entry of tree.entries) {
    if (isEnvelopeField(api, entry.key)) continue
    const near = nearestEnvelopeField(api, entry.key) ?? nearestName(entry.key, ['kind', 'apiVersion'])
    if (near === undefined || !isWord(entry.key)) continue
    const message = `A document has no field \`${entry.key}\`.`
    return problem('unknown-field', entry, entry.key, message, `Did you mean \`${near}\`? ${forms}`)
  }
  return problem('unknown-field', tree, '', "The document has neither `resources` nor an `'@type'`.", forms)
}

const later = 'Remove the document; raw Envoy resources can say the same today.'

function problem(code: TreeProblem['code'], at: Position, path: string, message: string, fix: string): TreeProblem {
  return { severity: 'error', code, line: at.line, column: at.column, path, message, fix }
}
