import { expect, it } from 'vitest'
import { servedHosts } from './host-pattern.ts'

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
