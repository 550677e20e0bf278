import { describe, expect, it } from 'vitest'
import { kindUnit, serviceForm } from '../../test/support/kind-unit.ts'
import { kindOf } from '../config/kinds/kind-document.ts'
import { loadEnvoyApi } from '../resource/envoy-api.ts'
import { resourceTypes } from '../resource/type-url.ts'
import { buildGenerated } from './build-generated.ts'
import { at, documentsOf, type SourcePlace, treeOf, within } from './envoy-json.ts'

const api = loadEnvoyApi()

function placeIn(name: string): SourcePlace {
  const [resource] = kindUnit(serviceForm(name)).resources
  const document = resource && kindOf(resource)
  if (document === undefined) throw new Error('no document')
  return { document, path: '' }
}

const cart = placeIn('cart')
const mesh = placeIn('mesh')
const eds = { eds_config: { ads: {}, resource_api_version: 'V3' }, service_name: 'cart' }

describe('a generated resource', () => {
  it('is what a person would have written, with references, and without fields that are undefined', () => {
    const json = { name: 'cart', type: 'EDS', eds_cluster_config: eds, alt_stat_name: undefined }
    const { resource, problems, documents } = buildGenerated(api, 'cluster', json, cart)
    expect(problems).toEqual([])
    expect([...documents]).toEqual([cart.document.key])
    expect(resource).toMatchObject({
      typeUrl: resourceTypes.cluster.typeUrl,
      name: 'cart',
      origin: { name: 'Service-cart.yaml' },
      references: [{ typeUrl: resourceTypes.endpoint.typeUrl, name: 'cart', path: '' }],
    })
  })

  it('tells what is wrong at the place that the value is made of, of whichever document', () => {
    const interval = at(within(mesh, 'defaults.interval'), '-1s')
    const circuit = at(within(cart, 'circuitBreaker'), { thresholds: [{ max_connections: 'many' }] })
    const { resource, problems, documents } = buildGenerated(
      api,
      'cluster',
      { name: 'cart', outlier_detection: { interval }, circuit_breakers: circuit },
      cart,
    )
    expect(resource).toBeUndefined()
    expect([...documents].sort()).toEqual([cart.document.key, mesh.document.key].sort())
    expect(problems.map((problem) => [problem.code, problem.at])).toEqual([
      ['wrong-type', { key: cart.document.key, path: 'circuitBreaker' }],
      ['rule-violation', { key: mesh.document.key, path: 'defaults.interval' }],
    ])
    expect(problems[1]?.message).toContain('in the generated cluster: outlier_detection.interval')
  })

  it('tells what is nowhere else at the document', () => {
    const { problems } = buildGenerated(api, 'cluster', { nam: 'cart' }, within(cart, 'versions[0]'))
    expect(problems.map((problem) => problem.at.path)).toEqual(['versions[0]', 'versions[0]'])
  })
})

it('places below a path', () => {
  expect(within(cart, 'rules[0]').path).toBe('rules[0]')
  expect(within(within(cart, 'rules'), '[1]').path).toBe('rules[1]')
  expect(within(within(cart, 'rules[1]'), 'backends[0]').path).toBe('rules[1].backends[0]')
})

it('gives what is in a placed value its place', () => {
  const tree = treeOf([1, at(within(mesh, 'x'), { a: [true] })], cart)
  expect(tree).toMatchObject({
    kind: 'list',
    of: { key: cart.document.key, path: '' },
    items: [
      { value: 1, of: { path: '' } },
      { entries: [{ key: 'a', value: { items: [{ of: { key: mesh.document.key, path: 'x' } }] } }] },
    ],
  })
  expect(documentsOf(tree).size).toBe(2)
})
