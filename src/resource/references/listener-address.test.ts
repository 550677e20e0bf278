import { expect, test } from 'vitest'
import { resource } from '../../../test/support/resource.ts'
import { listenerAddresses } from './listener-address.ts'

const at = (address: string, port: number): { address: object } => ({
  address: { socket_address: { address, port_value: port } },
})
const listener = (name: string, fields: object): readonly string[] =>
  listenerAddresses(resource('listener', name, fields as never))

test('Listeners that bind one address have it in common, whatever else tells them apart', () => {
  const [a, b] = [listener('a', { ...at('127.0.0.1', 80), stat_prefix: 'a' }), listener('b', at('127.0.0.1', 80))]
  expect(a).toHaveLength(1)
  expect(a).toEqual(b)
})

test.each([
  ['another port', at('127.0.0.1', 81)],
  ['another address', at('127.0.0.2', 80)],
  ['a pipe', { address: { pipe: { path: '/run/a' } } }],
  ['the same port of UDP', { address: { socket_address: { address: '127.0.0.1', port_value: 80, protocol: 'UDP' } } }],
])('A listener at %s has nothing in common', (_, fields) => {
  expect(listener('b', fields)).not.toEqual(listener('a', at('127.0.0.1', 80)))
})

test('Additional addresses count, and an API listener binds none', () => {
  const both = listener('a', { ...at('127.0.0.1', 80), additional_addresses: [at('::1', 80)] })
  expect(both).toEqual([...listener('b', at('127.0.0.1', 80)), ...listener('c', at('::1', 80))])
  expect(listener('d', {})).toEqual([])
  expect(listener('e', { ...at('127.0.0.1', 80), bind_to_port: false })).toEqual(listener('b', at('127.0.0.1', 80)))
})

test('Listeners at port 0 have nothing in common', () => {
  expect(listener('a', at('127.0.0.1', 0))).toEqual([])
})
