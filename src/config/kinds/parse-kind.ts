import type { Origin } from '../../errors.ts'
import type { EnvoyApi } from '../../resource/envoy-api.ts'
import type { Named } from '../../resource/named.ts'
import { readOwn } from '../../resource/own-reader.ts'
import { type OwnSchema, ownSchema } from '../../resource/own-schema.ts'
import { buildResource, type Reference, type Resource } from '../../resource/resource.ts'
import type { Touches } from '../../resource/touches.ts'
import { entryOf, type MapTree, type TreeProblem } from '../../resource/tree.ts'
import { parseSelectors } from '../selector.ts'
import { createCheck } from './checks/check.ts'
import { checkForm } from './checks/check-form.ts'
import { formOf } from './form.ts'
import { declarationsOf } from './kind-document.ts'
import type { Kind, KindForm } from './kind-form.ts'
import { kindTypeUrl } from './kind-name.ts'
import { referencesOf } from './kind-references.ts'
import { type Normalized, normalize } from './normalize.ts'
import type { NotYet } from './not-yet.ts'
import { holdsSecret } from './patch-secrets.ts'
import type { Places } from './places.ts'
import { plainMessage } from './plain-message.ts'

export interface ParsedKind {
  /** Undefined when a problem is an error. */
  readonly read?: ReadKind
  readonly touches: Touches
  /** With paths as the author wrote them. */
  readonly problems: readonly TreeProblem[]
}

export interface ReadKind {
  readonly resource: Resource
  readonly form: KindForm
  readonly places: Places
  readonly declares: readonly Named[]
}

/** Reads a document of one of our kinds: its fields, what goes together, and what it names. */
export function parseKind(api: EnvoyApi, kind: Kind, tree: MapTree, origin: Origin, notYet: NotYet): ParsedKind {
  const schema = ownSchema(api, kind)
  const selectors = selectorProblems(api, schema, tree)
  const fields = tree.entries.filter(({ key }) => key !== 'kind')
  const normal = normalize(api, schema, { ...tree, entries: fields }, notYet)
  const readable = selectors.length === 0 ? normal.tree : without(normal.tree, 'nodes')
  const { message, bytes, problems: broken } = readOwn(api, kind, readable, [...normal.unread, ...selectors])
  const problems = [...normal.problems, ...selectors, ...broken.map((problem) => asWritten(normal.places, problem))]
  const touches = touchesOf(api, kind, tree)
  const plain = plainMessage(schema, message)
  const form = formOf(kind, plain, normal.tree)
  const mismatched: TreeProblem[] = []
  checkForm(createCheck(normal.places, mismatched), form, plain)
  problems.push(...mismatched.filter((problem) => !follows(problem, normal, broken)))
  if (normal.isIncomplete || problems.some(({ severity }) => severity === 'error')) return { touches, problems }
  const resource = buildResource({
    typeUrl: kindTypeUrl(kind),
    name: kind === 'Mesh' ? meshName : form.name,
    bytes,
    origin: { ...origin, line: tree.line, column: tree.column },
    references: placedReferences(form, normal.places),
    isSensitive: form.kind === 'Patch' && holdsSecret(api, form),
  })
  return { read: { resource, form, places: normal.places, declares: declarationsOf(form) }, touches, problems }
}

/** There is one Mesh whatever it is called, so a second one is found to be a duplicate. */
const meshName = 'mesh'

function selectorProblems(api: EnvoyApi, schema: OwnSchema, tree: MapTree): readonly TreeProblem[] {
  const isSelecting = schema.fields.some(({ value, later }) => value === 'selector' && later === undefined)
  return isSelecting ? parseSelectors(api, entryOf(tree, 'nodes')).problems : []
}

function without(tree: MapTree, key: string): MapTree {
  return { ...tree, entries: tree.entries.filter((entry) => entry.key !== key) }
}

function asWritten(places: Places, problem: TreeProblem): TreeProblem {
  return { ...problem, path: places.at(problem.path)?.path ?? problem.path }
}

/** A field that is misspelt, or has a value that is not allowed, looks as if it were missing or meant otherwise. */
function follows(problem: TreeProblem, { places, unread }: Normalized, broken: readonly TreeProblem[]): boolean {
  const paths = [...unread.filter(({ code }) => code !== 'unsupported-field'), ...broken].map(
    ({ path }) => places.at(path)?.path ?? path,
  )
  return paths.some((path) => isWithin(path, problem.path) || (path !== '' && isWithin(problem.path, path)))
}

function isWithin(path: string, owner: string): boolean {
  if (owner === '') return !/[.[]/.test(path)
  return path === owner || (path.startsWith(owner) && '.['.includes(path.charAt(owner.length)))
}

function placedReferences(form: KindForm, places: Places): readonly Reference[] {
  return referencesOf(form).map(({ typeUrl, name, path }) => {
    const place = places.at(path)
    return place === undefined ? { typeUrl, name, path } : { typeUrl, name, ...place }
  })
}

/** Whom a document of a kind could concern, as far as it can be read: also where it has errors. */
function touchesOf(api: EnvoyApi, kind: string, tree: MapTree): Touches {
  if (kind === 'Gateway' || kind === 'Sidecar') {
    return { nodes: parseSelectors(api, entryOf(tree, 'nodes')).selectors ?? [] }
  }
  const gateways = kind === 'Route' ? namesIn(tree, 'gateways') : undefined
  return gateways === undefined || gateways.includes('mesh') ? 'proxies' : { gateways }
}

function namesIn(tree: MapTree, key: string): readonly string[] | undefined {
  const value = entryOf(tree, key)?.value
  if (value === undefined) return undefined
  const names = (value.kind === 'list' ? value.items : [value]).map((item) =>
    item.kind === 'scalar' && typeof item.value === 'string' ? item.value : undefined,
  )
  return names.length > 0 && names.every((name) => name !== undefined) ? names : undefined
}
