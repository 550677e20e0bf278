import { hash } from 'node:crypto'
import { createInterner } from '../resource/interner.ts'
import type { Resource } from '../resource/resource.ts'
import type { TypeUrl } from '../resource/type-url.ts'
import { emptySet, internSet, type ResourceSet } from './resource-set.ts'

/** Everything that the nodes of one group should have. Immutable. */
export interface Snapshot {
  /** Hash over the versions of its sets. */
  readonly version: string
  /** Types with no resource have no entry: use `setOf`. */
  readonly sets: ReadonlyMap<TypeUrl, ResourceSet>
}

const intern = createInterner<Snapshot>()

/** The snapshot of some sets, each of another type. Of equal content it is the same object while somebody holds it. */
export function buildSnapshot(sets: Iterable<ResourceSet>): Snapshot {
  const members = [...sets].filter((set) => set.size > 0).map(internSet)
  members.sort((a, b) => (a.typeUrl < b.typeUrl ? -1 : 1))
  const version = hash('sha256', members.map((set) => `${set.typeUrl}\0${set.version}\0`).join(''), 'hex').slice(0, 32)
  return intern(version, { version, sets: new Map(members.map((set) => [set.typeUrl, set])) })
}

/** What a node gets that nothing selects. */
export const emptySnapshot: Snapshot = buildSnapshot([])

/** A snapshot's set of one type, empty where it has none of it. */
export function setOf(snapshot: Snapshot, typeUrl: TypeUrl): ResourceSet {
  return snapshot.sets.get(typeUrl) ?? emptySet(typeUrl)
}

/** The snapshot after some changes, by type and name; `undefined` removes. */
export function withChanges(
  snapshot: Snapshot,
  changesByType: ReadonlyMap<TypeUrl, ReadonlyMap<string, Resource | undefined>>,
): Snapshot {
  const sets = new Map(snapshot.sets)
  for (const [typeUrl, changes] of changesByType) sets.set(typeUrl, setOf(snapshot, typeUrl).with(changes))
  return buildSnapshot(sets.values())
}
