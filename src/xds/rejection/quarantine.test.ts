import { describe, expect, test } from 'vitest'
import { showView, smallResource, smallView } from '../../../test/support/small-view.ts'
import { setIn, type View } from '../transition/view.ts'
import { type Quarantine, type Rejection, targetFor, withoutRejected } from './quarantine.ts'

/** `bad` was rejected after `good` had been accepted, or nothing had. */
function rejection(bad: string, good?: string): Rejection {
  const { typeUrl, name, version } = smallResource(bad)
  return { typeUrl, name, version, accepted: good === undefined ? undefined : smallResource(good) }
}

const current = smallView('cluster x=1', 'route r=1 > cluster x', 'listener l=1 > route r')

describe('the target of a node that rejected something', () => {
  test.each<[string, View, Quarantine, readonly string[]]>([
    [
      'has the rejected resource at its accepted version, and the rest of the snapshot (rule 103)',
      smallView('cluster x=2', 'route r=2 > cluster x', 'listener l=1 > route r'),
      [rejection('cluster x=2', 'cluster x=1')],
      ['cluster x=1', 'listener l=1', 'route r=2'],
    ],
    [
      'lacks what was never accepted',
      smallView('cluster x=2', 'cluster y=1', 'route r=1 > cluster x'),
      [rejection('cluster y=1')],
      ['cluster x=2', 'route r=1'],
    ],
    [
      'has what names a cluster that was never accepted as the client has it now, and what is new not at all',
      smallView(
        'cluster x=1',
        'cluster y=1',
        'route r=2 > cluster y',
        'route q=1 > cluster y',
        'route p=1 > cluster x',
        'listener l=1 > route r',
        'listener k=1 > route q',
      ),
      [rejection('cluster y=1')],
      ['cluster x=1', 'listener l=1', 'route p=1', 'route r=1'],
    ],
    [
      'keeps what an old version needs though the snapshot has dropped it',
      smallView('cluster y=1', 'route r=2 > cluster y', 'listener l=1 > route r'),
      [rejection('cluster y=1')],
      ['cluster x=1', 'listener l=1', 'route r=1'],
    ],
    [
      'keeps the chain below an old listener',
      smallView('cluster z=1', 'listener l=2 > cluster z'),
      [rejection('listener l=2 > cluster z', 'listener l=1 > route r')],
      ['cluster x=1', 'cluster z=1', 'listener l=1', 'route r=1'],
    ],
    [
      'has an empty assignment where the first one was rejected (rule 24)',
      smallView('cluster y=1 > endpoint y', 'endpoint y=1', 'route r=2 > cluster y'),
      [rejection('endpoint y=1')],
      ['cluster y=1', 'endpoint y=y', 'route r=2'],
    ],
    [
      'does without a cluster whose secret was never accepted, and with it its routes',
      smallView('cluster x=1', 'cluster y=1 > secret s', 'secret s=1', 'route r=2 > cluster y'),
      [rejection('secret s=1')],
      ['cluster x=1', 'route r=1'],
    ],
    [
      'does not go back to what leads, over what the snapshot has dropped, to a cluster that it cannot have',
      smallView('cluster x=2', 'listener l=2 > cluster x'),
      [rejection('cluster x=2')],
      [],
    ],
    [
      'has an aggregate cluster though one of its members was rejected',
      smallView('cluster a=1 > cluster x > cluster y', 'cluster x=1', 'cluster y=1', 'route r=2 > cluster a'),
      [rejection('cluster y=1')],
      ['cluster a=1', 'cluster x=1', 'route r=2'],
    ],
  ])('%s', (_, snapshot, quarantine, shown) => {
    expect(showView(targetFor(snapshot, quarantine, current))).toEqual(shown)
  })

  test('is the snapshot itself without a rejection, and when the rejected version is gone from it', () => {
    const snapshot = smallView('cluster x=3')
    expect(targetFor(snapshot, [], current)).toBe(snapshot)
    expect(targetFor(snapshot, [rejection('cluster x=2', 'cluster x=1')], current)).toBe(snapshot)
  })

  test('has what must wait as the client got it since all was well, unless that would wait too', () => {
    const view = smallView('cluster x=1', 'route r=2 > cluster x', 'route q=1 > cluster y', 'cluster y=1')
    const snapshot = smallView('cluster x=1', 'cluster y=1', 'route r=3 > cluster y', 'route q=2 > cluster y')
    const target = targetFor(snapshot, [rejection('cluster y=1')], current, view)
    expect(showView(target)).toEqual(['cluster x=1', 'route r=2'])
  })

  test('keeps what an old version needs in its newest content, though the client got it since all was well', () => {
    const before = smallView('route r=1 > cluster x', 'cluster x=1 > endpoint x', 'endpoint x=1')
    const now = smallView('route r=1 > cluster x', 'cluster x=1 > endpoint x', 'endpoint x=2')
    const target = targetFor(smallView('route r=2'), [rejection('route r=2', 'route r=1 > cluster x')], before, now)
    expect(showView(target)).toEqual(['cluster x=1', 'endpoint x=2', 'route r=1'])
  })

  test('keeps what that names now, and not what it named before', () => {
    const before = smallView('route r=1 > cluster x', 'cluster x=1 > endpoint x', 'endpoint x=1')
    const now = smallView('route r=1 > cluster x', 'cluster x=2', 'cluster y=1 > endpoint x', 'endpoint x=2')
    const snapshot = smallView('route r=2', 'cluster y=1 > endpoint x', 'endpoint x=2')
    const target = targetFor(snapshot, [rejection('route r=2', 'route r=1 > cluster x')], before, now)
    expect(showView(target)).toEqual(['cluster x=2', 'cluster y=1', 'endpoint x=2', 'route r=1'])
  })

  test('never has, in place of a rejected version, another that was rejected', () => {
    const now = smallView('cluster x=1', 'route r=2 > cluster x', 'listener l=1 > route r')
    const snapshot = smallView('cluster x=1', 'cluster y=1', 'route r=3 > cluster y', 'listener l=1 > route r')
    const quarantine = [rejection('cluster y=1'), rejection('route r=2 > cluster x')]
    expect(showView(targetFor(snapshot, quarantine, now))).toEqual(['cluster x=1'])
  })

  test('stays the same object when the client has reached it', () => {
    const snapshot = smallView('cluster x=1', 'cluster y=1', 'route r=2 > cluster y', 'listener l=2 > route r')
    const quarantine = [rejection('cluster y=1')]
    const target = targetFor(snapshot, quarantine, current)
    expect(targetFor(snapshot, quarantine, current) === target).toBe(true)
    expect(targetFor(snapshot, quarantine, target) === target).toBe(true)
    expect(setIn(target, smallResource('cluster y=1').typeUrl).get('y')).toBeUndefined()
  })
})

test('what a plan starts from has the accepted version of what was rejected, or nothing', () => {
  const view = smallView('cluster x=2', 'cluster y=1', 'cluster z=1')
  const quarantine = [rejection('cluster x=2', 'cluster x=1'), rejection('cluster y=1'), rejection('cluster z=2')]
  const clean = withoutRejected(view, quarantine)
  expect(showView(clean)).toEqual(['cluster x=1', 'cluster z=1'])
  expect(withoutRejected(clean, quarantine)).toBe(clean)
})
