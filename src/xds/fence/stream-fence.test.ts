import { expect, test } from 'vitest'
import { smallView } from '../../../test/support/small-view.ts'
import { type ResourceWord, resourceTypes } from '../../resource/type-url.ts'
import { noNames } from '../protocol/names.ts'
import { setIn, type View } from '../transition/view.ts'
import type { Claim } from './claim.ts'
import { StreamFence } from './stream-fence.ts'

const [old, present, next] = [
  smallView('cluster x=1', 'route r=1'),
  smallView('cluster x=2', 'route r=2'),
  smallView('cluster x=2', 'route r=3'),
]

/** A client that has what `view` has of a type. */
function claimOf(word: ResourceWord, view: View): Claim {
  const { typeUrl } = resourceTypes[word]
  return { typeUrl, versionInfo: setIn(view, typeUrl).version, isWildcard: true, names: noNames }
}

test('it admits what the client says that it has, of all types of which it says something', () => {
  const fence = new StreamFence(1_000)
  fence.note(claimOf('cluster', present), present)
  expect([old, present, next].map((view) => fence.admits(view))).toEqual([false, true, true])
  fence.note(claimOf('route', present), present)
  expect([old, present, next].map((view) => fence.admits(view))).toEqual([false, true, false])
  expect(fence.openAtMs).toBe(1_000)
})

test('what one type says holds whatever the others say, in any order, and of whatever was in force then', () => {
  for (const [first, second] of [
    ['cluster', 'route'],
    ['route', 'cluster'],
  ] as const) {
    for (const seen of [old, present, next, undefined]) {
      const fence = new StreamFence(1_000)
      fence.note(claimOf(first, present), old)
      fence.note(claimOf(second, present), seen)
      expect([old, present, next].map((view) => fence.admits(view))).toEqual([false, true, false])
      // Once anything else was in force than what the client has, only proof opens it.
      expect(fence.openAtMs).toBe(Number.POSITIVE_INFINITY)
    }
  }
})

test('a client can say something of many types, and not of any number', () => {
  const fence = new StreamFence(1_000)
  for (let index = 0; index < 500; index++) {
    const typeUrl = `type-${index}`
    if (fence.isOpenTo(typeUrl)) fence.note({ typeUrl, versionInfo: '1', isWildcard: true, names: noNames }, present)
  }
  expect([fence.isOpenTo('type-500'), fence.isOpenTo('type-199')]).toEqual([false, false])
  expect(new StreamFence(0).isOpenTo('type-500')).toBe(true)
})
