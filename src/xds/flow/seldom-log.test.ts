import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { systemClock } from '../../clock.ts'
import { SeldomLog } from './seldom-log.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

interface Line {
  readonly fields: object
  readonly message: string
}

function openLog(): {
  readonly seldom: SeldomLog
  readonly own: Line[]
  readonly counted: Line[]
  readonly warn: (name: string) => void
} {
  const [own, counted]: [Line[], Line[]] = [[], []]
  const into = (lines: Line[]) => ({
    warn: (fields: object, message: string) => void lines.push({ fields, message }),
  })
  const seldom = new SeldomLog(into(counted), systemClock)
  const warn = (name: string): void => {
    seldom.warn(() => into(own), { type: 'cluster', name, version: '1', keeps: 'nothing' }, 'no')
  }
  return { seldom, own, counted, warn }
}

test('Of one warning on many streams five are written, and the others once a minute as a count', () => {
  const { own, counted, warn } = openLog()
  for (let stream = 0; stream < 5000; stream++) warn('a')
  warn('b')
  expect(own.map(({ fields }) => fields)).toEqual([
    ...Array.from({ length: 5 }, () => ({ type: 'cluster', name: 'a', version: '1', keeps: 'nothing' })),
    { type: 'cluster', name: 'b', version: '1', keeps: 'nothing' },
  ])
  expect(counted).toEqual([])
  vi.advanceTimersByTime(60_000)
  expect(counted.map(({ fields }) => fields)).toEqual([{ type: 'cluster', name: 'a', version: '1', count: 4995 }])
  warn('a')
  vi.advanceTimersByTime(60_000)
  expect(counted).toHaveLength(2)
  expect(own).toHaveLength(6)
})

test('Warnings of our own words are told apart by them, and what clients say is not', () => {
  const { seldom, own } = openLog()
  for (let stream = 0; stream < 20; stream++) {
    seldom.warn(
      () => ({ warn: (fields, message) => void own.push({ fields, message }) }),
      { warning: `w${stream % 2}` },
      'no',
    )
    seldom.warn(
      () => ({ warn: (fields, message) => void own.push({ fields, message }) }),
      { reason: `r${stream}` },
      'no',
    )
  }
  expect(own).toHaveLength(3 * 5)
})

test('After a minute without it a warning is news again, and nothing waits', () => {
  const { own, counted, warn } = openLog()
  for (let stream = 0; stream < 6; stream++) warn('a')
  vi.advanceTimersByTime(120_000)
  expect(vi.getTimerCount()).toBe(0)
  warn('a')
  expect([own.length, counted.length]).toEqual([6, 1])
})

test('Of a thousand different warnings each is written, of more only how many', () => {
  const { own, counted, warn } = openLog()
  for (let index = 0; index < 1500; index++) warn(`c${index}`)
  expect(own).toHaveLength(1000)
  vi.advanceTimersByTime(60_000)
  expect(counted.map(({ fields }) => fields)).toEqual([{ count: 500 }])
  warn('c1499')
  expect(own).toHaveLength(1001)
})
