import { expect, test } from 'vitest'
import type { Clock } from '../../clock.ts'
import { Admission, type AdmissionOptions, type Entrant } from './admission.ts'

/** A clock that is set by hand, and the entrants in the order in which they were let in. */
function bed(options: Partial<AdmissionOptions> = {}) {
  let now = 0
  const timers = new Set<{ readonly atMs: number; readonly act: () => void }>()
  const clock: Clock = {
    now: () => now,
    after(ms, act) {
      const timer = { atMs: now + ms, act }
      timers.add(timer)
      return { cancel: () => void timers.delete(timer) }
    },
  }
  const admission = new Admission({ maxEntering: 2, holdMs: 1000, clock, ...options })
  const admitted: string[] = []
  const entrants = new Map<string, Entrant>()
  return {
    admission,
    admitted,
    timers,
    enter: (name: string): boolean => {
      const entrant = { admit: () => void admitted.push(name) }
      entrants.set(name, entrant)
      const isIn = admission.enter(entrant)
      if (isIn) admitted.push(name)
      return isIn
    },
    leave: (name: string) => admission.leave(entrants.get(name) as Entrant),
    pass: (ms: number): void => {
      now += ms
      for (const timer of timers) {
        if (timer.atMs > now) continue
        timers.delete(timer)
        timer.act()
      }
    },
  }
}

test('Only so many are answered at once, and the others in the order in which they came', () => {
  const { admission, admitted, enter, leave } = bed()
  expect(['a', 'b', 'c', 'd', 'e'].map(enter)).toEqual([true, true, false, false, false])
  leave('b')
  expect(admitted).toEqual(['a', 'b', 'c'])
  leave('a')
  leave('c')
  expect(admitted).toEqual(['a', 'b', 'c', 'd', 'e'])
  expect([admission.entering, admission.waiting]).toEqual([2, 0])
})

test('Nobody overtakes those who wait', () => {
  const { admitted, enter, leave, pass } = bed({ maxEntering: 1 })
  enter('a')
  enter('b')
  pass(999)
  expect(enter('c')).toBe(false)
  leave('a')
  expect(enter('d')).toBe(false)
  expect(admitted).toEqual(['a', 'b'])
})

test('One that takes no answer holds its place for a while only', () => {
  const { admitted, enter, pass } = bed()
  for (const name of ['a', 'b', 'c', 'd', 'e']) enter(name)
  pass(999)
  expect(admitted).toEqual(['a', 'b'])
  pass(1)
  expect(admitted).toEqual(['a', 'b', 'c', 'd'])
  pass(1000)
  expect(admitted).toEqual(['a', 'b', 'c', 'd', 'e'])
})

test('One that goes while it waits is not let in, and leaving twice frees one place', () => {
  const { admission, admitted, enter, leave } = bed()
  for (const name of ['a', 'b', 'c', 'd', 'e']) enter(name)
  leave('c')
  leave('a')
  leave('a')
  expect(admitted).toEqual(['a', 'b', 'd'])
  expect(admission.waiting).toBe(1)
})

test('There is a timer only while somebody waits, and who watches is told how many', () => {
  const counts: number[] = []
  const { enter, leave, timers, pass } = bed({ maxEntering: 1, onWaiting: (count) => counts.push(count) })
  enter('a')
  expect(timers.size).toBe(0)
  enter('b')
  enter('c')
  expect(timers.size).toBe(1)
  leave('c')
  leave('a')
  pass(1000)
  expect(counts.slice(0, 4)).toEqual([1, 2, 1, 0])
  expect(timers.size).toBe(0)
})
