import { expect, it } from 'vitest'
import { covers, patternsOver, servedHosts } from './host-pattern.ts'

it.each([
  ['every host of a Route, where the listener is for all', ['a', '*.b', '*'], [], ['*', '*.b', 'a']],
  ['an exact host that the listener has a pattern for', ['a.shop', 'a.other'], ['*.shop'], ['a.shop']],
  ['the exact host of a listener that the Route has a pattern for', ['*.shop'], ['a.shop', 'b.other'], ['a.shop']],
  ['the narrower of two patterns', ['*.a.shop', '*'], ['*.shop'], ['*.a.shop', '*.shop']],
  ['not what a pattern stands before', ['shop'], ['*.shop'], []],
  ['a host once', ['*', 'a.shop'], ['a.shop'], ['a.shop']],
])('a listener serves %s', (_, route, listener, served) => {
  expect(servedHosts(route, listener)).toEqual(served)
})

it('the patterns over a host are those that cover it, of all that there could be', () => {
  const labels = ['a', 'b', 'ab']
  const names = labels.flatMap((x) => [
    x,
    ...labels.flatMap((y) => [`${x}.${y}`, ...labels.map((z) => `${x}.${y}.${z}`)]),
  ])
  const patterns = ['*', ...names, ...names.map((name) => `*.${name}`)]
  for (const host of patterns) {
    expect([...patternsOver(host)].sort()).toEqual(patterns.filter((pattern) => covers(pattern, host)).sort())
  }
})
