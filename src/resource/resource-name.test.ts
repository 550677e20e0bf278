import { describe, expect, it } from 'vitest'
import { normalizeResourceName, typeInResourceName } from './resource-name.ts'

describe('the context parameters of an xdstp: name are sorted (rule 49)', () => {
  it.each([
    ['xdstp://a/t.T/n?b=2&a=1', 'xdstp://a/t.T/n?a=1&b=2'],
    ['xdstp://a/t.T/n?a=1', 'xdstp://a/t.T/n?a=1'],
    ['xdstp://a/t.T/n', 'xdstp://a/t.T/n'],
    ['xdstp://a/t.T/n?', 'xdstp://a/t.T/n'],
    ['xdstp:///t.T/n/*?z=1&y=2#entry=x?c&b', 'xdstp:///t.T/n/*?y=2&z=1#entry=x?c&b'],
    ['http://a/?b=2&a=1', 'http://a/?b=2&a=1'],
    ['cart?b&a', 'cart?b&a'],
  ])('%s is kept as %s', (name, normal) => {
    expect(normalizeResourceName(name)).toBe(normal)
    expect(normalizeResourceName(normal)).toBe(normal)
  })
})

it.each([
  ['xdstp://a/t.T/n?b=2', 't.T'],
  ['xdstp:///t.T/n', 't.T'],
  ['cart', undefined],
])('%s is of the type %s', (name, type) => {
  expect(typeInResourceName(name)).toBe(type)
})
