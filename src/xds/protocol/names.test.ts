import jspb from 'google-protobuf'
import { expect, test } from 'vitest'
import { nameSetOf, noNames, requestedNames, unionNames, withoutNames } from './names.ts'

test('Equal names are one set, in whatever order and however often they come', () => {
  expect(nameSetOf(['b', 'a', 'b'])).toBe(nameSetOf(['a', 'b']))
  expect(nameSetOf(['a', 'b']).names).toEqual(['a', 'b'])
  expect(nameSetOf([])).toBe(noNames)
})

test('The wildcard is no name', () => {
  expect(nameSetOf(['*', 'a']).names).toEqual(['a'])
})

test('Sets are united and taken from one another', () => {
  const [a, ab, b] = [nameSetOf(['a']), nameSetOf(['a', 'b']), nameSetOf(['b'])]
  expect(unionNames(a, b)).toBe(ab)
  expect(unionNames(a, noNames)).toBe(a)
  expect(withoutNames(ab, a)).toBe(b)
  expect(withoutNames(ab, ab)).toBe(noNames)
})

test('Context parameters of xdstp names are compared whatever their order (rule 49)', () => {
  expect(nameSetOf(['xdstp://a/t/x?b=2&a=1']).has('xdstp://a/t/x?a=1&b=2')).toBe(true)
})

test.each([
  ['xdstp://a/t/x', true],
  ['xdstp://a/t/x/y', false],
  ['xdstp://b/t/x', false],
  ['xdstp://a/t/', false],
  ['xdstp://a/t/x?k=v', false],
])('The glob xdstp://a/t/* has %s: %s', (name, expected) => {
  expect(nameSetOf(['xdstp://a/t/*']).matches(name)).toBe(expected)
})

test.each([
  ['xdstp://a/t/x?k=v', true],
  ['xdstp://a/t/x?k=w', false],
  ['xdstp://a/t/x', false],
  ['xdstp://a/t/x?k=v&l=w', false],
])('The glob xdstp://a/t/*?k=v has %s: %s', (name, expected) => {
  expect(nameSetOf(['xdstp://a/t/*?k=v']).matches(name)).toBe(expected)
})

test('Equal bytes of a request are one object, and keep nothing else of the request alive', () => {
  const writer = new jspb.BinaryWriter()
  writer.writeRepeatedString(3, ['*', 'b', 'a'])
  const whole = Buffer.concat([Buffer.alloc(1000), writer.getResultBuffer()])
  const requested = requestedNames(whole.subarray(1000))
  expect(requestedNames(writer.getResultBuffer())).toBe(requested)
  expect([requested.hasWildcard, requested.names]).toEqual([true, nameSetOf(['a', 'b'])])
  expect(requested.bytes.buffer.byteLength).toBe(requested.bytes.length)
})
