import type { Origin } from '../errors.ts'
import type { Named } from '../resource/named.ts'
import { type NodeSelector, selectorKey } from '../resource/node-selector.ts'
import type { Resource } from '../resource/resource.ts'
import type { Touches } from '../resource/touches.ts'
import { isOwnType } from '../resource/type-url.ts'

/** One document's resources: what takes effect, stays or goes as a whole (docs/decisions/0005: last good is per document). */
export interface Unit {
  readonly key: string
  readonly origin: Origin
  /** Any of them; empty selects every node. */
  readonly selectors: readonly NodeSelector[]
  readonly resources: readonly Resource[]
  /** Names that others may refer to beside those of its resources: what a document of a kind is translated to. */
  readonly declares?: readonly Named[]
  /** Of a document of a kind, whose own selectors do not say whom it is for. */
  readonly touches?: Touches
  /** Of a document that a person wrote. */
  readonly text?: UnitText
}

/** What was written of a unit. */
export interface UnitText {
  /** Equal texts have equal versions. */
  readonly version: string
  /** Undefined where it may not be kept, or was not. */
  readonly content?: string
}

/** It is a document of a kind: never sent to a client, but translated. */
export function isKindUnit(unit: Pick<Unit, 'resources'>): boolean {
  const [first] = unit.resources
  return first !== undefined && isOwnType(first.typeUrl)
}

/** The names that others may refer to while the unit is in force. */
export function namesOf(unit: Pick<Unit, 'resources' | 'declares'>): readonly Named[] {
  const { resources, declares } = unit
  return declares === undefined || declares.length === 0 ? resources : [...resources, ...declares]
}

const everyNode: readonly NodeSelector[] = [{}]

/** The selectors of which any must match; never empty. */
export function selectorsOf(unit: Pick<Unit, 'selectors'>): readonly NodeSelector[] {
  return unit.selectors.length === 0 ? everyNode : unit.selectors
}

/** The canonical keys of a unit's selectors, each once, sorted. */
export function selectorKeysOf(unit: Pick<Unit, 'selectors'>): readonly string[] {
  return [...new Set(selectorsOf(unit).map(selectorKey))].sort()
}

/** Equal content for equal nodes: only origins may differ, and whether the content is at hand. */
export function isSameForm(a: Unit, b: Unit): boolean {
  if (a === b) return true
  if (a.resources.length !== b.resources.length || !haveSameSelectors(a, b)) return false
  const contents = new Set(a.resources.map(contentKey))
  return b.resources.every((resource) => contents.has(contentKey(resource))) && contents.size === a.resources.length
}

export function haveSameSelectors(a: Unit, b: Unit): boolean {
  const [x, y] = [selectorKeysOf(a), selectorKeysOf(b)]
  return x.length === y.length && x.every((key, index) => key === y[index])
}

/** It holds content that the history did not keep and that no client may lack silently: anything but a Secret. */
export function isUnready(unit: Unit, secretTypeUrl: string): boolean {
  return unit.resources.some((resource) => !resource.isReady && resource.typeUrl !== secretTypeUrl)
}

const contentKey = (resource: Resource): string => `${resource.typeUrl}\0${resource.name}\0${resource.version}`
