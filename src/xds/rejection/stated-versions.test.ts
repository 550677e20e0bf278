import { describe, expect, test } from 'vitest'
import { smallResource, smallView } from '../../../test/support/small-view.ts'
import { newSubscription, type Sent, type Subscription } from '../protocol/subscription.ts'
import { setIn } from '../transition/view.ts'
import { StatedVersions } from './stated-versions.ts'

const { typeUrl } = smallResource('listener l')
const setOf = (...texts: readonly string[]) => setIn(smallView(...texts.map((text) => `listener ${text}`)), typeUrl)
const stating = (...texts: readonly string[]): ReadonlyMap<string, string> =>
  new Map([...setOf(...texts).values()].map(({ name, version }) => [name, version]))

const before = setOf('a=1', 'b=1', 'c=1')
const subscription: Subscription = { ...newSubscription(typeUrl), acked: before, mayHold: [before] }
const responseTo = (set: Sent['set']): Sent => ({
  nonce: '2',
  lastPart: '2',
  set,
  isComplete: true,
  owed: 'all',
  atMs: 0,
})

describe('what a delta client has by what it says', () => {
  test('lacks what went, and has what came, with a response of which it rejected something else', () => {
    const known = new StatedVersions()
    known.noteNack(subscription, responseTo(setOf('a=2', 'b=2', 'd=1')), setOf('a=1', 'b=2', 'd=1'))
    expect(known.correct(typeUrl, stating('a=1', 'b=1', 'c=1'))).toEqual(stating('a=1', 'b=2', 'd=1'))
    // It says the same on its next stream.
    expect(known.correct(typeUrl, stating('a=1', 'b=1', 'c=1'))).toEqual(stating('a=1', 'b=2', 'd=1'))
  })

  test('is not known of what was in a response that it rejected without a word of the rest', () => {
    const known = new StatedVersions()
    known.noteNack(subscription, responseTo(setOf('a=2', 'b=2', 'c=1')))
    expect(known.correct(typeUrl, stating('a=1', 'b=1', 'c=1'))).toEqual(
      new Map([...stating('a=1', 'b=1', 'c=1')].map(([name, version]) => [name, name === 'c' ? version : ''])),
    )
  })

  test('is what it says when it has accepted that again, and of names that nothing was rejected of', () => {
    const known = new StatedVersions()
    known.noteNack(subscription, responseTo(setOf('a=2', 'b=1')), setOf('a=1', 'b=1'))
    known.noteAck(setOf('a=1', 'b=1'))
    expect(known.correct(typeUrl, stating('a=1', 'b=1', 'c=1'))).toEqual(stating('a=1', 'b=1'))
    known.noteAck(setOf('a=1', 'b=1', 'c=2'))
    const stated = stating('a=1', 'b=1', 'c=2')
    expect(known.correct(typeUrl, stated)).toBe(stated)
  })

  test('is known of what went unsaid, also when it rejected that again in a response that was sent without it then', () => {
    const known = new StatedVersions()
    const taken = setOf('a=1', 'c=1')
    known.noteNack(subscription, responseTo(setOf('a=2', 'c=1')), taken)
    const after = { ...subscription, acked: taken, mayHold: [taken] }
    known.noteNack(after, responseTo(setOf('a=1', 'b=3', 'c=2')))
    known.noteAck(setOf('a=1', 'c=2'))
    expect(known.correct(typeUrl, stating('a=1', 'b=1', 'c=2'))).toEqual(stating('a=1', 'c=2'))
  })

  test('is what it says when that is not what it was here', () => {
    const known = new StatedVersions()
    known.noteNack(subscription, responseTo(setOf('a=2', 'b=1')), setOf('a=1', 'b=1'))
    expect(known.correct(typeUrl, stating('a=1', 'c=7'))).toEqual(stating('a=1', 'c=7'))
    known.noteNack(subscription, responseTo(setOf('a=2', 'b=1')), setOf('a=1', 'b=1'))
    expect(known.correct(typeUrl, new Map())).toEqual(new Map())
  })
})
