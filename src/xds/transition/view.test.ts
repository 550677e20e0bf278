import { describe, expect, test } from 'vitest'
import { smallView } from '../../../test/support/small-view.ts'
import { wordOf } from '../../resource/type-url.ts'
import { additionOrder, changeBetween } from './view.ts'

test('Types are sent before those that name them (rules 68, 78)', () => {
  expect(additionOrder.map(wordOf).slice(0, 9)).toEqual([
    'cluster',
    'endpoint',
    'secret',
    'extension',
    'runtime',
    'listener',
    'scopedRoute',
    'route',
    'virtualHost',
  ])
})

describe('changeBetween', () => {
  const before = smallView('cluster x=1', 'endpoint x=1', 'route r=1 > cluster x')

  test.each<[string, readonly string[], boolean, readonly string[]]>([
    ['endpoints that change', ['cluster x=1', 'endpoint x=2', 'route r=1 > cluster x'], true, ['endpoint']],
    [
      'a cluster that comes',
      ['cluster x=1', 'cluster y=1', 'endpoint x=1', 'route r=1 > cluster x'],
      true,
      ['cluster'],
    ],
    ['a cluster that goes', ['endpoint x=1', 'route r=1 > cluster x'], false, ['cluster']],
    ['a route that changes', ['cluster x=1', 'endpoint x=1', 'route r=2 > cluster x'], false, ['route']],
    ['a route that goes', ['cluster x=1', 'endpoint x=1'], false, ['route']],
    [
      'a filter configuration that comes',
      ['extension e=1', 'cluster x=1', 'endpoint x=1', 'route r=1 > cluster x'],
      false,
      ['extension'],
    ],
  ])('%s', (_, resources, isPlain, words) => {
    const change = changeBetween(before, smallView(...resources))
    expect(change.isPlain).toBe(isPlain)
    expect(change.types.map(wordOf)).toEqual(words)
  })
})
