import { expect, it } from 'vitest'
import type { Endpoint } from '../../config/kinds/service-form.ts'
import type { CallerRegion } from '../contract.ts'
import { callerRegionsOf, regionRank } from './region-order.ts'

const inRegions = (...regions: readonly (string | undefined)[]): readonly Endpoint[] =>
  regions.map((region, index) => ({ address: '10.0.0.1', port: index, ...(region !== undefined && { region }) }))

it.each<[string, readonly (string | undefined)[], readonly CallerRegion[] | undefined]>([
  ['none', [undefined], undefined],
  ['one', ['eu', undefined, 'eu'], undefined],
  ['two', ['us', 'eu', 'us', undefined], [{ region: 'eu' }, { region: 'us' }, { notRegions: ['eu', 'us'] }]],
])('callers are told apart by regions when there are two: with %s', (_, regions, expected) => {
  expect(callerRegionsOf(inRegions(...regions))).toEqual(expected)
})

const all = inRegions('eu', 'asia', undefined, 'us', 'eu')
const elsewhere: CallerRegion = { notRegions: ['asia', 'eu', 'us'] }

it('a caller in whose region these have no endpoint is one of nowhere', () => {
  const endpoints = inRegions('eu', 'asia')
  expect(endpoints.map(regionRank(endpoints, { region: 'us' }, undefined))).toEqual([0, 0])
})

it.each<[string, CallerRegion, readonly string[] | undefined, readonly number[]]>([
  ['its own first, then by name, and last what is nowhere', { region: 'eu' }, undefined, [0, 1, 3, 2, 0]],
  ['then as the order says', { region: 'eu' }, ['us', 'asia'], [0, 2, 3, 1, 0]],
  ['its own first also where the order has it later', { region: 'asia' }, ['us', 'eu', 'asia'], [2, 0, 3, 1, 2]],
  ['what the order leaves out behind it', { region: 'us' }, ['eu'], [1, 2, 3, 0, 1]],
  ['all alike for a caller of nowhere', elsewhere, undefined, [0, 0, 0, 0, 0]],
  ['the order for a caller of nowhere', elsewhere, ['us'], [2, 1, 3, 0, 2]],
])('a caller gets %s', (_, caller, failover, expected) => {
  const rank = regionRank(all, caller, failover)
  const found = all.map(rank)
  const steps = [...new Set(found)].sort((a, b) => a - b)
  expect(found.map((one) => steps.indexOf(one))).toEqual(expected)
})
