import { emptyAssignment } from '../../resource/empty-assignment.ts'
import { keyOf, type Named } from '../../resource/named.ts'
import type { Resource } from '../../resource/resource.ts'
import { resourceTypes, type TypeUrl } from '../../resource/type-url.ts'
import { type ResourceSet, unionSets } from '../../snapshot/resource-set.ts'
import { buildSnapshot } from '../../snapshot/snapshot.ts'
import { IdentityMemo } from '../transition/identity-memo.ts'
import { reachedBy } from '../transition/removal.ts'
import { setIn, typesIn, usersIn, type View } from '../transition/view.ts'

/** One version of a resource that a node rejected. */
export interface Rejection {
  readonly typeUrl: TypeUrl
  readonly name: string
  readonly version: string
  /** What the node accepted of that name before; undefined: nothing. */
  readonly accepted: Resource | undefined
}

/** What a node rejected. Immutable; nodes that rejected the same should hold the same object, to share their views. */
export type Quarantine = readonly Rejection[]

const clusterType = resourceTypes.cluster.typeUrl
const endpointType = resourceTypes.endpoint.typeUrl

const targets = new IdentityMemo<View>()

/**
 * What a node should have in the end while some versions stand rejected: the snapshot, but each of those at what the node
 * accepted before (rule 103). What names a resource that the node never accepted waits with it, as it is in `view`, what the
 * client has now, or in `current`, what it had when all was well; and what an old version names stays too, if the snapshot
 * has dropped it, be it in the one or the other. Without a rejection that concerns the snapshot it is the snapshot itself.
 */
export function targetFor(snapshot: View, quarantine: Quarantine, current: View, view: View = current): View {
  const concerned = quarantine.filter((rejection) => isIn(snapshot, rejection))
  if (concerned.length === 0) return snapshot
  return targets.get([snapshot, quarantine, current, view], () => {
    const [before, now] = [withoutRejected(current, quarantine), withoutRejected(view, quarantine)]
    return buildTarget(snapshot, concerned, quarantine, before, now)
  })
}

const isIn = ({ sets }: View, { typeUrl, name, version }: Rejection): boolean =>
  sets.get(typeUrl)?.get(name)?.version === version

const cleaned = new IdentityMemo<View>()

/** A view with what the node accepted in place of what it rejected: nothing is kept that the client cannot have. */
export function withoutRejected(view: View, quarantine: Quarantine): View {
  const concerned = quarantine.filter((rejection) => isIn(view, rejection))
  if (concerned.length === 0) return view
  return cleaned.get([view, quarantine], () => {
    const substitutes: Substitutes = new Map()
    for (const { typeUrl, name, accepted } of concerned) substitute(substitutes, typeUrl, name, accepted)
    return withSubstitutes(view, substitutes)
  })
}

function withSubstitutes(view: View, substitutes: Substitutes): View {
  const sets = new Map(view.sets)
  for (const [typeUrl, ofType] of substitutes) sets.set(typeUrl, setIn(view, typeUrl).with(ofType))
  return buildSnapshot(sets.values())
}

type Substitutes = Map<TypeUrl, Map<string, Resource | undefined>>

/** `rejections` concern the snapshot; `all` are those of other versions, too. */
function buildTarget(snapshot: View, rejections: Quarantine, all: Quarantine, current: View, view: View): View {
  const substitutes: Substitutes = new Map()
  for (const { typeUrl, name, accepted } of rejections) {
    // Without any assignment its cluster would warm for ever (rule 24).
    const instead = accepted ?? (typeUrl === endpointType ? emptyOf(snapshot, name, all) : undefined)
    substitute(substitutes, typeUrl, name, instead)
  }
  holdDependents(substitutes, snapshot, [withoutRejected(view, rejections), current])
  const old: Named[] = []
  for (const ofType of substitutes.values()) {
    for (const resource of ofType.values()) if (resource !== undefined) old.push(...resource.references)
  }
  for (const resource of reachedBy(old, view === current ? current : united(view, current), snapshot)) {
    substitute(substitutes, resource.typeUrl, resource.name, resource)
  }
  return withSubstitutes(snapshot, substitutes)
}

/** All of both; of what both have, the first one's content: what that names leads on, and not what the second one's does. */
function united(first: View, second: View): View {
  const sets = typesIn(first, second).map((typeUrl) => unionSets([setIn(first, typeUrl), setIn(second, typeUrl)]))
  return buildSnapshot(sets)
}

function substitute(into: Substitutes, typeUrl: TypeUrl, name: string, resource: Resource | undefined): void {
  const ofType = into.get(typeUrl) ?? new Map<string, Resource | undefined>()
  into.set(typeUrl, ofType.set(name, resource))
}

function emptyOf(snapshot: View, name: string, all: Quarantine): Resource | undefined {
  const rejected = setIn(snapshot, endpointType).get(name)
  const empty = rejected && emptyAssignment(name, rejected.origin)
  const isRejected = all.some(
    (one) => one.typeUrl === endpointType && one.name === name && one.version === empty?.version,
  )
  return isRejected ? undefined : empty
}

/** Adds what names a resource that this node cannot have: at an earlier version, or not at all and then its own users too. */
function holdDependents(substitutes: Substitutes, snapshot: View, earlier: readonly View[]): void {
  for (const typeUrl of [clusterType, ...usersIn(snapshot, snapshot)]) {
    const set = setIn(snapshot, typeUrl)
    for (const [neededType, names] of substitutes) {
      // An aggregate cluster does without one of its members.
      if (typeUrl === clusterType && neededType === clusterType) continue
      for (const [needed, instead] of names) {
        if (instead !== undefined) continue
        for (const name of namersIn(set).get(keyOf({ typeUrl: neededType, name: needed })) ?? []) {
          if (substitutes.get(typeUrl)?.has(name)) continue
          const before = earlier.flatMap((view) => view.sets.get(typeUrl)?.get(name) ?? [])
          const old = before.find((resource) => !lacks(resource, new Set()))
          substitute(substitutes, typeUrl, name, old)
        }
      }
    }
  }

  /** It leads to one that this node cannot have, directly or over what the snapshot has dropped. */
  function lacks(resource: Resource, seen: Set<Resource>): boolean {
    seen.add(resource)
    return resource.references.some(({ typeUrl, name }) => {
      const ofType = substitutes.get(typeUrl)
      if (ofType?.has(name) === true) return ofType.get(name) === undefined
      if (snapshot.sets.get(typeUrl)?.get(name) !== undefined) return false
      const [old] = earlier.flatMap((view) => view.sets.get(typeUrl)?.get(name) ?? [])
      return old !== undefined && !seen.has(old) && lacks(old, seen)
    })
  }
}

const namers = new WeakMap<ResourceSet, ReadonlyMap<string, readonly string[]>>()

/** By what they name, the names of a set's resources. */
function namersIn(set: ResourceSet): ReadonlyMap<string, readonly string[]> {
  let index = namers.get(set)
  if (index === undefined) {
    const built = new Map<string, string[]>()
    for (const { name, references } of set.values()) {
      for (const reference of references) {
        const key = keyOf(reference)
        const names = built.get(key)
        if (names === undefined) built.set(key, [name])
        else names.push(name)
      }
    }
    index = built
    namers.set(set, index)
  }
  return index
}
