import type { KindDocument } from '../../config/kinds/kind-document.ts'
import type { Match, RouteForm, Rule, TextMatch } from '../../config/kinds/route-form.ts'
import { prefixOf } from './match-json.ts'

/** A rule, and which of which Route it is. */
export interface PlacedRule {
  readonly route: KindDocument<RouteForm>
  readonly rule: Rule
  readonly index: number
}

/**
 * The rules of all Routes of one host in the order in which they are asked: each Route's as it wrote them, and of
 * the first rules that are left of each Route, the most specific goes next. So the order of files never matters.
 */
export function mergeRules(routes: readonly KindDocument<RouteForm>[]): readonly PlacedRule[] {
  const queues = routes
    .toSorted((a, b) => (a.form.name < b.form.name ? -1 : 1))
    .map((route) => route.form.rules.map((rule, index) => ({ route, rule, index, rank: rankOf(rule) })))
  const merged: PlacedRule[] = []
  for (;;) {
    let best: (PlacedRule & { readonly rank: readonly number[] })[] | undefined
    for (const queue of queues) {
      const [head] = queue
      const [leader] = best ?? []
      if (head !== undefined && (leader === undefined || compare(head.rank, leader.rank) > 0)) best = queue
    }
    const next = best?.shift()
    if (next === undefined) return merged
    const { route, rule, index } = next
    merged.push({ route, rule, index })
  }
}

/** Larger is more specific, by the order of the Gateway API: of a rule with several matches, the least specific of them. */
function rankOf({ match }: Rule): readonly number[] {
  return least((match.length === 0 ? [{}] : match).map(rankOfMatch))
}

function rankOfMatch(match: Match): readonly number[] {
  const { methods, headers = [], query = [], cookies = [], percent } = match
  return [
    ...rankOfPath(match),
    methods === undefined ? 0 : 1,
    headers.length + cookies.length,
    query.length,
    percent === undefined ? 0 : 1,
  ]
}

function rankOfPath({ path, grpc }: Match): readonly number[] {
  if (grpc?.service !== undefined) {
    const { service, method } = grpc
    return method === undefined ? [2, service.length + 2] : [3, service.length + method.length + 2]
  }
  if (path === undefined) return [0, 0]
  return least(path.map(rankOfText))
}

function rankOfText(text: TextMatch): readonly number[] {
  if ('exact' in text) return [3, text.exact.length]
  const prefix = prefixOf(text)
  if (prefix === undefined) return [1, 0]
  return prefix === '' ? [0, 0] : [2, prefix.length]
}

function least(ranks: readonly (readonly number[])[]): readonly number[] {
  return ranks.reduce((a, b) => (compare(a, b) <= 0 ? a : b))
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (const [index, value] of a.entries()) {
    const difference = value - (b[index] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
