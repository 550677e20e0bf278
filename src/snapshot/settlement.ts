import { keyOf, type Named } from '../resource/named.ts'
import { areDisjoint, type NodeSelector } from '../resource/node-selector.ts'
import type { Resource } from '../resource/resource.ts'
import type { TypeUrl } from '../resource/type-url.ts'
import { canMeet, coverageOf, isRequired, repeatsWithin } from './consistency.ts'
import { namesOf, selectorsOf, type Unit } from './unit.ts'
import { type Need, namesThatDiffer, needOf, needsOf, type UnitIndex } from './unit-index.ts'

/** A unit whose wanted form is not the one in force. */
export interface Pending {
  readonly key: string
  /** In force before; undefined for a new document. */
  readonly old: Unit | undefined
  /** Wanted; undefined for a deleted document. */
  readonly next: Unit | undefined
}

/** Why a wanted form (of the document `key`) cannot be in force. */
export type Violation =
  /** It names what the nodes of `nodes` do not have. */
  | { readonly kind: 'dangling'; readonly key: string; readonly need: Need; readonly nodes: NodeSelector }
  /** Some node would have the name twice. */
  | { readonly kind: 'duplicate'; readonly key: string; readonly clash: Clash }
  /** It lacks a name that `user`, in force, refers to and that only its old form provides. */
  | { readonly kind: 'needed'; readonly key: string; readonly userKey: string; readonly need: Need }
  /** It lacks what only its old form provides, and what is to provide it instead is not in force. */
  | { readonly kind: 'moved'; readonly key: string; readonly resource: Named; readonly successor: Unit }

export interface Clash {
  readonly resource: Resource
  readonly rivalKey: string
  readonly rival: Resource
}

/**
 * Finds which wanted forms can take effect together (docs/decisions/0005: last good is per document). First all are tried at once,
 * and those that break a rule fall back round by round until none does; as falling back brings old names back, those
 * that fell are then tried again, each with what else it needs. The order of documents never matters to the rounds, and
 * everything costs the pending units and those that share a name with them, not the world.
 */
export class Settlement {
  readonly #index: UnitIndex
  readonly #isStatic: (typeUrl: TypeUrl, name: string) => boolean
  readonly #pending: ReadonlyMap<string, Pending>
  readonly #vetoed: ReadonlySet<string>
  /** Keys whose wanted form is in the index, and on trial. */
  readonly #raised = new Set<string>()
  /** Keys whose wanted form took effect. */
  #settled: ReadonlySet<string> = new Set()
  readonly #claims: ReadonlyMap<string, readonly Pending[]>
  readonly #former: ReadonlyMap<string, readonly Pending[]>

  /**
   * The index holds every pending unit's old form, and is what is in force after `settle`.
   * @param vetoed keys of pending units whose wanted form must not take effect, whatever the rules say
   */
  constructor(
    index: UnitIndex,
    pending: ReadonlyMap<string, Pending>,
    isStatic: (typeUrl: TypeUrl, name: string) => boolean,
    vetoed: ReadonlySet<string> = new Set(),
  ) {
    this.#vetoed = vetoed
    this.#index = index
    // In a fixed order, so that problems name the same documents whatever order they were read in.
    this.#pending = new Map([...pending].sort(([a], [b]) => (a < b ? -1 : 1)))
    this.#isStatic = isStatic
    this.#claims = byName(this.#pending.values(), ({ next }) => next)
    this.#former = byName(this.#pending.values(), ({ old }) => old)
  }

  /** Whether the wanted form of a pending unit took effect. */
  isInForce(key: string): boolean {
    return this.#settled.has(key)
  }

  settle(): void {
    for (const key of this.#pending.keys()) if (!this.#vetoed.has(key)) this.#raise(key)
    let moved: ReadonlySet<string> = new Set(this.#raised)
    while (moved.size > 0) {
      const fallen = new Set<string>()
      for (const violation of this.#violationsAround(moved)) fallen.add(violation.key)
      for (const key of fallen) this.#lower(key)
      moved = fallen
    }
    let hasRisen = true
    while (hasRisen) {
      hasRisen = false
      for (const key of this.#pending.keys()) {
        // Each success may be what another one waited for.
        if (!this.#raised.has(key) && this.#tryWithNeeds(key)) hasRisen = true
      }
    }
    this.#settled = new Set(this.#raised)
    this.#raised.clear()
  }

  /** What keeps the wanted form of a unit that fell back from taking effect. */
  explain(key: string): readonly Violation[] {
    this.#raise(key)
    const violations = [...this.#violationsAround(new Set([key]))].filter((violation) => violation.key === key)
    this.#lower(key)
    return violations
  }

  /** Other documents' resources, in force or wanted, with a name that a node could have from `unit` too. */
  clashesOf(key: string, unit: Unit): readonly Clash[] {
    const clashes: Clash[] = repeatsWithin(unit).map(({ resource, first }) => ({
      resource,
      rivalKey: key,
      rival: first,
    }))
    for (const resource of unit.resources) {
      const rivals = new Set(this.#index.providers(resource.typeUrl, resource.name).values())
      for (const { next } of this.#claims.get(keyOf(resource)) ?? []) if (next !== undefined) rivals.add(next)
      const met = new Set([key])
      for (const rival of rivals) {
        const rivalKey = rival.key
        if (met.has(rivalKey) || !canMeet(unit, rival)) continue
        met.add(rivalKey)
        const other = rival.resources.find((r) => r.typeUrl === resource.typeUrl && r.name === resource.name)
        if (other !== undefined) clashes.push({ resource, rivalKey, rival: other })
      }
    }
    return clashes
  }

  /** Wanted forms that would provide a name and are not in force. */
  claimants(typeUrl: TypeUrl, name: string): readonly Unit[] {
    const claims = this.#claims.get(keyOf({ typeUrl, name })) ?? []
    return claims.flatMap(({ key, next }) => (next === undefined || this.#settled.has(key) ? [] : [next]))
  }

  #raise(key: string): void {
    this.#raised.add(key)
    this.#index.place(key, this.#pending.get(key)?.next)
  }

  #lower(key: string): void {
    this.#raised.delete(key)
    this.#index.place(key, this.#pending.get(key)?.old)
  }

  /** Raises a unit together with whatever else must be raised for it, or changes nothing. */
  #tryWithNeeds(key: string): boolean {
    if (this.#vetoed.has(key)) return false
    const trial = new Set([key])
    this.#raise(key)
    for (;;) {
      const violations = [...this.#violationsAround(trial)]
      if (violations.length === 0) return true
      let hasGrown = false
      for (const remedy of violations.flatMap((violation) => this.#remedies(violation))) {
        if (this.#raised.has(remedy) || this.#vetoed.has(remedy)) continue
        trial.add(remedy)
        this.#raise(remedy)
        hasGrown = true
      }
      if (hasGrown) continue
      for (const member of trial) this.#lower(member)
      return false
    }
  }

  /** Pending units whose wanted form could end a violation. */
  #remedies(violation: Violation): readonly string[] {
    if (violation.kind === 'duplicate') {
      return this.#pending.has(violation.clash.rivalKey) ? [violation.clash.rivalKey] : []
    }
    if (violation.kind === 'moved') return [violation.successor.key]
    const providers = (this.#claims.get(keyOf(violation.need)) ?? []).map(({ key }) => key)
    if (violation.kind === 'dangling') return providers
    return this.#pending.has(violation.userKey) ? [...providers, violation.userKey] : providers
  }

  /** Every broken rule that has to do with a move of `keys` between their forms. */
  *#violationsAround(keys: ReadonlySet<string>): Generator<Violation, void, undefined> {
    for (const key of keys) {
      const unit = this.#index.units.get(key)
      if (unit !== undefined) {
        for (const need of needsOf(unit)) yield* this.#checkNeed(key, unit, need)
        yield* this.#checkNames(key, unit)
      }
      const pending = this.#pending.get(key)
      if (pending !== undefined) yield* this.#checkMoves(pending)
      for (const { typeUrl, name } of namesThatDiffer(pending?.old, pending?.next)) {
        for (const [userKey, user] of this.#index.users(typeUrl, name)) {
          const need = keys.has(userKey) ? undefined : needOf(user, typeUrl, name)
          if (need !== undefined) yield* this.#checkNeed(userKey, user, need)
        }
      }
    }
  }

  *#checkNeed(key: string, unit: Unit, need: Need): Generator<Violation, void, undefined> {
    const { typeUrl, name } = need
    if (this.#isStatic(typeUrl, name)) return
    const coverage = coverageOf(unit, this.#index.providers(typeUrl, name).values())
    if (coverage.kind !== 'missing') return
    if (this.#raised.has(key)) {
      if (isRequired(typeUrl)) yield { kind: 'dangling', key, need, nodes: coverage.nodes }
      return
    }
    for (const provider of this.#former.get(keyOf(need)) ?? []) {
      if (provider.old === undefined || !this.#raised.has(provider.key)) continue
      if (selectorsOf(provider.old).every((selector) => areDisjoint(selector, coverage.nodes))) continue
      yield { kind: 'needed', key: provider.key, userKey: key, need }
    }
  }

  /** What a document no longer holds and another one is to hold must not be lost because that other one has an error. */
  *#checkMoves({ key, old, next }: Pending): Generator<Violation, void, undefined> {
    if (this.#raised.has(key)) {
      if (old === undefined) return
      for (const resource of namesOf(old)) {
        for (const { key: to, next: successor } of this.#claims.get(keyOf(resource)) ?? []) {
          if (successor !== undefined && to !== key) yield* this.#checkMove(key, old, resource, successor)
        }
      }
    } else if (next !== undefined) {
      for (const resource of namesOf(next)) {
        for (const { key: from, old: former } of this.#former.get(keyOf(resource)) ?? []) {
          if (former !== undefined && from !== key) yield* this.#checkMove(from, former, resource, next)
        }
      }
    }
  }

  *#checkMove(key: string, former: Unit, resource: Named, successor: Unit): Generator<Violation, void, undefined> {
    if (!this.#raised.has(key) || this.#raised.has(successor.key) || !canMeet(former, successor)) return
    const providers = this.#index.providers(resource.typeUrl, resource.name).values()
    if (coverageOf(former, providers).kind === 'missing') yield { kind: 'moved', key, resource, successor }
  }

  *#checkNames(key: string, unit: Unit): Generator<Violation, void, undefined> {
    for (const clash of this.clashesOf(key, unit)) {
      if (this.#raised.has(key)) yield { kind: 'duplicate', key, clash }
      if (clash.rivalKey !== key && this.#raised.has(clash.rivalKey)) {
        const mirrored = { resource: clash.rival, rivalKey: key, rival: clash.resource }
        yield { kind: 'duplicate', key: clash.rivalKey, clash: mirrored }
      }
    }
  }
}

function byName(
  pending: Iterable<Pending>,
  formOf: (pending: Pending) => Unit | undefined,
): ReadonlyMap<string, readonly Pending[]> {
  const found = new Map<string, Pending[]>()
  for (const member of pending) {
    const form = formOf(member)
    for (const resource of form === undefined ? [] : namesOf(form)) {
      const others = found.get(keyOf(resource))
      if (others === undefined) found.set(keyOf(resource), [member])
      else others.push(member)
    }
  }
  return found
}
