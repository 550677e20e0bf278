import { describe, expect, it } from 'vitest'
import { gatewayForm, kindUnit } from '../../test/support/kind-unit.ts'
import { kindOf } from '../config/kinds/kind-document.ts'
import { loadEnvoyApi } from '../resource/envoy-api.ts'
import { buildGenerated } from './build-generated.ts'
import { buildRoutes } from './build-routes.ts'
import { at, type EnvoyJson, type SourcePlace } from './envoy-json.ts'

const api = loadEnvoyApi()

const placeIn = (name: string): SourcePlace => {
  const [resource] = kindUnit(gatewayForm(name, ['edge'])).resources
  const document = resource && kindOf(resource)
  if (document === undefined) throw new Error('it is no document')
  return { document, path: 'listeners[0]' }
}

const [edge, shop] = [placeIn('edge'), placeIn('shop')]

const host = (name: string, cluster: string): EnvoyJson => ({
  name,
  domains: [name],
  routes: [at(shop, { name, match: { prefix: '/' }, route: { cluster } })],
})

const configuration = (name: string, hosts: readonly EnvoyJson[]): EnvoyJson => ({
  name,
  virtual_hosts: hosts,
  validate_clusters: false,
  ignore_port_in_host_matching: true,
})

describe('a route configuration made of its virtual hosts', () => {
  it.each([
    ['of none', 'edge/http', []],
    ['of some', 'edge/http', [host('a', 'x'), host('b', 'y'), host('c', 'x')]],
    ['of a long name', `${'edge'.repeat(100)}/http`, [host('a', 'x')]],
  ])('is the same as one made as a whole: %s', (_, name, hosts) => {
    const json = configuration(name, hosts)
    const whole = buildGenerated(api, 'route', json, edge)
    const parts = buildRoutes(api, json, edge)
    expect(parts.resource).toEqual(whole.resource)
    expect(parts.documents).toEqual(whole.documents)
    expect(parts.problems).toEqual([])
    // A second time, of what is kept.
    expect(buildRoutes(api, json, edge)).toEqual(parts)
  })

  it('tells what is wrong in one of them at its place, and is none then', () => {
    const bad = at(shop, { name: 'b', domains: ['b'], routes: [{ match: { prefix: '/' }, route: { cluster: 7 } }] })
    const { resource, problems } = buildRoutes(api, configuration('edge/http', [host('a', 'x'), bad]), edge)
    expect(resource).toBeUndefined()
    expect(problems).toMatchObject([{ code: 'wrong-type', at: { key: shop.document.key } }])
  })

  it('keeps a virtual host for whom it was made', () => {
    const one = host('a', 'x')
    const first = buildRoutes(api, configuration('edge/http', [one]), edge)
    const second = buildRoutes(api, configuration('shop/http', [one]), shop)
    expect([...first.documents].sort()).toEqual([edge.document.key, shop.document.key].sort())
    expect([...second.documents]).toEqual([shop.document.key])
    expect(second.resource).toEqual(buildGenerated(api, 'route', configuration('shop/http', [one]), shop).resource)
  })
})
