import type { Resource } from '../resource/resource.ts'
import { diffSets, type ResourceSet, unionSets } from '../snapshot/resource-set.ts'

/** A union of sets, with what it was made of. */
export interface Union {
  /** Of one type, the first has the word on a name that several hold. */
  readonly inputs: readonly ResourceSet[]
  readonly result: ResourceSet
}

/** What others may add to a shared large set at every change; more than that is followed change by change. */
const smallAddition = 64

/** The union of sets, made from the last union of their earlier forms where that costs less. */
export function buildUnion(inputs: readonly [ResourceSet, ...ResourceSet[]], last: Union | undefined): Union {
  if (inputs.length === 1) return { inputs, result: inputs[0] }
  if (last !== undefined && last.inputs.length === inputs.length) {
    if (inputs.every((set, index) => set === last.inputs[index])) return last
    const sizes = inputs.map(({ size }) => size)
    const added = sizes.reduce((sum, size) => sum + size, 0) - Math.max(...sizes)
    if (added > smallAddition) return { inputs, result: follow(inputs, last) }
  }
  const [first, second] = inputs
  return { inputs, result: inputs.length === 2 && second !== undefined ? pairOf(first, second) : unionSets(inputs) }
}

const pairs = new WeakMap<ResourceSet, WeakMap<ResourceSet, ResourceSet>>()

/** The union of two, made once: many groups add the same to the same. */
function pairOf(first: ResourceSet, second: ResourceSet): ResourceSet {
  const known = pairs.get(first) ?? new WeakMap<ResourceSet, ResourceSet>()
  pairs.set(first, known)
  const union = known.get(second) ?? unionSets([first, second])
  known.set(second, union)
  return union
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
