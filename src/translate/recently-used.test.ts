import { expect, test } from 'vitest'
import { RecentlyUsed } from './recently-used.ts'

const bed = (keys: string): RecentlyUsed<string> => {
  const known = new RecentlyUsed<string>(10)
  for (const key of keys) known.set(key, key.toUpperCase(), 1)
  return known
}

const held = (known: RecentlyUsed<string>): string =>
  Array.from('abcdefg')
    .filter((key) => known.get(key) !== undefined)
    .join('')

test('what is too long together loses the oldest', () => {
  expect(held(bed('abcde'))).toBe('abcde')
  expect(held(bed('abcdefg'))).toBe('cdefg')
})

test('what was asked for, or made again, is the newest', () => {
  const asked = bed('abcde')
  expect(asked.get('a')).toBe('A')
  asked.set('f', 'F', 1)
  expect(held(asked)).toBe('acdef')
  const again = bed('abcdea')
  again.set('f', 'F', 1)
  expect(held(again)).toBe('acdef')
})

test('one that is too long by itself takes the place of all, until the next', () => {
  const known = bed('abcde')
  known.set('f', 'F', 100)
  expect(held(known)).toBe('f')
  known.set('a', 'A', 1)
  expect(held(known)).toBe('a')
  for (const key of 'bcde') known.set(key, key, 1)
  expect(held(known)).toBe('abcde')
})
