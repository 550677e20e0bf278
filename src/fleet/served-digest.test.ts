import { expect, test } from 'vitest'
import { kindUnit, serviceForm } from '../../test/support/kind-unit.ts'
import { edsCluster, routeTo } from '../../test/support/resource.ts'
import type { Resource } from '../resource/resource.ts'
import type { Unit } from '../snapshot/unit.ts'
import { createServedDigest } from './served-digest.ts'

const unit = (key: string, resources: readonly Resource[], cluster = 'edge'): Unit => ({
  key,
  origin: { name: key },
  selectors: [{ cluster }],
  resources,
})

const digestOf = (...units: readonly Unit[]): Promise<string> => createServedDigest().of(() => units)

const [cart, pay] = [edsCluster('cart'), edsCluster('pay')]
const both = await digestOf(unit('a', [cart, pay]))

test.each<[string, Promise<string>]>([
  ['wherever resources stand', digestOf(unit('b', [cart]), unit('c', [pay]))],
  ['in whatever order', digestOf(unit('c', [pay]), unit('b', [cart]))],
  ['whatever documents of kinds lie beside them', digestOf(kindUnit(serviceForm('cart')), unit('a', [cart, pay]))],
])('a digest is the same %s', async (_, digest) => {
  expect(await digest).toBe(both)
  expect(await digest).toMatch(/^[0-9a-f]{16}$/)
})

test.each<[string, Promise<string>]>([
  ['a resource is missing', digestOf(unit('a', [cart]))],
  ['one is there besides', digestOf(unit('a', [cart, pay, routeTo('all', 'cart')]))],
  ['one has another content', digestOf(unit('a', [edsCluster('cart', 2), pay]))],
  ['other nodes get it', digestOf(unit('a', [cart, pay], 'mesh'))],
  ['there is nothing', digestOf()],
])('and another where %s', async (_, digest) => {
  expect(await digest).not.toBe(both)
})

test('of much that is new lets others have the event loop, and is of what there is in the end', async () => {
  let units = Array.from({ length: 20_000 }, (_, index) => unit(`a${index}`, [cart]))
  setImmediate(() => {
    units = [unit('a', [cart, pay])]
  })
  expect(await createServedDigest().of(() => units)).toBe(both)
})
