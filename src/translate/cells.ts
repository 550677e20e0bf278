import { Journal } from './journal.ts'

/** What a rule may look at. Whatever it reads is remembered, and when that is another, the rule is asked again. */
export interface Reads {
  /** What was given by `set`. */
  input(kind: string, key: string): unknown
  /** What another rule, of a lower level, makes of a key. */
  get<V>(rule: Rule<V>, key: string): V
  /** The keys of those cells of lower levels whose facts name this. */
  members(index: string, key: string): readonly string[]
  /** It looks at something that lies outside: `touch` says when that is another. */
  external(kind: string, key: string): void
}

/** How values follow from others. A rule reads only rules of lower levels, so that each is asked at most once a change. */
export interface Rule<V> {
  readonly name: string
  readonly level: number
  compute(read: Reads, key: string): V
  /** A value that is the same as before ends the matter: nothing that reads it is asked again. */
  isSame(before: V, after: V): boolean
  /** What others find the cell by: pairs of an index and a key in it. Only of cells that are kept (`keep`). */
  facts?(value: V): Iterable<readonly [index: string, key: string]>
}

type Id = string

interface Cell {
  readonly id: Id
  readonly rule: Rule<unknown>
  readonly key: string
  readonly value: unknown
  readonly reads: ReadonlySet<Id>
  readonly facts: ReadonlySet<Id>
}

/** A cell whose value is another after a change; a value is undefined where the cell was not, or is no more. */
export interface Changed {
  readonly rule: Rule<unknown>
  readonly key: string
}

/**
 * Values that follow from inputs by rules, kept up to date change by change: a change costs what follows from it, not what
 * there is. What comes out is what computing everything anew would give, for a rule has no other way to learn anything.
 */
export class Cells {
  readonly #inputs = new Map<Id, unknown>()
  readonly #cells = new Map<Id, Cell>()
  readonly #readers = new Map<Id, Set<Id>>()
  readonly #members = new Map<Id, Set<string>>()
  /** Cells as they were when they were in an index that they have left since the last commit. */
  readonly #left = new Map<Id, Set<Cell>>()
  readonly #kept = new Set<Id>()
  readonly #journal = new Journal()
  /** Ids of cells to ask again, by level. */
  #dirty: Set<Id>[] = []
  /** Below this one everything has been asked. */
  #level = 0
  #born = new Map<Id, { readonly rule: Rule<unknown>; readonly key: string }>()

  /** `undefined`: there is none any more. */
  set(kind: string, key: string, value: unknown): void {
    const id = idOf(kind, key)
    if (value === undefined) this.#journal.delete(this.#inputs, id)
    else this.#journal.set(this.#inputs, id, value)
    this.#touch(id)
  }

  /** Another object that says the same. */
  replace(kind: string, key: string, value: unknown): void {
    this.#journal.set(this.#inputs, idOf(kind, key), value)
  }

  peek(kind: string, key: string): unknown {
    return this.#inputs.get(idOf(kind, key))
  }

  /** Something outside is another than before. */
  touch(kind: string, key: string): void {
    this.#touch(idOf(kind, key))
  }

  /** The cell is to be there, whether anybody reads it or not. */
  keep<V>(rule: Rule<V>, key: string): void {
    const id = idOf(rule.name, key)
    this.#journal.add(this.#kept, id)
    if (this.#cells.has(id)) return
    this.#born.set(id, { rule: rule as Rule<unknown>, key })
    this.#mark(id, rule.level)
  }

  drop<V>(rule: Rule<V>, key: string): void {
    const id = idOf(rule.name, key)
    this.#journal.drop(this.#kept, id)
    this.#born.delete(id)
    const cell = this.#cells.get(id)
    if (cell !== undefined && !this.#isRead(id)) this.#remove(cell)
  }

  /** The value of a cell that is kept or read; undefined where there is none. */
  value<V>(rule: Rule<V>, key: string): V | undefined {
    return this.#cells.get(idOf(rule.name, key))?.value as V | undefined
  }

  /** Asks again what must be, and returns which cells have another value now, or came, or went. */
  update(): readonly Changed[] {
    const changed = new Map<Id, Changed>()
    for (let level = 0; level < this.#dirty.length; level++) {
      this.#level = level
      for (const id of this.#dirty[level] ?? []) {
        const cell = this.#cells.get(id)
        const found = cell ?? this.#born.get(id)
        if (found === undefined) continue
        if (this.#compute(id, found.rule, found.key, cell)) changed.set(id, { rule: found.rule, key: found.key })
      }
    }
    this.#settle()
    return [...changed.values()]
  }

  /**
   * What a cell, or a change of it since the last commit, follows from in the end, be it there or not: `<kind>\0<key>` of
   * inputs and of what lies outside.
   */
  sourcesOf<V>(rule: Rule<V>, key: string): ReadonlySet<string> {
    const sources = new Set<Id>()
    const seen = new Set<Id>()
    const open: Id[] = [idOf(rule.name, key)]
    for (let id = open.pop(); id !== undefined; id = open.pop()) {
      if (seen.has(id)) continue
      seen.add(id)
      const cell = this.#cells.get(id)
      if (cell === undefined) sources.add(id)
      else open.push(...cell.reads)
      // Who is in an index follows from the cells that are in it, and a change of that from those that were.
      open.push(...(this.#members.get(id) ?? []))
      for (const { reads } of this.#left.get(id) ?? []) open.push(...reads)
    }
    return sources
  }

  commit(): void {
    this.#journal.commit()
    this.#left.clear()
  }

  rollback(): void {
    this.#journal.rollback()
    this.#left.clear()
    this.#settle()
  }

  #settle(): void {
    this.#level = 0
    this.#dirty = []
    this.#born = new Map()
  }

  #touch(id: Id): void {
    for (const reader of this.#readers.get(id) ?? []) {
      const cell = this.#cells.get(reader)
      if (cell !== undefined) this.#mark(reader, cell.rule.level)
    }
  }

  #mark(id: Id, level: number): void {
    if (level < this.#level)
      throw new Error(`${id.replace('\0', ' ')} would be asked twice: a rule reads what is not below it`)
    while (this.#dirty.length <= level) this.#dirty.push(new Set())
    this.#dirty[level]?.add(id)
  }

  /** Returns whether the value is another. */
  #compute(id: Id, rule: Rule<unknown>, key: string, before: Cell | undefined): boolean {
    const reads = new Set<Id>()
    const computed = rule.compute(this.#readsFor(rule, reads), key)
    const isSame = before !== undefined && rule.isSame(before.value, computed)
    const value = isSame ? before.value : computed
    const facts = new Set<Id>()
    for (const [index, member] of rule.facts?.(value) ?? []) facts.add(idOf(index, member))
    const cell: Cell = { id, rule, key, value, reads, facts }
    this.#journal.set(this.#cells, id, cell)
    this.#rewire(cell, before)
    if (!isSame) this.#touch(id)
    return !isSame
  }

  #readsFor(rule: Rule<unknown>, reads: Set<Id>): Reads {
    return {
      input: (kind, key) => {
        const id = idOf(kind, key)
        reads.add(id)
        return this.#inputs.get(id)
      },
      get: <V>(other: Rule<V>, key: string): V => {
        if (other.level >= rule.level)
          throw new Error(`the rule ${rule.name} reads ${other.name}, which is not below it`)
        const id = idOf(other.name, key)
        reads.add(id)
        if (!this.#cells.has(id)) this.#compute(id, other as Rule<unknown>, key, undefined)
        return this.#cells.get(id)?.value as V
      },
      members: (index, key) => {
        const id = idOf(index, key)
        reads.add(id)
        return [...(this.#members.get(id) ?? [])].map(keyIn).sort()
      },
      external: (kind, key) => {
        reads.add(idOf(kind, key))
      },
    }
  }

  /** Notes who reads what and who is found by what, and forgets what nobody reads any more. */
  #rewire(cell: Cell, before: Cell | undefined): void {
    for (const read of cell.reads) {
      if (before?.reads.has(read) === true) continue
      this.#join(this.#readers, read, cell.id)
    }
    for (const fact of cell.facts) {
      if (before?.facts.has(fact) === true) continue
      this.#join(this.#members, fact, cell.id)
      this.#touch(fact)
    }
    if (before !== undefined) this.#unwire(before, cell)
  }

  #unwire(before: Cell, after: Pick<Cell, 'reads' | 'facts'>): void {
    for (const fact of before.facts) {
      if (after.facts.has(fact)) continue
      this.#part(this.#members, fact, before.id)
      this.#left.set(fact, (this.#left.get(fact) ?? new Set()).add(before))
      this.#touch(fact)
    }
    for (const read of before.reads) {
      if (after.reads.has(read)) continue
      this.#part(this.#readers, read, before.id)
      const cell = this.#cells.get(read)
      if (cell !== undefined && !this.#isRead(read) && !this.#kept.has(read)) this.#remove(cell)
    }
  }

  #remove(cell: Cell): void {
    this.#journal.delete(this.#cells, cell.id)
    this.#unwire(cell, { reads: new Set(), facts: new Set() })
  }

  #isRead(id: Id): boolean {
    return (this.#readers.get(id)?.size ?? 0) > 0
  }

  #join<V>(map: Map<Id, Set<V>>, id: Id, value: V): void {
    let set = map.get(id)
    if (set === undefined) {
      set = new Set()
      this.#journal.set(map, id, set)
    }
    this.#journal.add(set, value)
  }

  #part<V>(map: Map<Id, Set<V>>, id: Id, value: V): void {
    const set = map.get(id)
    if (set === undefined) return
    this.#journal.drop(set, value)
    if (set.size === 0) this.#journal.delete(map, id)
  }
}

const idOf = (kind: string, key: string): Id => `${kind}\0${key}`

const keyIn = (id: Id): string => id.slice(id.indexOf('\0') + 1)
