/** One place at which two JSON values differ. */
export interface Difference {
  /** `virtual_hosts[shop].routes[0].timeout`; '' is the whole value. */
  readonly path: string
  /** Absent: there is nothing at this place. */
  readonly before?: unknown
  readonly after?: unknown
}

type JsonObject = Readonly<Record<string, unknown>>

/** By what Envoy's API tells the members of a list apart. */
const nameKeys = ['name', 'cluster_name', 'route_config_name', '@type']

/**
 * Where two JSON values differ, in order of place. Members of lists are told apart by their names where they all have
 * one, so that one that is added in front is one difference; else what is equal at both ends is left out.
 */
export function diffValues(before: unknown, after: unknown, path = ''): readonly Difference[] {
  if (isEqual(before, after)) return []
  if (isObject(before) && isObject(after)) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])]
    return keys.flatMap((key) => diffValues(before[key], after[key], path === '' ? key : `${path}.${key}`))
  }
  if (Array.isArray(before) && Array.isArray(after)) return diffLists(before, after, path)
  return [{ path, ...(before !== undefined && { before }), ...(after !== undefined && { after }) }]
}

function diffLists(before: readonly unknown[], after: readonly unknown[], path: string): readonly Difference[] {
  const key = nameKeys.find((candidate) => isNamedBy(candidate, before) && isNamedBy(candidate, after))
  if (key !== undefined) {
    const [olds, news] = [byName(before, key), byName(after, key)]
    const inPlace = [...new Set([...olds.keys(), ...news.keys()])].flatMap((name) =>
      diffValues(olds.get(name), news.get(name), `${path}[${name}]`),
    )
    // The same members in another order: routes and filters are taken in theirs.
    return inPlace.length > 0
      ? inPlace
      : [{ path: `${path} (order)`, before: [...olds.keys()], after: [...news.keys()] }]
  }
  let start = 0
  while (start < before.length && start < after.length && isEqual(before[start], after[start])) start += 1
  let end = 0
  const shortest = Math.min(before.length, after.length) - start
  while (end < shortest && isEqual(before.at(-1 - end), after.at(-1 - end))) end += 1
  const count = Math.max(before.length, after.length) - start - end
  return Array.from({ length: count }, (_, index) => start + index).flatMap((index) =>
    diffValues(
      index < before.length - end ? before[index] : undefined,
      index < after.length - end ? after[index] : undefined,
      `${path}[${index}]`,
    ),
  )
}

function isNamedBy(key: string, list: readonly unknown[]): boolean {
  const names = list.map((item) => (isObject(item) ? item[key] : undefined))
  return names.every((name) => typeof name === 'string') && new Set(names).size === names.length
}

function byName(list: readonly unknown[], key: string): ReadonlyMap<string, unknown> {
  return new Map((list as readonly JsonObject[]).map((item): [string, unknown] => [String(item[key]), item]))
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Both come from the same writer, so that the same content has its keys in the same order. */
function isEqual(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
