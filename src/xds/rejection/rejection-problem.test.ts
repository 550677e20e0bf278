import { expect, test } from 'vitest'
import type { NodeStatus, RejectedStatus } from '../status.ts'
import { rejectionProblems, someOf } from './rejection-problem.ts'

function node(id: string, more: Partial<NodeStatus>): NodeStatus {
  return {
    streamId: 1,
    id,
    cluster: 'edge',
    group: '',
    protocol: 'sotw',
    userAgent: 'envoy 1.40.0',
    peer: '',
    connectedAt: '',
    types: {},
    warnings: [],
    rejected: [],
    ...more,
  }
}

const origin = { name: 'config/edge.yaml', line: 14, column: 3 }
const bad: RejectedStatus = {
  type: 'listener',
  name: 'bad',
  version: 'v2',
  keeps: null,
  origin,
  since: '2026-11-21T07:00:00Z',
  message: "route: unknown cluster 'x'",
}
const nacked = { version: 'v2', at: '2026-11-21T07:00:00Z', message: 'no reason' }
const status = { names: 0, isWildcard: true, responses: 1, resources: 1 }

test('What several nodes rejected is one problem, at the place where it stands', () => {
  const problems = rejectionProblems([
    node('b', { rejected: [bad], types: { listener: { ...status, nacked } } }),
    node('a', { rejected: [bad] }),
    node('c', {}),
  ])
  expect(problems).toEqual([
    {
      severity: 'error',
      code: 'rejected',
      origin,
      path: '',
      message: 'listener "bad" was rejected by a and b: route: unknown cluster \'x\'',
      fix: 'mend it; until it changes they do without it, and get everything else',
      nodes: ['a', 'b'],
    },
  ])
})

test('Equal resources of two documents are two problems', () => {
  const other = { name: 'config/other.yaml', line: 3, column: 1 }
  const nodes = [node('a', { rejected: [bad] }), node('b', { rejected: [{ ...bad, origin: other }] })]
  expect(rejectionProblems(nodes)).toMatchObject([
    { origin, nodes: ['a'] },
    { origin: other, nodes: ['b'] },
  ])
})

test.each([
  ['v1', 'mend it; until it changes they keep what they accepted before, and get everything else'],
  [
    'unknown',
    'mend it; until it changes they keep what they have of it; clients of the SotW protocol get no other change of its type',
  ],
])('Of what a node has instead (%s) the fix says what that means', (keeps, fix) => {
  expect(rejectionProblems([node('a', { rejected: [{ ...bad, keeps }] })])[0]?.fix).toBe(fix)
})

test('A rejection that is not understood yet is a problem of the node', () => {
  expect(rejectionProblems([node('a', { types: { route: { ...status, nacked } } })])).toMatchObject([
    {
      origin: { name: 'node a' },
      message: 'some route was rejected, and a does not say which: no reason',
      nodes: ['a'],
    },
  ])
})

test.each([
  [['a'], 'a'],
  [['a', 'b'], 'a and b'],
  [['a', 'b', 'c', 'd'], 'a, b, c and d'],
  [['a', 'b', 'c', 'd', 'e'], 'a, b, c and 2 more'],
])('%j are %s', (names, text) => {
  expect(someOf(names)).toBe(text)
})
