import { formatOrigin, type Origin, type Problem, type Severity } from '../errors.ts'
import type { Named } from '../resource/named.ts'
import type { NodeSelector } from '../resource/node-selector.ts'
import { selectorLabel } from '../resource/selector-label.ts'
import { isOwnType, resourceTypes, wordOf } from '../resource/type-url.ts'
import type { Clash } from './settlement.ts'
import { selectorsOf, type Unit } from './unit.ts'
import type { Need } from './unit-index.ts'

/** The world's problems in words. They name resources and places, never content. */

/** Users and rivals named in one message; the others are counted. */
const namedAtMost = 3

function label({ typeUrl, name }: Pick<Need, 'typeUrl' | 'name'>): string {
  const [owner, version] = partsOf({ typeUrl, name })
  return version === undefined
    ? `${wordOf(typeUrl)} "${name}"`
    : `version "${version}" of the ${wordOf(typeUrl)} "${owner}"`
}

/** Documents of kinds have no `/` in their names: `cart/v2` is a version of `cart`, which its author wrote as two words. */
function partsOf({ typeUrl, name }: Pick<Need, 'typeUrl' | 'name'>): readonly [owner: string, version?: string] {
  const slash = isOwnType(typeUrl) ? name.indexOf('/') : -1
  return slash < 0 ? [name] : [name.slice(0, slash), name.slice(slash + 1)]
}

/** A problem at the first place that refers to a name. */
function atUse(need: Need, severity: Severity, code: Problem['code'], message: string, fix: string): Problem {
  const [first, ...others] = need.uses as readonly [Need['uses'][number], ...Need['uses']]
  const more = others.length === 0 ? '' : ` (also named in ${others.length} more ${plural(others.length, 'place')})`
  return {
    severity,
    code,
    origin: originOf(first),
    path: first.reference.path,
    message: `${message}${more}`,
    fix,
  }
}

/** The very line, where it is known. */
function originOf({ resource, reference }: Need['uses'][number]): Origin {
  const { line, column } = reference
  return { ...resource.origin, ...(line !== undefined && { line }), ...(column !== undefined && { column }) }
}

/** What is known about a name that a unit's nodes lack. */
export interface Missing {
  readonly nodes: NodeSelector
  /** It exists, for other nodes. */
  readonly isElsewhere: boolean
  /** Documents whose wanted form has it, and is not in force. */
  readonly claimants: readonly Unit[]
  /** The existing name that was most likely meant. */
  readonly nearest: string | undefined
}

export function danglingReference(need: Need, missing: Missing): Problem {
  const [claimant] = missing.claimants
  if (claimant !== undefined) {
    const place = formatOrigin(claimant.origin)
    const message = `${label(need)} is only in ${place}, which has an error itself and is not in force`
    return atUse(need, 'error', 'dangling-reference', message, `mend ${place} first`)
  }
  if (missing.isElsewhere) {
    const message = `${label(need)} does not exist for the nodes ${selectorLabel(missing.nodes)}`
    return atUse(need, 'error', 'dangling-reference', message, 'select these nodes where it is defined, too')
  }
  return atUse(
    need,
    'error',
    'dangling-reference',
    `${label(need)} does not exist`,
    fixOfMissing(need, missing.nearest),
  )
}

function fixOfMissing(need: Need, nearest: string | undefined): string {
  const fix = nearest === undefined ? `define ${label(need)}, or name another` : `did you mean ${meant(need, nearest)}?`
  if (need.typeUrl !== resourceTypes.cluster.typeUrl) return fix
  const isStatic = `if every bootstrap holds it, say so in the options file: staticNames: {cluster: [${need.name}]}`
  return `${fix}; ${isStatic} (what \`fairlead bootstrap\` writes is known by itself)`
}

/** As it is to be written at the place that names what is missing. */
function meant(need: Need, nearest: string): string {
  const [owner, version] = partsOf({ typeUrl: need.typeUrl, name: nearest })
  const [wantedOwner, wanted] = partsOf(need)
  if (version === undefined && wanted === undefined) return `"${nearest}"`
  const isSibling = version !== undefined && wanted !== undefined && owner === wantedOwner
  return isSibling ? `"${version}"` : label({ typeUrl: need.typeUrl, name: nearest })
}

export function unselectedReference(need: Need, nodes: NodeSelector, providers: readonly Unit[]): Problem {
  const offered = [...new Set(providers.flatMap((provider) => selectorsOf(provider).map(selectorLabel)))].sort()
  const message = `${label(need)} is for ${listed(offered, ' and ')}; nodes ${selectorLabel(nodes)} of this document may lack it`
  return atUse(need, 'warning', 'unselected-reference', message, 'select at least the same nodes where it is defined')
}

export function missingAssignment(need: Need): Problem {
  const message = `the cluster has no endpoints: there is no assignment "${need.name}", so an empty one is sent`
  const fix = `add a ClusterLoadAssignment with cluster_name: ${need.name}`
  return atUse(need, 'warning', 'missing-assignment', message, fix)
}

/** One problem for each resource that others have, too. */
export function duplicates(clashes: readonly Clash[]): readonly Problem[] {
  const byResource = new Map<Clash['resource'], Origin[]>()
  for (const { resource, rival } of clashes) {
    byResource.set(resource, [...(byResource.get(resource) ?? []), rival.origin])
  }
  return [...byResource].map(([resource, origins]) => ({
    severity: 'error',
    code: 'duplicate',
    origin: resource.origin,
    path: '',
    message: `${label(resource)} is also defined in ${listed(origins.map(formatOrigin).sort(), ' and ')}`,
    fix: 'keep one of them, rename one, or give the documents nodes that no proxy can match both of',
  }))
}

/** `wanted` is the document's new form; undefined when it was deleted. */
export function stillNeeded(lastForm: Unit, wanted: Unit | undefined, need: Need, users: readonly Need[]): Problem {
  const places = users.flatMap(({ uses }) => uses.slice(0, 1)).map((use) => placeOf(use))
  const needed = `${label(need)} is still named by ${listed(places.sort(), ' and ')}`
  if (wanted === undefined) {
    return {
      severity: 'warning',
      code: 'still-needed',
      origin: lastForm.origin,
      path: '',
      message: `the document is deleted, but ${needed}, so it stays in force`,
      fix: `remove that reference, or define ${label(need)} elsewhere; then it goes by itself`,
    }
  }
  return {
    severity: 'error',
    code: 'still-needed',
    origin: wanted.origin,
    path: '',
    message: `${needed}, and this document no longer holds it, so its last form stays in force`,
    fix: `remove that reference, or define ${label(need)} elsewhere; an assignment without endpoints is one, too`,
  }
}

/** A document no longer holds what another is to hold, which has an error. */
export function notMoved(lastForm: Unit, resource: Named, successor: Unit): Problem {
  const place = formatOrigin(successor.origin)
  return {
    severity: 'error',
    code: 'still-needed',
    origin: lastForm.origin,
    path: '',
    message: `${label(resource)} moved to ${place}, which has an error and is not in force, so what held it stays in force`,
    fix: `mend ${place}, or remove ${label(resource)} there too; then this goes by itself`,
  }
}

function placeOf(use: Need['uses'][number]): string {
  const { resource, reference } = use
  return reference.path === ''
    ? formatOrigin(resource.origin)
    : `${formatOrigin(originOf(use))} (${label(resource)}, ${reference.path})`
}

/** Why nodes are not answered: a document has an error, and no form of it that was ever valid is known. */
export function withheldWithoutForm(origin: Origin, selectors: readonly NodeSelector[] | undefined): Problem {
  return {
    severity: 'error',
    code: 'withheld',
    origin,
    path: '',
    message: `no answer to ${nodesLabel(selectors)}: the document has an error, and no valid form of it is known`,
    fix: 'mend the document (its own problem says where), or start with --allow-partial to serve without it',
  }
}

/** Why nodes are not answered: what the history kept of a document lacks its sensitive content (rule 53). */
export function withheldUnready(unit: Unit): Problem {
  return {
    severity: 'error',
    code: 'withheld',
    origin: unit.origin,
    path: '',
    message: `no answer to ${nodesLabel(unit.selectors)}: the document's keys are not kept in the history`,
    fix: 'make its source readable, and the document valid, so that it can be read again',
  }
}

function nodesLabel(selectors: readonly NodeSelector[] | undefined): string {
  if (selectors === undefined || selectors.length === 0) return 'any node'
  return `nodes ${listed(selectors.map(selectorLabel).sort(), ' or ')}`
}

function listed(items: readonly string[], word: string): string {
  const more = items.length - namedAtMost
  const named = items.slice(0, namedAtMost)
  return more > 0 ? `${named.join(', ')} and ${more} more` : named.join(word)
}

const plural = (count: number, word: string): string => (count === 1 ? word : `${word}s`)

/** The standing order of problems: by place, then by code and text. */
export function byPlace(a: Problem, b: Problem): number {
  return (
    compare(a.origin.name, b.origin.name) ||
    (a.origin.line ?? 0) - (b.origin.line ?? 0) ||
    (a.origin.column ?? 0) - (b.origin.column ?? 0) ||
    compare(a.code, b.code) ||
    compare(a.path, b.path) ||
    compare(a.message, b.message)
  )
}

function compare(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1
}
