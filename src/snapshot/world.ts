import type { Origin, Problem } from '../errors.ts'
import { nearestName } from '../resource/json/near-name.ts'
import { keyOf } from '../resource/named.ts'
import type { Node } from '../resource/node.ts'
import { matchesNode, type NodeSelector } from '../resource/node-selector.ts'
import type { Resource } from '../resource/resource.ts'
import { resourceTypes, type TypeUrl } from '../resource/type-url.ts'
import { canMeet, coverageOf, isRequired } from './consistency.ts'
import { type Pending, Settlement, type Violation } from './settlement.ts'
import { isSameForm, isUnready, selectorsOf, type Unit } from './unit.ts'
import { type Need, namesThatDiffer, needsOf, UnitIndex } from './unit-index.ts'
import {
  byPlace,
  danglingReference,
  duplicates,
  missingAssignment,
  notMoved,
  stillNeeded,
  unselectedReference,
  withheldUnready,
  withheldWithoutForm,
} from './world-problem.ts'

export type { Unit } from './unit.ts'

export type UnitChange =
  | { readonly kind: 'valid'; readonly unit: Unit }
  /** Its text has an error: it stays as it last was. */
  | {
      readonly kind: 'invalid'
      readonly key: string
      readonly origin: Origin
      readonly selectors: readonly NodeSelector[] | undefined
    }
  | { readonly kind: 'deleted'; readonly key: string }

/** What follows from some changes. */
export interface WorldStep {
  /** Units that are in force now in another form than before; one that only moved in its file is not among them. */
  readonly upserted: readonly Unit[]
  /** Keys of units that are no longer in force. */
  readonly removed: readonly string[]
  /** All standing problems of consistency (not only new ones; those of `withheld` are apart), in order of origin. */
  readonly problems: readonly Problem[]
  /** What must not be answered: groups that one of these selectors could touch (undefined: every group), and why. */
  readonly withheld: readonly Withheld[]
}

export interface Withheld {
  readonly selectors: readonly NodeSelector[] | undefined
  readonly problem: Problem
}

/** Names by type word (`cluster`) that proxies have without the control plane. */
export type StaticNames = Readonly<Record<string, readonly string[]>>

export interface WorldOptions {
  readonly staticNames: StaticNames
  /**
   * Serves from the first build on without the documents that have an error and no last good form. Does not concern
   * what the history could not keep (rule 53): that a client has, and would lose.
   */
  readonly allowPartial: boolean
  /** In force at start: the last good, from the history. */
  readonly restored?: Iterable<Unit>
}

/** Every document in force, each in its last good form (MODEL.md). */
export interface World {
  readonly inForce: ReadonlyMap<string, Unit>
  /**
   * Where a resource in force stands now. One whose document only moved about in its file, or was written again, is the
   * same resource to its holders, who know where it stood before. `node`: one that has it, for other nodes may have an
   * equal one from another document.
   */
  originOf(resource: Pick<Resource, 'typeUrl' | 'name' | 'version'>, node: Node): Origin | undefined
  /**
   * Takes changes of documents, together. `isFirst`: the sources were now read completely for the first time; restored
   * units that they no longer hold are then among the changes as deleted.
   */
  apply(changes: readonly UnitChange[], options: { readonly isFirst: boolean }): WorldStep
  /** Takes note of names that a node's bootstrap holds; documents that waited for them take effect. */
  addStaticNames(names: StaticNames): WorldStep
}

export function createWorld(options: WorldOptions): World {
  return new UnitWorld(options)
}

const secretTypeUrl = resourceTypes.secret.typeUrl

function movedBadly(lastForm: Unit | undefined, violations: readonly Violation[]): readonly Problem[] {
  const first = violations.find((violation) => violation.kind === 'moved')
  return first === undefined || lastForm === undefined ? [] : [notMoved(lastForm, first.resource, first.successor)]
}

/** References that dangle from one step on and are told what was most likely meant. */
const searchesAtMost = 50

/** What is known of a document whose text has an error. */
type InvalidForm = Pick<Extract<UnitChange, { kind: 'invalid' }>, 'origin' | 'selectors'>

class UnitWorld implements World {
  readonly #allowPartial: boolean
  readonly #index = new UnitIndex()
  readonly #static = new Map<TypeUrl, Set<string>>()
  /** Documents that are valid by themselves, or deleted, and whose wanted form is not in force. */
  readonly #pending = new Map<string, Pending>()
  readonly #invalid = new Map<string, InvalidForm>()
  /** Documents of the first read that have an error and no form in force. */
  readonly #withoutForm = new Set<string>()
  readonly #unready = new Set<string>()
  /** Documents whose problems may be others than at the last step. */
  readonly #touched = new Set<string>()
  readonly #problemsByKey = new Map<string, readonly Problem[]>()
  #problems: readonly Problem[] | undefined = []
  readonly #nearest = new WeakMap<Need, { readonly name: string | undefined }>()
  #searches = 0

  constructor(options: WorldOptions) {
    this.#allowPartial = options.allowPartial
    this.#noteStaticNames(options.staticNames)
    for (const unit of options.restored ?? []) {
      this.#index.place(unit.key, unit)
      this.#touched.add(unit.key)
      if (isUnready(unit, secretTypeUrl)) this.#unready.add(unit.key)
    }
  }

  get inForce(): ReadonlyMap<string, Unit> {
    return this.#index.units
  }

  originOf({ typeUrl, name, version }: Pick<Resource, 'typeUrl' | 'name' | 'version'>, node: Node): Origin | undefined {
    for (const unit of this.#index.providers(typeUrl, name).values()) {
      if (!selectorsOf(unit).some((selector) => matchesNode(selector, node))) continue
      const found = unit.resources.find(
        (one) => one.typeUrl === typeUrl && one.name === name && one.version === version,
      )
      if (found !== undefined) return found.origin
    }
    return undefined
  }

  apply(changes: readonly UnitChange[], { isFirst }: { readonly isFirst: boolean }): WorldStep {
    const upserted = new Map<string, Unit>()
    for (const change of changes) {
      const refreshed = this.#note(change)
      if (refreshed !== undefined) upserted.set(refreshed.key, refreshed)
    }
    const step = this.#settle(upserted)
    if (isFirst && !this.#allowPartial) {
      for (const key of [...this.#invalid.keys(), ...this.#pending.keys()]) {
        if (!this.inForce.has(key)) this.#withoutForm.add(key)
      }
    }
    return { ...step, withheld: this.#withheld() }
  }

  addStaticNames(names: StaticNames): WorldStep {
    const isNews = this.#noteStaticNames(names)
    const step = isNews ? this.#settle(new Map()) : { upserted: [], removed: [], problems: this.#allProblems() }
    return { ...step, withheld: this.#withheld() }
  }

  /** Returns the unit when it is in force at once: the form in force, read anew, with content that was not at hand. */
  #note(change: UnitChange): Unit | undefined {
    const key = change.kind === 'valid' ? change.unit.key : change.key
    const old = this.inForce.get(key)
    this.#touchRivals(this.#pending.get(key)?.next)
    this.#touched.add(key)
    this.#pending.delete(key)
    this.#invalid.delete(key)
    if (change.kind === 'invalid') {
      this.#invalid.set(key, { origin: change.origin, selectors: change.selectors })
    } else if (change.kind === 'deleted') {
      if (old !== undefined) this.#pending.set(key, { key, old, next: undefined })
    } else if (old !== undefined && isSameForm(old, change.unit)) {
      this.#index.place(key, change.unit)
      const wasReady = old.resources.every((resource) => resource.isReady)
      return wasReady ? undefined : change.unit
    } else {
      this.#pending.set(key, { key, old, next: change.unit })
    }
    return undefined
  }

  /** Brings into force what can be. `upserted`: what already is. */
  #settle(upserted: Map<string, Unit>): Omit<WorldStep, 'withheld'> {
    const removed: string[] = []
    const isStatic = (typeUrl: TypeUrl, name: string): boolean => this.#static.get(typeUrl)?.has(name) ?? false
    let settlement: Settlement
    this.#searches = 0
    // What took effect may make room for what did not, so that the end is where a check of everything would end.
    do {
      settlement = new Settlement(this.#index, this.#pending, isStatic)
      settlement.settle()
    } while (this.#takeSettled(settlement, upserted, removed))
    for (const key of this.#touched) this.#setProblems(key, this.#problemsOf(key, settlement))
    this.#touched.clear()
    return { upserted: [...upserted.values()], removed, problems: this.#allProblems() }
  }

  /** Returns whether anything took effect. */
  #takeSettled(settlement: Settlement, upserted: Map<string, Unit>, removed: string[]): boolean {
    let hasMoved = false
    for (const { key, old, next } of this.#pending.values()) {
      this.#touched.add(key)
      this.#touchUsers(old, next)
      this.#touchRivals(old)
      this.#touchRivals(next)
      if (!settlement.isInForce(key)) continue
      hasMoved = true
      this.#pending.delete(key)
      if (next === undefined) removed.push(key)
      else upserted.set(key, next)
    }
    return hasMoved
  }

  /** Whoever refers to a name that only one of two forms has may have other problems now. */
  #touchUsers(a: Unit | undefined, b: Unit | undefined): void {
    for (const { typeUrl, name } of namesThatDiffer(a, b)) {
      for (const key of this.#index.users(typeUrl, name).keys()) this.#touched.add(key)
    }
  }

  /** So may whoever has one of a unit's names, too. */
  #touchRivals(unit: Unit | undefined): void {
    if (unit === undefined) return
    for (const { typeUrl, name } of unit.resources) {
      for (const [key, rival] of this.#index.providers(typeUrl, name)) {
        if (key !== unit.key && canMeet(unit, rival)) this.#touched.add(key)
      }
    }
  }

  #problemsOf(key: string, settlement: Settlement): readonly Problem[] {
    const pending = this.#pending.get(key)
    if (pending !== undefined) return this.#problemsOfPending(pending, settlement)
    const unit = this.inForce.get(key)
    // The text that the form in force came from is gone; config/ tells what is wrong with the one there is.
    if (unit === undefined || this.#invalid.has(key)) return []
    return [...this.#problemsOfNeeds(unit, settlement), ...duplicates(settlement.clashesOf(key, unit))]
  }

  #problemsOfNeeds(unit: Unit, settlement: Settlement): readonly Problem[] {
    const problems: Problem[] = []
    for (const need of needsOf(unit)) {
      const { typeUrl, name } = need
      if (this.#static.get(typeUrl)?.has(name)) continue
      const providers = [...this.#index.providers(typeUrl, name).values()]
      const coverage = coverageOf(unit, providers)
      if (coverage.kind === 'uncertain') problems.push(unselectedReference(need, coverage.nodes, providers))
      if (coverage.kind !== 'missing') continue
      if (isRequired(typeUrl)) problems.push(this.#dangling(need, coverage.nodes, settlement))
      else problems.push(missingAssignment(need))
    }
    return problems
  }

  #problemsOfPending({ key, old, next }: Pending, settlement: Settlement): readonly Problem[] {
    const problems: Problem[] = []
    const neededBy = new Map<string, Extract<Violation, { kind: 'needed' }>[]>()
    const violations = settlement.explain(key)
    for (const violation of violations) {
      if (violation.kind === 'dangling') problems.push(this.#dangling(violation.need, violation.nodes, settlement))
      if (violation.kind !== 'needed') continue
      const name = keyOf(violation.need)
      neededBy.set(name, [...(neededBy.get(name) ?? []), violation])
    }
    problems.push(...duplicates(violations.flatMap((v) => (v.kind === 'duplicate' ? [v.clash] : []))))
    for (const users of neededBy.values()) {
      const [first] = users
      if (old === undefined || first === undefined) continue
      problems.push(
        stillNeeded(
          old,
          next,
          first.need,
          users.map(({ need }) => need),
        ),
      )
    }
    if (problems.length === 0) problems.push(...movedBadly(old, violations))
    return problems
  }

  #dangling(need: Need, nodes: NodeSelector, settlement: Settlement): Problem {
    const { typeUrl, name } = need
    const claimants = settlement.claimants(typeUrl, name)
    const isElsewhere = this.#index.providers(typeUrl, name).size > 0
    let nearest = this.#nearest.get(need)
    if (nearest === undefined) {
      // Asked once, and of the first only: a search through every name for each of thousands would take seconds.
      const isSearched = this.#searches++ < searchesAtMost
      const names = isSearched ? [...this.#index.names(typeUrl), ...(this.#static.get(typeUrl) ?? [])] : []
      nearest = { name: nearestName(name, names) }
      this.#nearest.set(need, nearest)
    }
    return danglingReference(need, { nodes, isElsewhere, claimants, nearest: nearest.name })
  }

  #setProblems(key: string, problems: readonly Problem[]): void {
    const before = this.#problemsByKey.get(key)
    if (before === undefined && problems.length === 0) return
    if (problems.length === 0) this.#problemsByKey.delete(key)
    else this.#problemsByKey.set(key, problems)
    this.#problems = undefined
  }

  #allProblems(): readonly Problem[] {
    this.#problems ??= [...this.#problemsByKey.values()].flat().sort(byPlace)
    return this.#problems
  }

  #withheld(): readonly Withheld[] {
    const withheld: Withheld[] = []
    for (const key of this.#withoutForm) {
      const form = this.#invalid.get(key) ?? this.#pending.get(key)?.next
      if (form === undefined || this.inForce.has(key)) {
        this.#withoutForm.delete(key)
        continue
      }
      const selectors = form.selectors?.length === 0 ? undefined : form.selectors
      withheld.push({ selectors, problem: withheldWithoutForm(form.origin, selectors) })
    }
    for (const key of this.#unready) {
      const unit = this.inForce.get(key)
      if (unit === undefined || !isUnready(unit, secretTypeUrl)) {
        this.#unready.delete(key)
        continue
      }
      const selectors = unit.selectors.length === 0 ? undefined : unit.selectors
      withheld.push({ selectors, problem: withheldUnready(unit) })
    }
    return withheld.sort((a, b) => byPlace(a.problem, b.problem))
  }

  /** Returns whether there was a new one. */
  #noteStaticNames(names: StaticNames): boolean {
    let isNews = false
    for (const [word, added] of Object.entries(names)) {
      const typeUrl = Object.values(resourceTypes).find((type) => type.word === word)?.typeUrl
      if (typeUrl === undefined) continue
      const known = this.#static.get(typeUrl) ?? new Set()
      this.#static.set(typeUrl, known)
      for (const name of added) {
        if (known.has(name)) continue
        known.add(name)
        isNews = true
        for (const key of this.#index.users(typeUrl, name).keys()) this.#touched.add(key)
      }
    }
    return isNews
  }
}
