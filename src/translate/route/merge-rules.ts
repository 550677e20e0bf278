import type { KindDocument } from '../../config/kinds/kind-document.ts'
import type { Match, RouteForm, Rule } from '../../config/kinds/route-form.ts'

/** A rule, and which of which Route it is. */
export interface PlacedRule {
  readonly route: KindDocument<RouteForm>
  readonly rule: Rule
  readonly index: number
}

/**
 * The rules of all Routes of one host in the order in which they are asked (MODEL.md): each Route's as it wrote them, and
 * of the first rules that are left of each Route, the most specific goes next. So the order of files never matters.
 */
export function mergeRules(routes: readonly KindDocument<RouteForm>[]): readonly PlacedRule[] {
  const queues = routes
    .toSorted((a, b) => (a.form.name < b.form.name ? -1 : 1))
    .map((route) => route.form.rules.map((rule, index): PlacedRule => ({ route, rule, index })))
  const merged: PlacedRule[] = []
  for (;;) {
    let best: PlacedRule[] | undefined
    for (const queue of queues) {
      const [head] = queue
      const [leader] = best ?? []
      if (head !== undefined && (leader === undefined || isBefore(head.rule, leader.rule))) best = queue
    }
    const next = best?.shift()
    if (next === undefined) return merged
    merged.push(next)
  }
}

/** It is strictly more specific, by the order of the Gateway API. */
function isBefore(a: Rule, b: Rule): boolean {
  const [x, y] = [rankOf(a), rankOf(b)]
  const at = x.findIndex((value, index) => value !== y[index])
  return at >= 0 && (x[at] as number) > (y[at] as number)
}

/** Larger is more specific: of a rule with several matches, the least specific of them. */
function rankOf({ match }: Rule): readonly number[] {
  if (match.length === 0) return rankOfMatch({})
  return match.map(rankOfMatch).reduce((a, b) => (compare(a, b) <= 0 ? a : b))
}

function rankOfMatch({ path = [], methods, headers = [], query = [] }: Match): readonly number[] {
  const paths = path.map((text) =>
    'exact' in text ? [3, text.exact.length] : 'prefix' in text ? [2, text.prefix.length] : [1, 0],
  )
  const least = paths.length === 0 ? [0, 0] : paths.reduce((a, b) => (compare(a, b) <= 0 ? a : b))
  return [...least, methods === undefined ? 0 : 1, headers.length, query.length]
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (const [index, value] of a.entries()) {
    const difference = value - (b[index] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
