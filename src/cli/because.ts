import type { KindDocument } from '../config/kinds/kind-document.ts'
import { formatOrigin } from '../errors.ts'
import { plainValue, type ScalarTree, type Tree } from '../resource/tree.ts'
import { formatPath, type PathSegment } from '../resource/tree-path.ts'
import * as allDefaults from '../translate/defaults.ts'
import { durationJson } from '../translate/duration-json.ts'

/** Why a field of a generated resource is as it is: what said it, or why nobody needs to. */
export interface Because {
  /** `circuit_breakers.thresholds[0].max_connections` */
  readonly field: string
  readonly value: string
  /** Where the document says it: `cart.yaml:9:3`. */
  readonly place?: string
  /** What the document says there, by path. */
  readonly path?: string
  /** Of a default. */
  readonly why?: string
}

/** The fields of a generated resource that a document says, in the order of the resource, and the defaults with a reason. */
export function becauseOf(tree: Tree, documents: ReadonlyMap<string, KindDocument>): readonly Because[] {
  const found: Because[] = []
  walk(tree, [], undefined, { of: tree.of, documents }, found)
  return found
}

function walk(
  tree: Tree,
  path: readonly PathSegment[],
  around: Tree['of'],
  resource: { readonly of: Tree['of']; readonly documents: ReadonlyMap<string, KindDocument> },
  found: Because[],
): void {
  const { of } = tree
  if (of !== undefined && of.path !== '' && !isSamePlace(of, around)) {
    const document = resource.documents.get(of.key)
    const written = document?.places.at(of.path)
    if (document !== undefined) {
      const { line, column } = written ?? document.origin
      const place = formatOrigin({ ...document.origin, ...(line !== undefined && { line, column: column ?? 1 }) })
      found.push({ field: formatPath('', path), value: shown(tree), place, path: written?.path ?? of.path })
    }
  } else if (tree.kind === 'scalar' && (of === undefined || of.path === '' || isSamePlace(of, resource.of))) {
    const why = reasonOf(path, tree.value)
    if (why !== undefined) found.push({ field: formatPath('', path), value: shown(tree), why })
  }
  if (tree.kind === 'list')
    for (const [index, item] of tree.items.entries()) walk(item, [...path, index], of, resource, found)
  if (tree.kind === 'map') for (const { key, value } of tree.entries) walk(value, [...path, key], of, resource, found)
}

const isSamePlace = (a: NonNullable<Tree['of']>, b: Tree['of']): boolean => a.key === b?.key && a.path === b.path

const longest = 48

function shown(tree: Tree): string {
  const text = JSON.stringify(plainValue(tree)) ?? ''
  return text.length > longest ? `${text.slice(0, longest - 1)}…` : text
}

interface Reason {
  /** As the field has it. */
  readonly value: unknown
  readonly why: string
}

/** By the field: `connectTimeoutMs` is the reason of `connect_timeout`. Several things have a field of one name. */
const reasons: ReadonlyMap<string, readonly Reason[]> = reasonsByField(
  Object.values(allDefaults).flatMap((defaults) =>
    Object.entries(defaults as Readonly<Record<string, { readonly value?: unknown; readonly why?: string }>>),
  ),
)

function reasonsByField(
  defaults: readonly (readonly [string, { readonly value?: unknown; readonly why?: string }])[],
): ReadonlyMap<string, readonly Reason[]> {
  const byField = new Map<string, Reason[]>()
  for (const [name, { value, why }] of defaults) {
    if (why === undefined) continue
    const field = plainName(name.replace(/(Ms|S|Percent|Bytes)$/, ''))
    const reason = { value: typeof value === 'number' && name.endsWith('Ms') ? durationJson(value) : value, why }
    byField.set(field, [...(byField.get(field) ?? []), reason])
  }
  return byField
}

function reasonOf(path: readonly PathSegment[], value: ScalarTree['value']): string | undefined {
  const [field = '', around = ''] = path.filter((segment) => typeof segment === 'string').toReversed()
  // `healthTimeoutMs` is that of `health_checks[0].timeout`.
  const [whose = ''] = around.split('_')
  return [whose + field, field]
    .flatMap((name) => reasons.get(plainName(name)) ?? [])
    .find((reason) => reason.value === value)?.why
}

function plainName(name: string): string {
  return name.replaceAll('_', '').toLowerCase()
}
