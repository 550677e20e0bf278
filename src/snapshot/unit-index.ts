import { keyOf, type Named } from '../resource/named.ts'
import type { Reference, Resource } from '../resource/resource.ts'
import type { TypeUrl } from '../resource/type-url.ts'
import { isChecked } from './consistency.ts'
import { haveSameSelectors, namesOf, type Unit } from './unit.ts'

/** A name that a unit's resources refer to, and where they do. */
export interface Need {
  readonly typeUrl: TypeUrl
  readonly name: string
  /** At least one. */
  readonly uses: readonly { readonly resource: Resource; readonly reference: Reference }[]
}

interface Entry {
  readonly providers: Map<string, Unit>
  readonly users: Map<string, Unit>
}

const nobody: ReadonlyMap<string, Unit> = new Map()

/** Units by key, and who of them provides or refers to a name. Placing a unit costs its own names, not the world. */
export class UnitIndex {
  readonly #units = new Map<string, Unit>()
  readonly #entries = new Map<TypeUrl, Map<string, Entry>>()

  get units(): ReadonlyMap<string, Unit> {
    return this.#units
  }

  /** Puts a unit at its key in place of what is there; `undefined` leaves nothing there. */
  place(key: string, unit: Unit | undefined): void {
    const before = this.#units.get(key)
    if (before === unit) return
    if (before !== undefined) this.#remove(key, before)
    if (unit === undefined) {
      this.#units.delete(key)
      return
    }
    this.#units.set(key, unit)
    for (const { typeUrl, name } of namesOf(unit)) this.#entry(typeUrl, name).providers.set(key, unit)
    for (const { typeUrl, name } of needsOf(unit)) this.#entry(typeUrl, name).users.set(key, unit)
  }

  providers(typeUrl: TypeUrl, name: string): ReadonlyMap<string, Unit> {
    return this.#entries.get(typeUrl)?.get(name)?.providers ?? nobody
  }

  users(typeUrl: TypeUrl, name: string): ReadonlyMap<string, Unit> {
    return this.#entries.get(typeUrl)?.get(name)?.users ?? nobody
  }

  /** The names of a type that somebody provides. */
  *names(typeUrl: TypeUrl): Generator<string, void, undefined> {
    for (const [name, entry] of this.#entries.get(typeUrl) ?? []) if (entry.providers.size > 0) yield name
  }

  #entry(typeUrl: TypeUrl, name: string): Entry {
    let byName = this.#entries.get(typeUrl)
    if (byName === undefined) {
      byName = new Map()
      this.#entries.set(typeUrl, byName)
    }
    let entry = byName.get(name)
    if (entry === undefined) {
      entry = { providers: new Map(), users: new Map() }
      byName.set(name, entry)
    }
    return entry
  }

  #remove(key: string, unit: Unit): void {
    for (const { typeUrl, name } of namesOf(unit)) this.#leave(typeUrl, name, (entry) => entry.providers.delete(key))
    for (const { typeUrl, name } of needsOf(unit)) this.#leave(typeUrl, name, (entry) => entry.users.delete(key))
  }

  #leave(typeUrl: TypeUrl, name: string, leave: (entry: Entry) => void): void {
    const entry = this.#entries.get(typeUrl)?.get(name)
    if (entry === undefined) return
    leave(entry)
    if (entry.providers.size === 0 && entry.users.size === 0) this.#entries.get(typeUrl)?.delete(name)
  }
}

const needs = new WeakMap<Unit, ReadonlyMap<string, Need>>()

/** What a unit's resources refer to, of the types whose presence is checked; each name once. */
export function needsOf(unit: Unit): Iterable<Need> {
  return needsByName(unit).values()
}

export function needOf(unit: Unit, typeUrl: TypeUrl, name: string): Need | undefined {
  return needsByName(unit).get(keyOf({ typeUrl, name }))
}

function needsByName(unit: Unit): ReadonlyMap<string, Need> {
  const known = needs.get(unit)
  if (known !== undefined) return known
  const found = new Map<string, { typeUrl: TypeUrl; name: string; uses: Need['uses'][number][] }>()
  for (const resource of unit.resources) {
    for (const reference of resource.references) {
      const { typeUrl, name } = reference
      if (!isChecked(typeUrl)) continue
      const key = keyOf(reference)
      const need = found.get(key)
      if (need === undefined) found.set(key, { typeUrl, name, uses: [{ resource, reference }] })
      else need.uses.push({ resource, reference })
    }
  }
  needs.set(unit, found)
  return found
}

/** The names that two forms of a unit provide differently: one only, or for other nodes. */
export function namesThatDiffer(a: Unit | undefined, b: Unit | undefined): readonly Named[] {
  if (a === undefined || b === undefined) {
    const only = a ?? b
    return only === undefined ? [] : namesOf(only)
  }
  if (!haveSameSelectors(a, b)) return [...namesOf(a), ...namesOf(b)]
  return [...without(namesOf(a), namesOf(b)), ...without(namesOf(b), namesOf(a))]
}

function without(all: readonly Named[], others: readonly Named[]): readonly Named[] {
  const names = new Set(others.map(keyOf))
  return all.filter((one) => !names.has(keyOf(one)))
}
