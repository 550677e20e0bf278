import { isDeepStrictEqual } from 'node:util'
import { formOfResource } from '../config/kinds/form-of-resource.ts'
import { type KindDocument, kindOf } from '../config/kinds/kind-document.ts'
import type { Kind } from '../config/kinds/kind-form.ts'
import { noPlaces } from '../config/kinds/places.ts'
import { contentIn, type SecretContent } from '../config/kinds/secret-content.ts'
import { formatOrigin, type Origin, type Problem } from '../errors.ts'
import type { EnvoyApi } from '../resource/envoy-api.ts'
import { generatedKey, ownerKey } from '../resource/generated-key.ts'
import { keyOf } from '../resource/named.ts'
import type { NodeSelector } from '../resource/node-selector.ts'
import type { Resource } from '../resource/resource.ts'
import type { Touches } from '../resource/touches.ts'
import { isOwnType, wordOf } from '../resource/type-url.ts'
import type { PlacedProblem } from './build-generated.ts'
import { Cells, type Changed, type Rule } from './cells.ts'
import { Journal } from './journal.ts'
import { selectorsOfNodes } from './model/audience.ts'
import { Blame, type Charge, type Told } from './model/blame.ts'
import {
  type Built,
  type GeneratedClash,
  type GeneratedUnit,
  isSameUnit,
  kindAndName,
  type MeshRules,
  meshRules,
  type OnBuilt,
  type OnFailure,
  ownerOf,
  rawProviders,
  rawUsers,
  secretContent,
  sharedOutboundKey,
  type WorldIndex,
  type WorldUnit,
} from './model/rules.ts'
import { losesWays, waysInto } from './secret/ways-in.ts'

export type { GeneratedUnit } from './model/rules.ts'

/** What would be in force if nothing speaks against it. */
export interface MeshChange {
  readonly changes: readonly {
    readonly key: string
    readonly old: WorldUnit | undefined
    readonly next: WorldUnit | undefined
  }[]
  /** The same as before, read from another place. */
  readonly moved: readonly WorldUnit[]
  readonly index: WorldIndex
  /** Nothing of it can fall back. */
  readonly isRestored: boolean
}

/** What follows from a change; nothing of it holds until `accept`. */
export interface MeshTrial {
  readonly upserted: readonly GeneratedUnit[]
  readonly removed: readonly string[]
  /** By key of the document: why its change may not take effect; of one that does not change, what it is told of that. */
  readonly vetoes: ReadonlyMap<string, readonly Problem[]>
  /** By key of the document: what stands if the change takes effect. The same object as long as it is the same. */
  readonly problems: ReadonlyMap<string, readonly Problem[]>
  accept(): void
}

/** What the documents in force are translated to, kept up to date change by change. */
export interface Mesh {
  /** As of the last trial that was accepted. */
  readonly inForce: ReadonlyMap<string, GeneratedUnit>
  /** What would follow from a change; a trial that was not accepted before is forgotten. */
  try(change: MeshChange): MeshTrial
  /** Where what a generated resource was made of stands now; undefined for one that is none, or is not in force. */
  originOf(resource: Pick<Resource, 'typeUrl' | 'name' | 'version'>): Origin | undefined
  /** The proxies that a document of a kind could concern, as far as the documents in force tell. */
  nodesOf(touches: Touches): readonly NodeSelector[]
}

/**
 * @param last what was generated when the server ended: it stays where a document's last good form can no longer be
 *   translated, as after an upgrade
 */
export function createMesh(
  api: EnvoyApi,
  last: Iterable<GeneratedUnit> = [],
  onFailure: OnFailure = () => {},
  onBuilt?: OnBuilt,
): Mesh {
  return new IncrementalMesh(api, last, onFailure, onBuilt)
}

const emptyIndex: WorldIndex = { providers: () => new Map(), users: () => new Map() }

/** A document of a kind, and the version of the resource that it is in the world. */
interface Held {
  readonly kind: Kind
  readonly name: string
  readonly version: string
  readonly document: KindDocument
  /** Of a Secret. */
  readonly content?: SecretContent
}

class IncrementalMesh implements Mesh {
  readonly #api: EnvoyApi
  readonly #cells = new Cells()
  readonly #journal = new Journal()
  readonly #rules: MeshRules
  /** Documents of kinds, by key. */
  readonly #documents = new Map<string, Held>()
  readonly #inForce = new Map<string, GeneratedUnit>()
  /** The units of one document, by the key that they have in common. */
  readonly #published = new Map<string, readonly GeneratedUnit[]>()
  /** The key of the units that hold a resource, by the resource's. */
  readonly #holders = new Map<string, string>()
  readonly #last: ReadonlyMap<string, readonly GeneratedUnit[]>
  /** What stands, by the rule and key of the cell that it was found in. */
  readonly #standing = new Map<string, readonly Told[]>()
  #problems: ReadonlyMap<string, readonly Problem[]> = new Map()
  #index: WorldIndex = emptyIndex
  #isOpen = false

  constructor(api: EnvoyApi, last: Iterable<GeneratedUnit>, onFailure: OnFailure, onBuilt?: OnBuilt) {
    this.#api = api
    this.#rules = meshRules(
      api,
      () => this.#index,
      onFailure,
      (key) => this.#last.get(key) ?? [],
      onBuilt,
    )
    this.#last = byOwner(last)
    // What no document has for itself is there always, and nothing as long as nobody takes part in it.
    const { units, clashes } = this.#rules
    this.#cells.keep(units, sharedOutboundKey)
    this.#cells.keep(clashes, sharedOutboundKey)
    this.#cells.update()
    this.#cells.commit()
  }

  get inForce(): ReadonlyMap<string, GeneratedUnit> {
    return this.#inForce
  }

  try(change: MeshChange): MeshTrial {
    if (this.#isOpen) {
      this.#cells.rollback()
      this.#journal.rollback()
    }
    this.#isOpen = true
    this.#index = change.index
    for (const { old, next } of change.changes) {
      this.#noteRaw(old)
      this.#noteRaw(next)
    }
    const gone = this.#noteKinds(change)
    const changed = this.#cells.update()
    const blame = new Blame(change, (cell) => this.#cells.sourcesOf(cell.rule, cell.key))
    for (const cell of changed) this.#judge(cell, blame)
    const { upserted, removed } = this.#publish([...changed.flatMap(unitKeysOf), ...gone])
    const isSilent = this.#standing.size === 0 && this.#problems.size === 0
    const problems = isSilent ? this.#problems : this.#tellStanding()
    return {
      upserted,
      removed,
      vetoes: new Map([...blame.vetoes].map(([key, told]) => [key, told.map((one) => this.#tell(one))])),
      problems,
      accept: () => {
        this.#isOpen = false
        this.#problems = problems
        this.#cells.commit()
        this.#journal.commit()
      },
    }
  }

  originOf({ typeUrl, name, version }: Pick<Resource, 'typeUrl' | 'name' | 'version'>): Origin | undefined {
    const holder = this.#holders.get(keyOf({ typeUrl, name }))
    if (holder === undefined) return undefined
    const isInForce = this.#published
      .get(holder)
      ?.some(({ resources }) => resources.some((one) => one.version === version && one.name === name))
    return isInForce === true ? this.#ownerOf(holder)?.origin : undefined
  }

  nodesOf(touches: Touches): readonly NodeSelector[] {
    if (touches !== 'proxies' && 'nodes' in touches) return selectorsOfNodes(touches.nodes)
    const isTouched = (name: string): boolean => touches === 'proxies' || touches.gateways.includes(name)
    return [...this.#documents.values()].flatMap(({ document: { form } }) => {
      if (form.kind === 'Sidecar') return touches === 'proxies' ? selectorsOfNodes(form.nodes) : []
      return form.kind === 'Gateway' && isTouched(form.name) ? selectorsOfNodes(form.nodes) : []
    })
  }

  /** A raw document, which could use, or be in the way of, what is generated. */
  #noteRaw(unit: WorldUnit | undefined): void {
    if (unit === undefined || isKind(unit)) return
    for (const resource of unit.resources) {
      this.#cells.touch(rawProviders, keyOf(resource))
      for (const reference of resource.references) this.#cells.touch(rawUsers, keyOf(reference))
    }
  }

  /** Returns the keys of the units whose documents are gone. */
  #noteKinds({ changes, moved }: MeshChange): readonly string[] {
    const before = changes.flatMap(({ old }) => this.#held(old) ?? [])
    const readAgain = moved.flatMap((unit) => this.#held(unit) ?? [])
    const isKnown = ({ document: { key } }: Held): boolean => this.#documents.has(key)
    // One that the history could not keep is new when it is at hand, though it was in force.
    const after = [
      ...changes.flatMap(({ next }) => this.#held(next) ?? []),
      ...readAgain.filter((held) => !isKnown(held)),
    ]
    const kept = new Set(after.map(idOf))
    for (const held of before) {
      this.#journal.delete(this.#documents, held.document.key)
      if (kept.has(idOf(held))) continue
      for (const [rule, key] of cellsOf(this.#rules, held)) {
        this.#cells.drop(rule, key)
        this.#journal.delete(this.#standing, cellId(rule, key))
      }
      this.#cells.set(held.kind, held.name, undefined)
      if (held.kind === 'Secret') this.#cells.set(secretContent, held.name, undefined)
    }
    for (const held of after) {
      this.#journal.set(this.#documents, held.document.key, held)
      for (const [rule, key] of cellsOf(this.#rules, held)) this.#cells.keep(rule, key)
      this.#cells.set(held.kind, held.name, held.document)
      if (held.kind === 'Secret') this.#cells.set(secretContent, held.name, held.content)
    }
    for (const held of readAgain.filter((one) => !after.includes(one))) {
      this.#journal.set(this.#documents, held.document.key, held)
      this.#cells.replace(held.kind, held.name, held.document)
      // Read again, it is at hand, which it may not have been.
      if (held.kind === 'Secret') this.#cells.set(secretContent, held.name, held.content)
    }
    return before.filter((held) => !kept.has(idOf(held))).map(({ kind, name }) => generatedKey(kind, name))
  }

  /** The document that a unit of a kind is; undefined for a raw one. */
  #held(unit: WorldUnit | undefined): Held | undefined {
    const [resource] = unit?.resources ?? []
    if (unit === undefined || resource === undefined || !isKind(unit) || !resource.isReady) return undefined
    const { key, origin } = unit
    const read = kindOf(resource)
    // One that the history restored was not read in this run.
    const form = read === undefined ? formOfResource(this.#api, resource) : read.form
    if (form === undefined) return undefined
    const document: KindDocument = { key, origin, form, places: read?.places ?? noPlaces }
    const content = form.kind === 'Secret' ? contentIn(this.#api, unit.resources) : undefined
    return { kind: form.kind, name: resource.name, version: resource.version, document, ...(content && { content }) }
  }

  /** What is wrong in a cell is told to the changes that brought it, which fall back; or else it stands. */
  #judge(cell: Changed, blame: Blame): void {
    const { rule, key } = cell
    const id = cellId(rule, key)
    const told = this.#toldBy(rule, key)
    const losses = this.#closesWhatIsServed(cell) ? lossesAmong(told, this.#standing.get(id) ?? []) : []
    const standing = told.flatMap((charge) => {
      const brought = losses.includes(charge) ? asLoss(charge) : charge
      const isBlamed = brought.told.some(isToldError) && blame.put(cell, brought)
      return isBlamed ? [] : charge.told
    })
    if (standing.length > 0) this.#journal.set(this.#standing, id, standing)
    else this.#journal.delete(this.#standing, id)
  }

  /** For want of a Secret: what nobody was served by may wait for it, and what somebody is served by may not be lost. */
  #closesWhatIsServed(cell: Changed): boolean {
    const { service, proxy } = this.#rules
    const { rule, key } = cell
    if (rule !== service && rule !== proxy) return false
    const built = this.#cells.value(rule as Rule<Built>, key)
    if (built === undefined || built.closed.length === 0) return false
    const [unitKey = ''] = unitKeysOf(cell)
    const served = (this.#published.get(unitKey) ?? []).flatMap(({ resources }) => resources)
    const { open } = waysInto(
      this.#api,
      [built, ...built.parts].flatMap(({ resources }) => resources),
    )
    return losesWays(waysInto(this.#api, served), { open, closed: built.closed })
  }

  #toldBy(rule: Rule<unknown>, key: string): readonly Charge[] {
    const { service, proxy, patchTarget, attachment, addressConflicts, clashes } = this.#rules
    if (rule === service || rule === proxy) {
      const built = this.#cells.value(rule as Rule<Built>, key)
      return (built?.problems ?? []).map(chargeOf)
    }
    if (rule === patchTarget) return (this.#cells.value(patchTarget, key) ?? []).map(chargeOfOwn)
    if (rule === addressConflicts) return (this.#cells.value(addressConflicts, key) ?? []).map(chargeOf)
    if (rule === attachment) return (this.#cells.value(attachment, key) ?? []).map(chargeOf)
    if (rule === clashes) return (this.#cells.value(clashes, key) ?? []).map((clash) => this.#chargeOfClash(key, clash))
    return []
  }

  /** Two documents that become one resource are both told, and fall back both if both are new: neither has the older right. */
  #chargeOfClash(unitKey: string, { resource, rivalKey, rival }: GeneratedClash): Charge {
    const owner = this.#ownerOf(unitKey)
    const label = `${wordOf(resource.typeUrl)} "${resource.name}"`
    const fix = 'Rename or remove one of them; to change a generated resource, write a Patch.'
    const ownerKey = owner?.key ?? rivalKey
    const what = owner === undefined ? 'a document' : `the ${owner.form.kind} ${owner.form.name}`
    const generated: PlacedProblem = {
      severity: 'error',
      code: 'duplicate',
      at: { key: ownerKey, path: '' },
      message: `${label}, which this becomes, is also defined in ${formatOrigin(rival.origin)}, and some node would get both.`,
      fix,
    }
    const place = owner === undefined ? '' : ` in ${formatOrigin(owner.origin)}`
    const raw: Problem = {
      severity: 'error',
      code: 'duplicate',
      origin: rival.origin,
      path: '',
      message: `${label} is also what ${what}${place} becomes, and some node would get both.`,
      fix,
    }
    const built = this.#builtOf(unitKey)?.documents.get(keyOf(resource)) ?? []
    return {
      documents: [rivalKey, ...built],
      told: [
        { key: ownerKey, problem: generated },
        { key: rivalKey, problem: raw },
      ],
    }
  }

  /** What of some units is another now than what is in force. */
  #publish(keys: Iterable<string>): {
    readonly upserted: readonly GeneratedUnit[]
    readonly removed: readonly string[]
  } {
    const upserted: GeneratedUnit[] = []
    const removed: string[] = []
    for (const key of new Set(keys)) {
      const before = this.#published.get(key) ?? []
      const after = this.#unitsOf(key)
      if (before === after || before.length + after.length === 0) continue
      if (after.length === 0) this.#journal.delete(this.#published, key)
      else this.#journal.set(this.#published, key, after)
      for (const resource of before.flatMap(({ resources }) => resources)) {
        if (this.#holders.get(keyOf(resource)) === key) this.#journal.delete(this.#holders, keyOf(resource))
      }
      for (const resource of after.flatMap(({ resources }) => resources)) {
        this.#journal.set(this.#holders, keyOf(resource), key)
      }
      const kept = new Set(after.map((unit) => unit.key))
      for (const unit of before) {
        if (kept.has(unit.key)) continue
        this.#journal.delete(this.#inForce, unit.key)
        removed.push(unit.key)
      }
      for (const unit of after) {
        const known = this.#inForce.get(unit.key)
        if (known !== undefined && isSameUnit(unit, known) && isDeepStrictEqual(unit.origin, known.origin)) continue
        this.#journal.set(this.#inForce, unit.key, unit)
        upserted.push(unit)
      }
    }
    return { upserted, removed }
  }

  /** What cannot be translated any more, by nobody's change, stays as it was last. */
  #unitsOf(key: string): readonly GeneratedUnit[] {
    if (this.#builtOf(key)?.problems.some(({ severity }) => severity === 'error') === true)
      return this.#published.get(key) ?? this.#last.get(key) ?? []
    return this.#cells.value(this.#rules.units, key) ?? []
  }

  #builtOf(unitKey: string): Built | undefined {
    const [kind, name] = ownerOf(unitKey)
    if (kind === 'Service') return this.#cells.value(this.#rules.service, name)
    return this.#cells.value(this.#rules.proxy, `${kind}/${name}`)
  }

  /** Of what nobody has for itself, the document that it is told at. */
  #ownerOf(unitKey: string): KindDocument | undefined {
    if (unitKey === sharedOutboundKey) return this.#cells.value(this.#rules.anchor, '')
    return this.#cells.peek(...ownerOf(unitKey)) as KindDocument | undefined
  }

  #tellStanding(): ReadonlyMap<string, readonly Problem[]> {
    const problems = new Map<string, Problem[]>()
    for (const told of [...this.#standing.values()].flat()) {
      const list = problems.get(told.key) ?? []
      const problem = this.#tell(told)
      // What is wrong with a Route is found for each proxy that has it.
      if (!list.some((one) => isDeepStrictEqual(one, problem))) list.push(problem)
      problems.set(told.key, list)
    }
    return problems
  }

  /** At the line where it stands now. */
  #tell({ problem }: Told): Problem {
    if ('origin' in problem) return problem
    const { severity, code, at, message, fix } = problem
    const document = this.#documents.get(at.key)?.document
    const place = document?.places.at(at.path)
    const origin = document?.origin ?? { name: at.key }
    const line = place && { line: place.line, column: place.column }
    return { severity, code, origin: { ...origin, ...line }, path: place?.path ?? at.path, message, fix }
  }
}

/** The cells that are there because a document is. */
function cellsOf(rules: MeshRules, { kind, name }: Held): readonly (readonly [Rule<unknown>, string])[] {
  const { service, serviceHosts, instance, route, fallbackMembers, meshRoute, proxy, gatewayName, sidecarKind } = rules
  const { patch, patchTarget, attachment, bound, addressConflicts, units, clashes } = rules
  const key = generatedKey(kind, name)
  const cells: Partial<Record<Kind, readonly (readonly [{ readonly name: string }, string])[]>> = {
    Service: [
      [clashes, key],
      [units, key],
      [service, name],
      [serviceHosts, name],
    ],
    Instance: [[instance, name]],
    Route: [
      [attachment, name],
      [route, name],
      [fallbackMembers, name],
      [meshRoute, name],
    ],
    Gateway: [
      [clashes, key],
      [units, key],
      [proxy, `${kind}/${name}`],
      [gatewayName, name],
      [addressConflicts, `${kind}/${name}`],
      [bound, `${kind}/${name}`],
    ],
    Sidecar: [
      [clashes, key],
      [units, key],
      [proxy, `${kind}/${name}`],
      [sidecarKind, name],
      [addressConflicts, `${kind}/${name}`],
      [bound, `${kind}/${name}`],
    ],
    Mesh: [
      [clashes, key],
      [units, key],
      [proxy, `${kind}/${name}`],
    ],
    Secret: [
      [clashes, key],
      [units, key],
      [proxy, `${kind}/${name}`],
    ],
    Patch: [
      [patchTarget, name],
      [patch, name],
    ],
  }
  return (cells[kind] ?? []) as readonly (readonly [Rule<unknown>, string])[]
}

/** The units whose publication a cell has to do with. */
function unitKeysOf({ rule, key }: Changed): readonly string[] {
  if (rule.name === 'units') return [key]
  if (rule.name === 'service') return [generatedKey('Service', key)]
  return rule.name === 'proxy' ? [generatedKey(...kindAndName(key))] : []
}

/** By the key that the units of one document have in common. */
function byOwner(units: Iterable<GeneratedUnit>): ReadonlyMap<string, readonly GeneratedUnit[]> {
  const found = new Map<string, GeneratedUnit[]>()
  for (const unit of units) {
    const key = ownerKey(unit.key)
    found.set(key, [...(found.get(key) ?? []), unit])
  }
  return found
}

function chargeOf(problem: PlacedProblem): Charge {
  return { documents: [problem.at.key], told: [{ key: problem.at.key, problem }] }
}

/** What others do cannot make it their fault: a Patch does not keep its target alive. */
function chargeOfOwn(problem: PlacedProblem): Charge {
  return { ...chargeOf(problem), isOwn: true }
}

/** What is told of Secrets that are waited for, and was not before; all of it, where that does not tell them apart. */
function lossesAmong(charges: readonly Charge[], before: readonly Told[]): readonly Charge[] {
  const known = new Set(before.map(({ problem }) => problem.message))
  const waits = charges.filter(({ told }) => told.some(({ problem }) => problem.code === 'withheld'))
  const news = waits.filter(({ told }) => told.some(({ problem }) => !known.has(problem.message)))
  return news.length > 0 ? news : waits
}

/** What would wait for a Secret if it were new takes away what is served: that change waits instead. */
function asLoss(charge: Charge): Charge {
  const fix = 'Mend the files, as their own problem says: this takes effect by itself then.'
  const told = charge.told.map(({ key, problem }): Told => {
    const message = `${problem.message} What is served now stays as it is.`
    return { key, problem: { ...problem, severity: 'error', code: 'file', message, fix } }
  })
  return { ...charge, told }
}

const isToldError = ({ problem }: Told): boolean => problem.severity === 'error'

const isKind = ({ resources: [first] }: WorldUnit): boolean => first !== undefined && isOwnType(first.typeUrl)

const idOf = ({ kind, name }: Held): string => `${kind}\0${name}`

const cellId = (rule: Pick<Rule<unknown>, 'name'>, key: string): string => `${rule.name}\0${key}`
