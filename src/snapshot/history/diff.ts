import { keyOf } from '../../resource/named.ts'
import type { NodeSelector } from '../../resource/node-selector.ts'
import { selectorKey } from '../../resource/node-selector.ts'
import { resourceTypes, type TypeUrl, wordOf } from '../../resource/type-url.ts'
import type { StoredResource, StoredUnit, TypeCounts } from './record.ts'

/** A resource and the nodes that it is for. */
export interface Placed<R extends StoredResource> {
  readonly resource: R
  readonly selectors: readonly NodeSelector[]
}

export interface TypeDiff<R> {
  readonly typeUrl: TypeUrl
  readonly word: string
  readonly added: readonly R[]
  readonly changed: readonly { readonly before: R; readonly after: R }[]
  readonly removed: readonly R[]
}

/**
 * What differs between two lists of units, per type, in order of type and name. A resource is the same one when type,
 * name and nodes are: moving it to another document is no change, giving it to other nodes is a removal and an addition.
 */
export function diffUnits<U extends StoredUnit>(
  before: Iterable<U>,
  after: Iterable<U>,
): readonly TypeDiff<Placed<U['resources'][number]>>[] {
  type P = Placed<U['resources'][number]>
  const olds = byIdentity<P>(before)
  const news = byIdentity<P>(after)
  const types = new Map<TypeUrl, { added: P[]; changed: { before: P; after: P }[]; removed: P[] }>()
  const typeOf = (placed: P): { added: P[]; changed: { before: P; after: P }[]; removed: P[] } => {
    const known = types.get(placed.resource.typeUrl)
    if (known !== undefined) return known
    const fresh = { added: [], changed: [], removed: [] }
    types.set(placed.resource.typeUrl, fresh)
    return fresh
  }
  for (const [identity, placed] of news) {
    const old = olds.get(identity)
    if (old === undefined) typeOf(placed).added.push(placed)
    else if (old.resource.version !== placed.resource.version)
      typeOf(placed).changed.push({ before: old, after: placed })
  }
  for (const [identity, placed] of olds) if (!news.has(identity)) typeOf(placed).removed.push(placed)
  const byName = (a: P, b: P): number => compareText(a.resource.name, b.resource.name)
  return [...types]
    .map(([typeUrl, { added, changed, removed }]) => ({
      typeUrl,
      word: wordOf(typeUrl),
      added: added.sort(byName),
      changed: changed.sort((a, b) => byName(a.after, b.after)),
      removed: removed.sort(byName),
    }))
    .sort((a, b) => rankOf(a.typeUrl) - rankOf(b.typeUrl) || compareText(a.word, b.word))
}

/** How many resources of each type differ between the former and the new form of some units. */
export function countChanges(before: readonly StoredUnit[], after: readonly StoredUnit[]): readonly TypeCounts[] {
  const shared = sharedResources(before, after)
  const withoutShared = (units: readonly StoredUnit[]): StoredUnit[] =>
    units.map((unit) => ({ ...unit, resources: unit.resources.filter((resource) => !shared.has(resource)) }))
  return diffUnits(withoutShared(before), withoutShared(after)).map(({ word, added, changed, removed }) => ({
    word,
    added: added.length,
    changed: changed.length,
    removed: removed.length,
  }))
}

/**
 * Resources that both forms of a unit hold for the same nodes, told by identity: of a large document all but a few, and
 * looking at them would take longer than all the rest.
 */
function sharedResources(before: readonly StoredUnit[], after: readonly StoredUnit[]): ReadonlySet<StoredResource> {
  const olds = new Map(before.map((unit) => [unit.key, unit]))
  const shared = new Set<StoredResource>()
  for (const unit of after) {
    const old = olds.get(unit.key)
    if (old === undefined || nodesKey(old) !== nodesKey(unit)) continue
    const held = new Set(old.resources)
    for (const resource of unit.resources) if (held.has(resource)) shared.add(resource)
  }
  return shared
}

function nodesKey({ selectors }: StoredUnit): string {
  return selectors.map(selectorKey).sort().join('\0')
}

function byIdentity<P>(units: Iterable<StoredUnit>): Map<string, P> {
  const placed = new Map<string, P>()
  for (const unit of units) {
    const { selectors } = unit
    const nodes = nodesKey(unit)
    for (const resource of unit.resources) {
      placed.set(`${keyOf(resource)}\0${nodes}`, { resource, selectors } as P)
    }
  }
  return placed
}

const ranks: ReadonlyMap<TypeUrl, number> = new Map(
  Object.values(resourceTypes).map((type, rank): [TypeUrl, number] => [type.typeUrl, rank]),
)

/** The order in which additions are sent; unknown types come last. */
function rankOf(typeUrl: TypeUrl): number {
  return ranks.get(typeUrl) ?? ranks.size
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
