import { expect, test } from 'vitest'
import { gatewayForm, kindUnit } from '../../test/support/kind-unit.ts'
import { kindOf } from '../config/kinds/kind-document.ts'
import { loadEnvoyApi } from '../resource/envoy-api.ts'
import { blanks, buildAlike } from './build-alike.ts'
import { buildGenerated, type Generated } from './build-generated.ts'
import type { AlikeJson } from './contract.ts'
import { anyone, at, type EnvoyJson, type SourcePlace, textOf } from './envoy-json.ts'

const api = loadEnvoyApi()

const placeIn = (name: string): SourcePlace => {
  const [resource] = kindUnit(gatewayForm(name, ['edge'])).resources
  const document = resource && kindOf(resource)
  if (document === undefined) throw new Error('it is no document')
  return { document, path: 'outbound' }
}

const shop = placeIn('shop')

const cluster = (name: string, service: string, timeout: string, from: SourcePlace): EnvoyJson => ({
  name,
  type: 'EDS',
  eds_cluster_config: { eds_config: { ads: {} }, service_name: `${service} of ${name}` },
  connect_timeout: at({ ...from, path: 'outbound.timeout' }, timeout),
  alt_stat_name: at(shop, service),
})

const [name, service] = blanks

function alike(owner: string, names: AlikeJson['names'], timeout: string): Generated | undefined {
  const json = cluster(name, service, timeout, anyone)
  return buildAlike(api, {
    type: 'cluster',
    name: names[0],
    from: placeIn(owner),
    alike: { json, text: textOf(json), names },
  })
}

test('of resources that are alike but for names all after the first are made of that one', () => {
  expect(alike('a', ['cart', 'pay'], '1s')).toBeUndefined()
  for (const [owner, called] of [
    ['cart', 'pay'],
    ['x', 'x'],
  ] as const) {
    const made = alike('b', [owner, called], '1s')
    expect(made).toEqual(buildGenerated(api, 'cluster', cluster(owner, called, '1s', placeIn('b')), placeIn('b')))
    expect([...(made?.documents ?? [])].sort()).toEqual([placeIn('b').document.key, shop.document.key].sort())
  }
  expect(alike('a', ['cart', 'pay'], '2s')).toBeUndefined()
})

test('what is made of others is not made again while somebody has it, and is told where its own document stands', () => {
  const [first, again, other] = ['a', 'a', 'b'].map((owner) => {
    alike(owner, ['cart', 'pay'], '3s')
    return alike(owner, ['cart', 'pay'], '3s')?.resource
  })
  expect(again).toBe(first)
  expect(other).not.toBe(first)
  expect(other?.origin).toEqual({ name: placeIn('b').document.origin.name })
})

test('where something is wrong with them each is made by itself, so that each is told', () => {
  for (let time = 0; time < 3; time++) expect(alike('a', ['cart', 'pay'], 'soon')).toBeUndefined()
})
