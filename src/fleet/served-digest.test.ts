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

const digestOf = (...units: readonly Unit[]): string => createServedDigest().of(units)

const [cart, pay] = [edsCluster('cart'), edsCluster('pay')]
const both = digestOf(unit('a', [cart, pay]))

test.each<[string, string]>([
  ['wherever resources stand', digestOf(unit('b', [cart]), unit('c', [pay]))],
  ['in whatever order', digestOf(unit('c', [pay]), unit('b', [cart]))],
  ['whatever documents of kinds lie beside them', digestOf(kindUnit(serviceForm('cart')), unit('a', [cart, pay]))],
  ['from several lists', createServedDigest().of([unit('a', [cart])], [unit('b', [pay])])],
])('a digest is the same %s', (_, digest) => {
  expect(digest).toBe(both)
  expect(digest).toMatch(/^[0-9a-f]{16}$/)
})

test.each<[string, string]>([
  ['a resource is missing', digestOf(unit('a', [cart]))],
  ['one is there besides', digestOf(unit('a', [cart, pay, routeTo('all', 'cart')]))],
  ['one has another content', digestOf(unit('a', [edsCluster('cart', 2), pay]))],
  ['other nodes get it', digestOf(unit('a', [cart, pay], 'mesh'))],
  ['there is nothing', digestOf()],
])('and another where %s', (_, digest) => {
  expect(digest).not.toBe(both)
})
