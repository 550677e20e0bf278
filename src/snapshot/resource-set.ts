import { hash } from 'node:crypto'
import { createInterner } from '../resource/interner.ts'
import type { Resource } from '../resource/resource.ts'
import type { TypeUrl } from '../resource/type-url.ts'

/** All resources of one type that somebody should have. Immutable; equal content has an equal version. */
export interface ResourceSet {
  readonly typeUrl: TypeUrl
  /** Order-free hash of (type, name, resource version) over its members; never '' (rule 33). */
  readonly version: string
  readonly size: number
  /** How many of its members have a TTL: their clients must hear of them again and again (rule 82). */
  readonly expiring: number
  get(name: string): Resource | undefined
  /** In order of name, so that equal sets are written as equal bytes (rule 39). */
  values(): Iterable<Resource>
  /**
   * The set after some changes; `undefined` removes. Costs the changes, not the set. Changes that change no content
   * give the same object, which then goes on holding its own resources: a new one of equal content (and another
   * origin) is not taken.
   */
  with(changes: ReadonlyMap<string, Resource | undefined>): ResourceSet
}

/** What leads from one set to another, in order of name. */
export interface SetDiff {
  readonly changed: readonly Resource[]
  readonly removed: readonly string[]
}

type Changes = ReadonlyMap<string, Resource | undefined>

/** What many sets share: a set is a base and a few changes to it. */
interface Base {
  readonly id: number
  readonly members: ReadonlyMap<string, Resource>
  /** Sorted. */
  readonly names: readonly string[]
  /** The bases that this one was folded from, newest first, each with the names that differ in its successor. */
  readonly lineage: readonly { readonly id: number; readonly names: readonly string[] }[]
}

/** Keeps a diff across folds at the cost of the changes, without keeping old bases alive. */
const lineageLength = 4

/** Sums of 256-bit hashes wrap here. */
const wrap = (1n << 256n) - 1n

let lastBaseId = 0

/** What of a set is known without walking it. */
interface Totals {
  readonly size: number
  readonly expiring: number
  readonly sum: bigint
}

class PersistentSet implements ResourceSet {
  readonly typeUrl: TypeUrl
  readonly size: number
  readonly expiring: number
  readonly base: Base
  /** Shadows the base; `undefined` is a member of the base that is gone. */
  readonly changes: Changes
  readonly #sum: bigint
  #version: string | undefined
  #changedNames: readonly string[] | undefined

  constructor(typeUrl: TypeUrl, base: Base, changes: Changes, { size, expiring, sum }: Totals) {
    this.typeUrl = typeUrl
    this.base = base
    this.changes = changes
    this.size = size
    this.expiring = expiring
    this.#sum = sum
  }

  get version(): string {
    this.#version ??= hash('sha256', `${this.typeUrl}\0${this.size}\0${this.#sum.toString(16)}`, 'hex').slice(0, 32)
    return this.#version
  }

  get(name: string): Resource | undefined {
    const changed = this.changes.get(name)
    return changed !== undefined || this.changes.has(name) ? changed : this.base.members.get(name)
  }

  *values(): Generator<Resource, void, undefined> {
    this.#changedNames ??= [...this.changes.keys()].sort()
    const [names, changedNames] = [this.base.names, this.#changedNames]
    let at = 0
    for (const changedName of changedNames) {
      for (let name = names[at]; name !== undefined && name < changedName; name = names[++at]) {
        yield this.base.members.get(name) as Resource
      }
      if (names[at] === changedName) at++
      const resource = this.changes.get(changedName)
      if (resource !== undefined) yield resource
    }
    for (let name = names[at]; name !== undefined; name = names[++at]) yield this.base.members.get(name) as Resource
  }

  with(changes: Changes): ResourceSet {
    return this.change(changes, foldLimit(this.base))
  }

  /** As `with`, folding the changes into a base of its own only above `limit` of them. */
  change(changes: Changes, limit: number): PersistentSet {
    let { size, expiring } = this
    let sum = this.#sum
    let merged: Map<string, Resource | undefined> | undefined
    for (const [name, after] of changes) {
      const before = this.get(name)
      if (isSame(before, after)) continue
      merged ??= new Map(this.changes)
      const original = this.base.members.get(name)
      if (isSame(original, after)) merged.delete(name)
      else merged.set(name, after)
      size += (after === undefined ? 0 : 1) - (before === undefined ? 0 : 1)
      expiring += (after?.ttlMs === undefined ? 0 : 1) - (before?.ttlMs === undefined ? 0 : 1)
      sum = (sum + memberHash(this.typeUrl, after) - memberHash(this.typeUrl, before)) & wrap
    }
    if (merged === undefined) return this
    const totals = { size, expiring, sum }
    const changed = new PersistentSet(this.typeUrl, this.base, merged, totals)
    if (merged.size <= limit) return changed
    return new PersistentSet(this.typeUrl, foldedBase(changed), new Map(), totals)
  }
}

const foldLimit = (base: Base): number => Math.max(64, Math.floor(base.names.length / 16))

function foldedBase(set: PersistentSet): Base {
  const members = new Map<string, Resource>()
  for (const resource of set.values()) members.set(resource.name, resource)
  const lineage = [{ id: set.base.id, names: [...set.changes.keys()] }, ...set.base.lineage].slice(0, lineageLength)
  return { id: ++lastBaseId, members, names: [...members.keys()], lineage }
}

/** Equal content: what a client has of one it has of the other. One that cannot be sent yet differs from one that can. */
function isSame(a: Resource | undefined, b: Resource | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && a.version === b.version && a.isReady === b.isReady)
}

const hashes = new WeakMap<Resource, bigint>()

function memberHash(typeUrl: TypeUrl, resource: Resource | undefined): bigint {
  if (resource === undefined) return 0n
  let value = hashes.get(resource)
  if (value === undefined) {
    const readiness = resource.isReady ? '' : '\0not ready'
    value = BigInt(`0x${hash('sha256', `${typeUrl}\0${resource.name}\0${resource.version}${readiness}`, 'hex')}`)
    hashes.set(resource, value)
  }
  return value
}

const internEmpty = createInterner<PersistentSet>()

/** The set of no resources; of one type always the same object while somebody holds it. */
export function emptySet(typeUrl: TypeUrl): ResourceSet {
  return emptyPersistentSet(typeUrl)
}

function emptyPersistentSet(typeUrl: TypeUrl): PersistentSet {
  const base: Base = { id: ++lastBaseId, members: new Map(), names: [], lineage: [] }
  return internEmpty(typeUrl, new PersistentSet(typeUrl, base, new Map(), { size: 0, expiring: 0, sum: 0n }))
}

/** The set of some resources of one type, in any order; of two with one name the last counts. */
export function setOfResources(typeUrl: TypeUrl, resources: Iterable<Resource>): ResourceSet {
  const changes = new Map<string, Resource>()
  for (const resource of resources) changes.set(resource.name, resource)
  const empty = emptyPersistentSet(typeUrl)
  // A base of its own, so that sets built apart never pile changes onto the shared empty base.
  return changes.size === 0 ? empty : empty.change(changes, 0)
}

/**
 * The union of sets of one type, at least one; where several hold a name, the first set's counts. It shares the base of
 * the largest, so that many unions with the same large set cost only what they add to it.
 */
export function unionSets(sets: readonly ResourceSet[]): ResourceSet {
  const [first, ...others] = sets as readonly [PersistentSet, ...PersistentSet[]]
  const largest = others.reduce((a, b) => (b.size > a.size ? b : a), first)
  const changes = new Map<string, Resource>()
  for (const set of sets.toReversed()) {
    if (set === largest) {
      for (const name of changes.keys()) if (largest.get(name) !== undefined) changes.delete(name)
    } else {
      for (const resource of set.values()) changes.set(resource.name, resource)
    }
  }
  // Twice the usual, so that the shared set itself is folded before every union with it must be.
  return largest.change(changes, 2 * foldLimit(largest.base))
}

const internByContent = createInterner<ResourceSet>()

/** The live set of equal content, if there is one, else `set`: a change and its way back end at the first object. */
export function internSet(set: ResourceSet): ResourceSet {
  return internByContent(`${set.typeUrl}\0${set.version}`, set)
}

const diffs = new WeakMap<ResourceSet, WeakMap<ResourceSet, SetDiff>>()
const noDiff: SetDiff = { changed: [], removed: [] }

/**
 * What a client that has `from` (undefined: nothing) must learn to have `to`. Computed once for two sets; costs the
 * changes where one came from the other, however many steps between.
 */
export function diffSets(from: ResourceSet | undefined, to: ResourceSet): SetDiff {
  const before = from ?? emptySet(to.typeUrl)
  if (before === to) return noDiff
  let known = diffs.get(before)
  if (known === undefined) {
    known = new WeakMap()
    diffs.set(before, known)
  }
  let diff = known.get(to)
  if (diff === undefined) {
    diff = buildDiff(before as PersistentSet, to as PersistentSet)
    known.set(to, diff)
  }
  return diff
}

function buildDiff(from: PersistentSet, to: PersistentSet): SetDiff {
  const changed: Resource[] = []
  const removed: string[] = []
  for (const name of namesThatMayDiffer(from, to)) {
    const [before, after] = [from.get(name), to.get(name)]
    if (isSame(before, after)) continue
    if (after === undefined) removed.push(name)
    else changed.push(after)
  }
  return { changed, removed }
}

/** Sorted. */
function namesThatMayDiffer(from: PersistentSet, to: PersistentSet): Iterable<string> {
  const folded = namesBetween(from.base, to.base) ?? namesBetween(to.base, from.base)
  if (folded !== undefined) return new Set([...folded, ...from.changes.keys(), ...to.changes.keys()].sort())
  const names = new Set<string>()
  for (const set of [from, to]) for (const resource of set.values()) names.add(resource.name)
  return [...names].sort()
}

/** The names that may differ between a base and one folded from it; undefined when it is not known to be. */
function namesBetween(ancestor: Base, base: Base): string[] | undefined {
  if (ancestor === base) return []
  const steps = base.lineage.findIndex(({ id }) => id === ancestor.id) + 1
  return steps === 0 ? undefined : base.lineage.slice(0, steps).flatMap(({ names }) => names)
}
