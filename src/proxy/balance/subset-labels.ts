import type { ClusterHost } from '../cluster/cluster-host.ts'
import type { Json, JsonObject } from '../config/field-reader.ts'

/** Names and values, by their names in order. */
export type Labels = readonly (readonly [name: string, value: Json])[]

export function labelsOf(values: Readonly<Record<string, Json>>): Labels {
  return Object.entries(values).toSorted(([one], [other]) => (one < other ? -1 : 1))
}

/** Equal for equal labels, and for no others. */
export function labelKey(labels: Labels): string {
  return JSON.stringify(labels.map(([name, value]) => [name, inOrder(value)]))
}

/** Members by their names, for their order means nothing. */
function inOrder(value: Json): Json {
  if (Array.isArray(value)) return value.map(inOrder)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(labelsOf(value as JsonObject).map(([name, member]) => [name, inOrder(member)]))
}

/**
 * The labels by which a host is in a subset of those keys: none where it lacks one of them, and several where a list
 * stands for each of its members.
 */
export function subsetsOf(host: ClusterHost, keys: readonly string[], listsAsAny: boolean): readonly Labels[] {
  const own = host.metadata['envoy.lb']
  if (own === undefined) return []
  let found: Labels[] = [[]]
  for (const key of keys) {
    const value = own[key]
    if (value === undefined) return []
    const values: readonly Json[] = listsAsAny && Array.isArray(value) ? (value as readonly Json[]) : [value]
    found = found.flatMap((labels) => values.map((one): Labels => [...labels, [key, one]]))
  }
  return keys.length === 0 ? [] : found
}

export function hasLabels(host: ClusterHost, wanted: JsonObject, listsAsAny: boolean): boolean {
  const own = host.metadata['envoy.lb'] ?? {}
  return Object.entries(wanted).every(([name, value]) => {
    const there = own[name]
    if (there === undefined) return false
    const key = labelKey([[name, value]])
    const values: readonly Json[] = listsAsAny && Array.isArray(there) ? (there as readonly Json[]) : [there]
    return values.some((one) => labelKey([[name, one]]) === key)
  })
}
