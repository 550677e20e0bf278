import { expect, test } from 'vitest'
import { readText } from '../../test/support/read-text.ts'
import type { Unit } from '../snapshot/unit.ts'
import { LastGood, type ReadText } from './last-good.ts'

const unit = (key: string, content?: string): Unit => ({
  key,
  origin: { name: key },
  selectors: [],
  resources: [],
  text: { version: content ?? '', ...(content !== undefined && { content }) },
})

const read = (text: string | undefined, more: Partial<ReadText> = {}): ReadText => readText('cart', text, more)

const inForce = (...units: readonly Unit[]): Map<string, Unit> => new Map(units.map((one) => [one.key, one]))

const [one, two] = [unit('cart', 'one\n'), unit('cart#b', 'two\n')]

function kept(good: LastGood): Record<string, string> {
  return Object.fromEntries(good.texts)
}

test('a text is good once all of it is in force, and not before', () => {
  const good = new LastGood()
  good.note(read('both', { valid: [one, two] }))
  good.settle(inForce())
  expect(kept(good)).toEqual({})
  expect(good.knows('cart')).toBe(true)
  good.settle(inForce(one, two))
  expect(kept(good)).toEqual({ cart: 'both' })
  expect(good.takeChanged()).toEqual(['cart'])
  expect(good.takeChanged()).toEqual([])
})

test.each<[string, Partial<ReadText>]>([
  ['has an error', { hasError: true }],
  ['holds a document that cannot be read', { invalid: ['cart#b'] }],
  ['lost a document that is still needed', { gone: ['cart#b'] }],
  ['has not taken effect', { valid: [unit('cart', 'other\n')] }],
])('a text that %s leaves the one before', (_, more) => {
  const good = new LastGood()
  good.note(read('both', { valid: [one, two] }))
  good.settle(inForce(one, two))
  good.note(read('next', more))
  good.settle(inForce(one, two))
  expect(kept(good)).toEqual({ cart: 'both' })
})

test('what of several documents took effect, and what others stayed, is put together', () => {
  const good = new LastGood()
  const newer = unit('cart', 'newer\n')
  good.note(read('newer and broken', { valid: [newer], invalid: ['cart#b'], hasError: true }))
  good.settle(inForce(newer, two))
  expect(kept(good)).toEqual({ cart: 'newer\n---\ntwo\n' })
  good.note(read('newer alone', { valid: [newer], gone: ['cart#b'] }))
  good.settle(inForce(newer, two))
  expect(kept(good)).toEqual({ cart: 'newer\n---\ntwo\n' })
  good.settle(inForce(newer))
  expect(kept(good)).toEqual({ cart: 'newer alone' })
})

test('nothing is put together of what nobody wrote down', () => {
  const good = new LastGood()
  good.note(read('x', { valid: [one], invalid: ['cart#b'], hasError: true }))
  good.settle(inForce(one, unit('cart#b')))
  expect(kept(good)).toEqual({})
})

test('a document that is gone has no good text, as soon as nothing of any text before is in force', () => {
  const good = new LastGood()
  good.note(read('both', { valid: [one, two] }))
  good.settle(inForce(one, two))
  good.takeChanged()
  good.note(read('one alone', { valid: [one], gone: ['cart#b'] }))
  good.note(read(undefined, { gone: ['cart'] }))
  good.settle(inForce(two))
  expect([kept(good), good.knows('cart')]).toEqual([{ cart: 'both' }, true])
  good.settle(inForce())
  expect([kept(good), good.knows('cart'), good.takeChanged()]).toEqual([{}, false, ['cart']])
})
