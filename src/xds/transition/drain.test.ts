import { describe, expect, test } from 'vitest'
import { smallView } from '../../../test/support/small-view.ts'
import { resourceTypes } from '../../resource/type-url.ts'
import type { ResourceSet } from '../../snapshot/resource-set.ts'
import { type Drains, drainEnd, noDrains, withDrain, withoutEnded } from './drain.ts'
import { setIn } from './view.ts'

const listeners = (...texts: readonly string[]): ResourceSet =>
  setIn(smallView(...texts), resourceTypes.listener.typeUrl)
const namesOf = (drains: Drains): readonly string[] => drains.names.map(({ name }) => name).toSorted()

const first = listeners('listener l=1 > route a > secret s', 'listener k=1 > route k')
const second = listeners('listener l=2 > route b > secret s', 'listener k=1 > route k')
const none = listeners()

describe('drains', () => {
  test('hold what the replaced listener named, and nothing that another one names', () => {
    expect(namesOf(withDrain(noDrains, first, second, 100))).toEqual(['a', 's'])
  })

  test('hold what a removed listener named', () => {
    expect(namesOf(withDrain(noDrains, first, none, 100))).toEqual(['a', 'k', 's'])
  })

  test('do not come of a listener that is new', () => {
    expect(withDrain(noDrains, none, first, 100)).toBe(noDrains)
    expect(withDrain(noDrains, first, first, 100)).toBe(noDrains)
  })

  test('end each at their time, a name with the last listener that named it', () => {
    const both = withDrain(withDrain(noDrains, first, second, 100_000), second, none, 200_000)
    expect(both.nextMs).toBe(100_000)
    expect(withoutEnded(both, 99_999)).toBe(both)
    expect(namesOf(withoutEnded(both, 100_000))).toEqual(['b', 'k', 's'])
    expect(withoutEnded(both, 200_000)).toBe(noDrains)
    expect(noDrains.nextMs).toBe(Number.POSITIVE_INFINITY)
  })

  test('end later when the successor is replaced before it can have been warm', () => {
    const both = withDrain(withDrain(noDrains, first, second, 100_000), second, none, 110_000)
    expect(namesOf(withoutEnded(both, 109_999))).toEqual(['a', 'b', 'k', 's'])
    expect(withoutEnded(both, 110_000)).toBe(noDrains)
  })

  test('end all the same when the listener is replaced for ever before it is warm', () => {
    let drains = withDrain(noDrains, first, second, 100_000)
    for (let at = 1; at <= 60; at++) {
      const [before, after] = [at, at + 1].map((round) => listeners(`listener l=${round} > cluster c${round}`))
      drains = withDrain(drains, before as ResourceSet, after as ResourceSet, 100_000 + at * 10_000)
    }
    expect(namesOf(drains)).toContain('a')
    const later = namesOf(withoutEnded(drains, 260_000))
    expect(later).not.toContain('a')
    expect(later).toContain('c60')
  })

  test('are the same object for clients that replaced the same in one stretch of time, before and after an end', () => {
    const [a, b] = [
      withDrain(noDrains, first, second, drainEnd(1_003, 600_000)),
      withDrain(noDrains, first, second, drainEnd(4_998, 600_000)),
    ]
    expect(a).toBe(b)
    // 600 s, and 15 in which the successor warms.
    expect(drainEnd(1_003, 600_000)).toBe(620_000)
    const [later, other] = [withDrain(a, second, none, 900_000), withDrain(b, second, none, 900_000)]
    expect(withoutEnded(later, 700_000)).toBe(withoutEnded(other, 650_000))
  })

  test('hold names, so that a listener that changes for ever holds no more than one', () => {
    let drains = noDrains
    let before = first
    for (let round = 0; round < 1_000; round++) {
      const after = listeners(`listener l=${round} > route a > secret s`)
      drains = withDrain(drains, before, after, 100 + round)
      before = after
    }
    expect(namesOf(drains)).toEqual(['a', 'k', 's'])
  })
})
