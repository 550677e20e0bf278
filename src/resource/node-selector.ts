import type { Node } from './node.ts'

/** Selects proxies (docs/config.md, `nodes:`). The keys given must all match; none given matches every node. */
export interface NodeSelector {
  /** Pattern; `*` is any run of characters. */
  readonly cluster?: string
  /** Pattern; `*` is any run of characters. */
  readonly id?: string
  /** A subset of the node's metadata. */
  readonly metadata?: Readonly<Record<string, unknown>>
  /** The region that the node is in. Only of what is generated, as is the next one. */
  readonly region?: string
  /** Regions that the node is in none of; so is one that says no region. */
  readonly notRegions?: readonly string[]
}

/** The canonical text of a selector: equal selectors have equal keys. `{}` selects every node. */
export function selectorKey(selector: NodeSelector): string {
  return JSON.stringify(sortedKeys({ ...selector }))
}

export function matchesNode(selector: NodeSelector, node: Node): boolean {
  return (
    (selector.cluster === undefined || matchesPattern(selector.cluster, node.cluster)) &&
    (selector.id === undefined || matchesPattern(selector.id, node.id)) &&
    (selector.metadata === undefined || isSubset(selector.metadata, node.metadata)) &&
    (selector.region === undefined || selector.region === node.locality?.region) &&
    selector.notRegions?.includes(node.locality?.region ?? '') !== true
  )
}

/** It matches more than the text that it is. */
export function isPattern(text: string): boolean {
  return text.includes('*')
}

/** True only if every node that `narrow` matches is matched by `wide`, provably. */
export function impliesSelector(narrow: NodeSelector, wide: NodeSelector): boolean {
  const impliesPattern = (n: string | undefined, w: string | undefined): boolean =>
    // A pattern's own `*` is only ever consumed by a `*`, so matching the text of `narrow` is sound.
    w === undefined || (n !== undefined && matchesPattern(w, n)) || /^\*+$/.test(w)
  return (
    impliesPattern(narrow.cluster, wide.cluster) &&
    impliesPattern(narrow.id, wide.id) &&
    (wide.metadata === undefined || (narrow.metadata !== undefined && isSubset(wide.metadata, narrow.metadata))) &&
    (wide.region === undefined || wide.region === narrow.region) &&
    (wide.notRegions ?? []).every((region) => isOutside(narrow, region))
  )
}

/** No node that it matches is in the region, provably. */
function isOutside({ region, notRegions }: NodeSelector, other: string): boolean {
  return (region !== undefined && region !== other) || notRegions?.includes(other) === true
}

/** True only if no node can match both, provably. */
export function areDisjoint(a: NodeSelector, b: NodeSelector): boolean {
  const arePatternsDisjoint = (x: string | undefined, y: string | undefined): boolean => {
    if (x === undefined || y === undefined) return false
    if (!isPattern(x)) return !matchesPattern(y, x)
    if (!isPattern(y)) return !matchesPattern(x, y)
    const [xStart, yStart] = [x.slice(0, x.indexOf('*')), y.slice(0, y.indexOf('*'))]
    const [xEnd, yEnd] = [x.slice(x.lastIndexOf('*') + 1), y.slice(y.lastIndexOf('*') + 1)]
    const haveCommonStart = xStart.startsWith(yStart) || yStart.startsWith(xStart)
    const haveCommonEnd = xEnd.endsWith(yEnd) || yEnd.endsWith(xEnd)
    return !haveCommonStart || !haveCommonEnd
  }
  return (
    arePatternsDisjoint(a.cluster, b.cluster) ||
    arePatternsDisjoint(a.id, b.id) ||
    (a.metadata !== undefined && b.metadata !== undefined && contradict(a.metadata, b.metadata)) ||
    (a.region !== undefined && isOutside(b, a.region)) ||
    (b.region !== undefined && isOutside(a, b.region))
  )
}

/** Runs in time linear in both: each literal piece between `*`s is found at its first place after the last. */
function matchesPattern(pattern: string, text: string): boolean {
  const pieces = pattern.split('*')
  const first = pieces[0] as string
  if (pieces.length === 1) return text === pattern
  const last = pieces[pieces.length - 1] as string
  if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false
  let from = first.length
  const end = text.length - last.length
  for (const piece of pieces.slice(1, -1)) {
    const at = text.indexOf(piece, from)
    if (at < 0 || at + piece.length > end) return false
    from = at + piece.length
  }
  return true
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Objects are compared as subsets, everything else must be equal. */
function isSubset(wanted: unknown, actual: unknown): boolean {
  if (isObject(wanted)) {
    return (
      isObject(actual) && Object.entries(wanted).every(([key, value]) => key in actual && isSubset(value, actual[key]))
    )
  }
  if (Array.isArray(wanted)) {
    return (
      Array.isArray(actual) &&
      wanted.length === actual.length &&
      wanted.every((value, index) => isSubset(value, actual[index]) && isSubset(actual[index], value))
    )
  }
  return wanted === actual
}

function contradict(a: unknown, b: unknown): boolean {
  if (isObject(a) && isObject(b)) return Object.keys(a).some((key) => key in b && contradict(a[key], b[key]))
  return !isSubset(a, b) || !isSubset(b, a)
}

function sortedKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortedKeys)
  if (!isObject(value)) return value
  const keys = Object.keys(value).sort()
  return Object.fromEntries(keys.map((key) => [key, sortedKeys(value[key])]))
}
