import type { Origin, Problem } from '../errors.ts'
import { nearestName } from '../resource/json/near-name.ts'
import { keyOf } from '../resource/named.ts'
import type { Node } from '../resource/node.ts'
import { matchesNode, type NodeSelector } from '../resource/node-selector.ts'
import type { Resource } from '../resource/resource.ts'
import type { Touches } from '../resource/touches.ts'
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
      readonly touches?: Touches
    }
  | { readonly kind: 'deleted'; readonly key: string }

/** What follows from some changes. */
export interface WorldStep {
  /** Units that are in force now in another form than before; one that only moved in its file is not among them. */
  readonly upserted: readonly Unit[]
  /** Keys of units that are no longer in force. */
  readonly removed: readonly string[]
  /** Units that are in force in the same form as before and were read anew: from another place, or written otherwise. */
  readonly refreshed: readonly Unit[]
  /** Generated units that are others than before; the cache and the history take them beside those of documents. */
  readonly generated: GeneratedStep
  /** All standing problems of consistency (not only new ones; those of `withheld` are apart), in order of origin. */
  readonly problems: readonly Problem[]
  /** What must not be answered: groups that one of these selectors could touch (undefined: every group), and why. */
  readonly withheld: readonly Withheld[]
}

export interface GeneratedStep {
  readonly upserted: readonly Unit[]
  readonly removed: readonly string[]
}

/** What would be in force if nothing speaks against it. */
export interface Candidate {
  readonly changes: readonly Pending[]
  /** In force before in the same form, and read from another place now. */
  readonly moved: readonly Unit[]
  /** Who would provide and use a name. */
  readonly index: Pick<UnitIndex, 'providers' | 'users'>
  /** It was in force when the server ended: nothing of it can fall back. */
  readonly isRestored: boolean
}

export interface Verdict extends GeneratedStep {
  /** By key: why the changes of these documents may not take effect. Of others, what they are told. */
  readonly vetoes: ReadonlyMap<string, readonly Problem[]>
  /** All that stands if the candidate takes effect, by key of the document; vetoes are apart. */
  readonly problems: ReadonlyMap<string, readonly Problem[]>
  /** The candidate is in force now. Without it, the next is compared with what was before. */
  accept(): void
}

/** Looks at what would follow from some documents (translate/), before they are in force. */
export type Judge = (candidate: Candidate) => Verdict

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
  readonly judge?: Judge
  /** Who is touched, as far as the documents in force tell. Without it, everybody is. */
  readonly nodesOf?: (touches: Touches) => readonly NodeSelector[]
}

/** Every document in force, each in its last good form (docs/decisions/0005). */
export interface World {
  readonly inForce: ReadonlyMap<string, Unit>
  /** What they were translated to, by key. */
  readonly generated: ReadonlyMap<string, Unit>
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
type InvalidForm = Pick<Extract<UnitChange, { kind: 'invalid' }>, 'origin' | 'selectors' | 'touches'>

const nothingGenerated: GeneratedStep = { upserted: [], removed: [] }

/** What could be brought into force, and how it was found. */
interface Trial {
  readonly settlement: Settlement
  readonly taken: readonly Pending[]
}

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
  readonly generated: Map<string, Unit> = new Map()
  readonly #judge: Judge | undefined
  readonly #nodesOf: WorldOptions['nodesOf']
  /** Read from another place since the judge looked last. */
  readonly #moved = new Map<string, Unit>()
  /** What the judge said against changes, or of them, at the last step. */
  #vetoes: ReadonlyMap<string, readonly Problem[]> = new Map()
  #verdictProblems: ReadonlyMap<string, readonly Problem[]> = new Map()
  readonly #problemsByKey = new Map<string, readonly Problem[]>()
  #problems: readonly Problem[] | undefined = []
  readonly #nearest = new WeakMap<Need, { readonly name: string | undefined }>()
  #searches = 0

  constructor(options: WorldOptions) {
    this.#allowPartial = options.allowPartial
    this.#judge = options.judge
    this.#nodesOf = options.nodesOf
    this.#noteStaticNames(options.staticNames)
    for (const unit of options.restored ?? []) {
      this.#index.place(unit.key, unit)
      this.#touched.add(unit.key)
      if (isUnready(unit, secretTypeUrl)) this.#unready.add(unit.key)
    }
    const restored = [...this.#index.units.values()].map((unit) => ({ key: unit.key, old: undefined, next: unit }))
    if (restored.length > 0) this.#accept(this.#ask(restored, true))
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
    const refreshed: Unit[] = []
    for (const change of changes) {
      const completed = this.#note(change)
      if (completed !== undefined) upserted.set(completed.key, completed)
      else if (change.kind === 'valid' && this.inForce.get(change.unit.key) === change.unit) refreshed.push(change.unit)
    }
    const step = this.#settle(upserted)
    if (isFirst && !this.#allowPartial) {
      for (const key of [...this.#invalid.keys(), ...this.#pending.keys()]) {
        if (!this.inForce.has(key)) this.#withoutForm.add(key)
      }
    }
    return { ...step, refreshed, withheld: this.#withheld() }
  }

  addStaticNames(names: StaticNames): WorldStep {
    const isNews = this.#noteStaticNames(names)
    const nothing = { upserted: [], removed: [], generated: nothingGenerated, problems: this.#allProblems() }
    return { ...(isNews ? this.#settle(new Map()) : nothing), refreshed: [], withheld: this.#withheld() }
  }

  /** Returns the unit when it is in force at once: the form in force, read anew, with content that was not at hand. */
  #note(change: UnitChange): Unit | undefined {
    const key = change.kind === 'valid' ? change.unit.key : change.key
    const old = this.inForce.get(key)
    this.#touchRivals(this.#pending.get(key)?.next)
    this.#touched.add(key)
    this.#pending.delete(key)
    this.#invalid.delete(key)
    if (this.#verdictProblems.has(key)) this.#problems = undefined
    if (change.kind === 'invalid') {
      const { origin, selectors, touches } = change
      this.#invalid.set(key, { origin, selectors, ...(touches !== undefined && { touches }) })
    } else if (change.kind === 'deleted') {
      if (old !== undefined) this.#pending.set(key, { key, old, next: undefined })
    } else if (old !== undefined && isSameForm(old, change.unit)) {
      this.#index.place(key, change.unit)
      if (this.#judge !== undefined) this.#moved.set(key, change.unit)
      const wasReady = old.resources.every((resource) => resource.isReady)
      return wasReady ? undefined : change.unit
    } else {
      this.#pending.set(key, { key, old, next: change.unit })
    }
    return undefined
  }

  /** Brings into force what can be. `upserted`: what already is. */
  #settle(upserted: Map<string, Unit>): Omit<WorldStep, 'withheld' | 'refreshed'> {
    const vetoes = new Map<string, readonly Problem[]>()
    let trial = this.#try(vetoes)
    let verdict = this.#judged(trial, () => this.#ask(trial.taken))
    // Each round takes away one change at least.
    while (this.#noteVetoes(verdict, trial, vetoes)) {
      this.#takeBack(trial)
      trial = this.#try(vetoes)
      // Also where nothing is left, so that the judge forgets what it looked at.
      verdict = this.#judged(trial, () => this.#judge?.(this.#candidate(trial.taken)))
    }
    const removed: string[] = []
    for (const { key, next } of trial.taken) {
      this.#pending.delete(key)
      if (next === undefined) removed.push(key)
      else upserted.set(key, next)
    }
    const generated = this.#accept(verdict)
    for (const key of [...this.#vetoes.keys(), ...vetoes.keys()]) this.#touched.add(key)
    this.#vetoes = vetoes
    for (const key of this.#touched) this.#setProblems(key, this.#problemsOf(key, trial.settlement))
    this.#touched.clear()
    return { upserted: [...upserted.values()], removed, generated, problems: this.#allProblems() }
  }

  /** A judge that fails leaves everything as it was: what is pending is tried again at the next change. */
  #judged(trial: Trial, ask: () => Verdict | undefined): Verdict | undefined {
    try {
      return ask()
    } catch (error) {
      this.#takeBack(trial)
      throw error
    }
  }

  #takeBack({ taken }: Trial): void {
    for (const { key, old } of taken) this.#index.place(key, old)
  }

  /** Puts into the index what can be in force together, but for what was vetoed. */
  #try(vetoes: ReadonlyMap<string, unknown>): Trial {
    const isStatic = (typeUrl: TypeUrl, name: string): boolean => this.#static.get(typeUrl)?.has(name) ?? false
    const vetoed = new Set(vetoes.keys())
    const pending = new Map(this.#pending)
    const taken: Pending[] = []
    this.#searches = 0
    // What took effect may make room for what did not, so that the end is where a check of everything would end.
    for (;;) {
      const settlement = new Settlement(this.#index, pending, isStatic, vetoed)
      settlement.settle()
      const before = taken.length
      for (const one of pending.values()) {
        this.#touched.add(one.key)
        this.#touchUsers(one.old, one.next)
        this.#touchRivals(one.old)
        this.#touchRivals(one.next)
        if (!settlement.isInForce(one.key)) continue
        pending.delete(one.key)
        taken.push(one)
      }
      if (taken.length === before) return { settlement, taken }
    }
  }

  #ask(changes: readonly Pending[], isRestored = false): Verdict | undefined {
    const isNothing = changes.length === 0 && this.#moved.size === 0
    return isNothing ? undefined : this.#judge?.(this.#candidate(changes, isRestored))
  }

  #candidate(changes: readonly Pending[], isRestored = false): Candidate {
    return { changes, moved: [...this.#moved.values()], index: this.#index, isRestored }
  }

  /** Returns whether some change that was to take effect may not. */
  #noteVetoes(verdict: Verdict | undefined, { taken }: Trial, vetoes: Map<string, readonly Problem[]>): boolean {
    const changing = new Set(taken.map(({ key }) => key))
    let isVetoed = false
    for (const [key, problems] of verdict?.vetoes ?? []) {
      const said = vetoes.get(key) ?? []
      const news = problems.filter(({ message }) => said.every((problem) => problem.message !== message))
      vetoes.set(key, [...said, ...news])
      if (changing.has(key)) isVetoed = true
    }
    return isVetoed
  }

  #accept(verdict: Verdict | undefined): GeneratedStep {
    if (verdict === undefined) return nothingGenerated
    verdict.accept()
    this.#moved.clear()
    for (const key of verdict.removed) this.generated.delete(key)
    for (const unit of verdict.upserted) this.generated.set(unit.key, unit)
    if (verdict.problems !== this.#verdictProblems) {
      this.#verdictProblems = verdict.problems
      this.#problems = undefined
    }
    return { upserted: verdict.upserted, removed: verdict.removed }
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
    const vetoes = this.#vetoes.get(key) ?? []
    // The rules had let it through: what they say against it now follows from the veto.
    if (pending !== undefined) return vetoes.length > 0 ? vetoes : this.#problemsOfPending(pending, settlement)
    const unit = this.inForce.get(key)
    // The text that the form in force came from is gone; config/ tells what is wrong with the one there is.
    if (unit === undefined || this.#invalid.has(key)) return []
    return [...this.#problemsOfNeeds(unit, settlement), ...duplicates(settlement.clashesOf(key, unit)), ...vetoes]
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
    this.#problems ??= [...[...this.#problemsByKey.values()].flat(), ...this.#judgedProblems()].sort(byPlace)
    return this.#problems
  }

  /** Of a document whose newest text is not in force, what follows from the form before is nobody's to mend. */
  #judgedProblems(): readonly Problem[] {
    const isAsRead = (key: string): boolean => !this.#invalid.has(key) && !this.#pending.has(key)
    return [...this.#verdictProblems].flatMap(([key, problems]) => (isAsRead(key) ? problems : []))
  }

  #withheld(): readonly Withheld[] {
    const withheld: Withheld[] = []
    for (const key of this.#withoutForm) {
      const form = this.#invalid.get(key) ?? this.#pending.get(key)?.next
      if (form === undefined || this.inForce.has(key)) {
        this.#withoutForm.delete(key)
        continue
      }
      const selectors = this.#concerned(form)
      // A Route for a Gateway that there is not concerns nobody yet.
      if (selectors?.length === 0) continue
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

  /** Undefined: anybody. */
  #concerned({ selectors, touches }: Pick<InvalidForm, 'selectors' | 'touches'>): readonly NodeSelector[] | undefined {
    if (touches === undefined) return selectors?.length === 0 ? undefined : selectors
    return this.#nodesOf?.(touches)
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
