import { expect, test } from 'vitest'
import { nodeOfJson } from '../resource/node.ts'
import { clientKeyOf } from './client-key.ts'

const keyOf = (node: object): string => clientKeyOf(nodeOfJson(node))

test('A client is the same with its metadata in another order, or with another version of Envoy', () => {
  const key = keyOf({ id: 'n', cluster: 'edge', metadata: { a: 1, b: { c: 2, d: 3 } } })
  expect(keyOf({ metadata: { b: { d: 3, c: 2 }, a: 1 }, cluster: 'edge', id: 'n', user_agent_version: '2' })).toBe(key)
})

test.each([
  { id: 'm', cluster: 'edge', metadata: { a: 1 } },
  { id: 'n', cluster: 'cart', metadata: { a: 1 } },
  { id: 'n', cluster: 'edge', metadata: { a: 2 } },
  { id: 'n', cluster: 'edge', metadata: {} },
  { id: 'n', cluster: 'edge', metadata: { a: 1 }, locality: { region: 'eu' } },
])('It is another one as %o', (node) => {
  expect(keyOf(node)).not.toBe(keyOf({ id: 'n', cluster: 'edge', metadata: { a: 1 } }))
})
