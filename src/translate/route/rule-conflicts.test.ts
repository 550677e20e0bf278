import { expect, test } from 'vitest'
import type { KindDocument } from '../../config/kinds/kind-document.ts'
import { noPlaces } from '../../config/kinds/places.ts'
import type { Match } from '../../config/kinds/route-form.ts'
import { matchesOf } from './match-json.ts'
import { type RankedRule, ruleConflicts } from './rule-conflicts.ts'

const under = (prefix: string, more: Match = {}): Match => ({ path: [{ prefix }], ...more })

function ruleOf(route: string, index: number, match: readonly Match[]): RankedRule {
  const document: KindDocument = {
    key: route,
    origin: { name: route },
    form: { kind: 'Route', name: route, hosts: ['*'], rules: [] },
    places: noPlaces,
  }
  const from = { document, path: `rules[${index}]` }
  return { name: `${route}/${index}`, route, from, parts: matchesOf(match, from, String) }
}

/** What is told of the rules of one Route, in their order: of which, and because of which. */
function told(...rules: readonly (readonly Match[])[]): readonly string[] {
  const table = rules.map((match, index) => ruleOf('cart', index, match))
  return ruleConflicts([table]).map(({ at, message }) => `${at.path}: ${message}`)
}

const share = (rule: number, before: number): string =>
  `rules[${rule}]: No request reaches the rule cart/${rule}: cart/${before}, which comes first, takes as large a share of them, and chance is drawn once for a request.`
const all = (rule: number, before: number): string =>
  `rules[${rule}]: No request reaches the rule cart/${rule}: cart/${before}, which comes first, takes them all.`

test.each<[string, readonly (readonly Match[])[], readonly string[]]>([
  ['a larger share behind a smaller one', [[{ percent: 10 }], [{ percent: 20 }], []], []],
  ['an equal share behind another', [[{ percent: 10 }], [{ percent: 10 }], []], [share(1, 0)]],
  ['a smaller share of some paths', [[{ percent: 10 }], [under('/a', { percent: 5 })], []], [share(1, 0)]],
  ['a smaller share of more paths', [[under('/a', { percent: 10 })], [{ percent: 5 }], []], []],
  [
    'a smaller share of what has a header',
    [[{ percent: 10, methods: ['GET'] }], [{ percent: 5, methods: ['GET'] }], [{ percent: 5, methods: ['PUT'] }]],
    [share(1, 0)],
  ],
  ['a share behind what takes all', [[under('/a')], [under('/a', { percent: 5 })]], [all(1, 0)]],
  ['a share that was turned off', [[{ percent: 10 }], [{ percent: 0 }], []], []],
  ['what comes behind a share', [[{ percent: 99 }], []], []],
  ['a rule of which one way comes through', [[{ percent: 10 }], [{ percent: 5 }, { percent: 50 }]], []],
])('%s is told where no request reaches it', (_, rules, expected) => {
  expect(told(...rules)).toEqual(expected)
})

test('shares of the same in two Routes are for both to have', () => {
  const table = [ruleOf('cart', 0, [{ percent: 10 }]), ruleOf('shop', 0, [{ percent: 20 }]), ruleOf('cart', 1, [])]
  expect(ruleConflicts([table])).toEqual([])
})
