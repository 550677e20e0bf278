import type { Resource } from '../resource/resource.ts'
import { diffSets, type ResourceSet, unionSets } from '../snapshot/resource-set.ts'

/** A union of sets, with what it was made of. */
export interface Union {
  /** Of one type, the first has the word on a name that several hold. */
  readonly inputs: readonly ResourceSet[]
  readonly result: ResourceSet
  /** Of two of what was given, which stand as one among the inputs: many groups may have the same two. */
  readonly nested?: Union
}

/** What others may add to a shared large set at every change; more than that is followed change by change. */
const smallAddition = 64

/** The union of sets, made from the last union of their earlier forms where that costs less. */
export function buildUnion(inputs: readonly [ResourceSet, ...ResourceSet[]], last: Union | undefined): Union {
  const at = largeNeighbours(inputs)
  if (at === undefined) return unionOf(inputs, last)
  const nested = pairOf(inputs[at] as ResourceSet, inputs[at + 1] as ResourceSet, last?.nested)
  const [first = nested.result, ...others] = inputs.toSpliced(at, 2, nested.result)
  return { ...unionOf([first, ...others], last), nested }
}

/** Of more than two sets the first of two neighbours that are both large, if there are some: the largest of these. */
function largeNeighbours(inputs: readonly ResourceSet[]): number | undefined {
  if (inputs.length < 3) return undefined
  const sizes = inputs.slice(1).map(({ size }, index) => Math.min(size, inputs[index]?.size ?? 0))
  const largest = Math.max(...sizes)
  return largest > smallAddition ? sizes.indexOf(largest) : undefined
}

function unionOf(inputs: readonly [ResourceSet, ...ResourceSet[]], last: Union | undefined): Union {
  if (inputs.length === 1) return { inputs, result: inputs[0] }
  if (last !== undefined && last.inputs.length === inputs.length) {
    if (inputs.every((set, index) => set === last.inputs[index])) return last
    const sizes = inputs.map(({ size }) => size)
    const added = sizes.reduce((sum, size) => sum + size, 0) - Math.max(...sizes)
    if (added > smallAddition) return { inputs, result: follow(inputs, last) }
  }
  const [first, second] = inputs
  return inputs.length === 2 && second !== undefined
    ? pairOf(first, second, undefined)
    : { inputs, result: unionSets(inputs) }
}

const pairs = new WeakMap<ResourceSet, WeakMap<ResourceSet, ResourceSet>>()

/** The union of two, made once: many groups add the same to the same. */
function pairOf(first: ResourceSet, second: ResourceSet, last: Union | undefined): Union {
  const inputs = [first, second]
  const known = pairs.get(first) ?? new WeakMap<ResourceSet, ResourceSet>()
  pairs.set(first, known)
  const union = known.get(second) ?? (last === undefined ? unionSets(inputs) : follow(inputs, last))
  known.set(second, union)
  return { inputs, result: union }
}

function follow(inputs: readonly ResourceSet[], last: Union): ResourceSet {
  const names = new Set<string>()
  for (const [index, set] of inputs.entries()) {
    const { changed, removed } = diffSets(last.inputs[index], set)
    for (const { name } of changed) names.add(name)
    for (const name of removed) names.add(name)
  }
  const changes = new Map<string, Resource | undefined>()
  for (const name of names) changes.set(name, inputs.find((set) => set.get(name) !== undefined)?.get(name))
  return last.result.with(changes)
}
