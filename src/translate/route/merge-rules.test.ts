import { describe, expect, it } from 'vitest'
import { kindUnit } from '../../../test/support/kind-unit.ts'
import { createRandom, seedsOf } from '../../../test/support/random.ts'
import { type KindDocument, kindOf } from '../../config/kinds/kind-document.ts'
import type { Match, RouteForm } from '../../config/kinds/route-form.ts'
import { mergeRules } from './merge-rules.ts'

const exact = (text: string): Match => ({ path: [{ exact: text }] })
const prefix = (text: string): Match => ({ path: [{ prefix: text }] })

function route(name: string, ...matches: readonly (Match | 'everything')[]): KindDocument<RouteForm> {
  const rules = matches.map((match) => ({
    match: match === 'everything' ? [] : [match],
    action: { kind: 'forward', backends: [{ service: 'x' }] } as const,
  }))
  const unit = kindUnit({ kind: 'Route', name, hosts: ['*'], rules })
  return kindOf(unit.resources[0] as (typeof unit.resources)[0]) as KindDocument<RouteForm>
}

const merged = (...routes: readonly KindDocument<RouteForm>[]): string[] =>
  mergeRules(routes).map((rule) => `${rule.route.form.name}/${rule.index}`)

describe('rules of several Routes', () => {
  it.each([
    ['an exact path before a prefix', [route('a', prefix('/x')), route('b', exact('/x'))], ['b/0', 'a/0']],
    ['the longest prefix first', [route('a', prefix('/x')), route('b', prefix('/x/y'))], ['b/0', 'a/0']],
    ['a prefix before what matches everything', [route('a', 'everything'), route('b', prefix('/x'))], ['b/0', 'a/0']],
    ['the prefix `/` as what matches everything', [route('b', 'everything'), route('a', prefix('/'))], ['a/0', 'b/0']],
    [
      'a condition on a cookie before none, and one on a share of the requests',
      [
        route('a', prefix('/x')),
        route('b', { ...prefix('/x'), percent: 1 }),
        route('c', { ...prefix('/x'), cookies: [{ name: 'c', any: [{ present: true }] }] }),
      ],
      ['c/0', 'b/0', 'a/0'],
    ],
    [
      'a method of gRPC as the path that it is',
      [
        route('a', prefix('/s')),
        route('b', { grpc: { service: 's' } }),
        route('c', { grpc: { service: 's', method: 'M' } }),
      ],
      ['c/0', 'b/0', 'a/0'],
    ],
    [
      'more headers first where paths are alike',
      [route('a', prefix('/')), route('b', { ...prefix('/'), headers: [{ name: 'x', any: [{ present: true }] }] })],
      ['b/0', 'a/0'],
    ],
    [
      'the first Route by name where nothing tells them apart',
      [route('b', prefix('/x')), route('a', prefix('/y'))],
      ['a/0', 'b/0'],
    ],
    [
      'each Route as it is written, whatever is more specific further down',
      [route('a', 'everything', exact('/x')), route('b', prefix('/y'))],
      ['b/0', 'a/0', 'a/1'],
    ],
  ])('come with %s', (_, routes, order) => {
    expect(merged(...routes)).toEqual(order)
  })

  it.each(seedsOf(20))('come in the same order whatever order the documents are in (seed %i)', (seed) => {
    const random = createRandom(seed)
    const match = (): Match | 'everything' =>
      random.pick([exact('/a'), exact('/a/b'), prefix('/'), prefix('/a'), 'everything' as const])
    const routes = ['p', 'q', 'r', 's'].map((name) =>
      route(name, ...Array.from({ length: 1 + random.below(3) }, match)),
    )
    const order = merged(...routes)
    for (let round = 0; round < 5; round++) expect(merged(...random.some(routes, routes.length))).toEqual(order)
    for (const { form } of routes) {
      const own = order.filter((one) => one.startsWith(`${form.name}/`))
      expect(own).toEqual(form.rules.map((_, index) => `${form.name}/${index}`))
    }
  })
})
