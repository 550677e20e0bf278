import { describe, expect, test } from 'vitest'
import { parseDocument } from '../../config/parse-document.ts'
import { formatOrigin } from '../../errors.ts'
import { loadEnvoyApi } from '../../resource/envoy-api.ts'
import { messageToJson } from '../../resource/json/codec.ts'
import { createWorld, type UnitChange } from '../../snapshot/world.ts'
import { createMesh } from '../mesh.ts'

const api = loadEnvoyApi()

interface Bed {
  /** Writes files, `undefined` deletes one; returns what is told, as `place path code: fix`. */
  readonly write: (files: Readonly<Record<string, string | undefined>>) => readonly string[]
  readonly cluster: (name: string) => Record<string, unknown>
}

function bed(): Bed {
  const mesh = createMesh(api)
  const world = createWorld({ staticNames: {}, allowPartial: true, judge: (candidate) => mesh.try(candidate) })
  return {
    write(files) {
      const changes = Object.entries(files).flatMap(([name, text]): UnitChange[] => {
        if (text === undefined) return [{ kind: 'deleted', key: name }]
        const { documents, problems } = parseDocument(api, { id: name, text, origin: { name } })
        expect(problems).toEqual([])
        return documents.map((unit) => ({ kind: 'valid', unit }))
      })
      const { problems } = world.apply(changes, { isFirst: false })
      return problems.map(({ origin, path, code, fix }) => `${formatOrigin(origin)} ${path} ${code}: ${fix}`)
    },
    cluster(name) {
      const all = [...world.generated.values()].flatMap(({ resources }) => resources)
      const found = all.find((one) => one.name === name && one.typeUrl.endsWith('.Cluster'))
      return found === undefined ? {} : (messageToJson(api, found.typeUrl, found.bytes) as Record<string, unknown>)
    },
  }
}

const service = (fields = ''): string =>
  `kind: Service\nname: cart\nendpoints: [{address: 10.0.0.1, port: 80}]\n${fields}`
const edge = `kind: Gateway\nname: edge\nnodes: {cluster: edge}\nlisteners: [{name: http, port: 8080}]`
const route = 'kind: Route\nname: cart\ngateways: edge\nrules: [{backends: cart}]'
const patch = (change: string, target = 'cart', name = 'p'): string =>
  `kind: Patch\nname: ${name}\ntarget: {type: cluster, name: ${target}}\n${change}`

function shop(): Bed {
  const made = bed()
  expect(made.write({ cart: service(), edge, route })).toEqual([])
  return made
}

describe('a patch', () => {
  test('changes what is generated, and its removal changes it back', () => {
    const { write, cluster } = shop()
    const before = cluster('cart')
    expect(write({ p: patch('merge: {connect_timeout: 7s}') })).toEqual([])
    expect(cluster('cart')).toEqual({ ...before, connect_timeout: '7s' })
    expect(write({ cart: service('port: 81') })).toEqual([])
    expect(cluster('cart')['connect_timeout']).toBe('7s')
    expect(write({ p: undefined })).toEqual([])
    expect(cluster('cart')).toEqual(before)
  })

  test('applies after those whose names come before it', () => {
    const { write, cluster } = shop()
    write({
      z: patch('merge: {connect_timeout: 7s}', 'cart', 'b'),
      a: patch('merge: {connect_timeout: 8s}', 'cart', 'a'),
    })
    expect(cluster('cart')['connect_timeout']).toBe('7s')
  })

  test('that breaks a rule of the API is told at its line, and what it was before stays', () => {
    const { write, cluster } = shop()
    write({ p: patch('merge: {connect_timeout: 7s}') })
    const told = write({ p: patch('merge:\n  lb_policy: RANDOM\n  connect_timeout: 0s') })
    expect(told).toEqual([expect.stringMatching(/^p:6:\d+ merge\.connect_timeout rule-violation: /)])
    expect(cluster('cart')).toMatchObject({ connect_timeout: '7s' })
    expect(write({ p: patch('merge:\n  connect_timeout: 6s') })).toEqual([])
    expect(cluster('cart')).toMatchObject({ connect_timeout: '6s' })
  })

  test('of nothing is an error, which names what is near', () => {
    const { write, cluster } = shop()
    const before = cluster('cart')
    expect(write({ p: patch('merge: {connect_timeout: 7s}', 'crat') })).toEqual([
      'p:3:31 target.name patch: Did you mean `cart`?',
    ])
    expect(cluster('cart')).toEqual(before)
    expect(write({ p: patch('merge: {connect_timeout: 7s}') })).toEqual([])
    expect(cluster('cart')['connect_timeout']).toBe('7s')
  })

  test('does not keep its target alive: it is told until one of them is there again, or both are gone', () => {
    const { write, cluster } = shop()
    write({ p: patch('merge: {connect_timeout: 7s}') })
    expect(write({ cart: undefined, route: undefined })).toEqual([
      expect.stringMatching(/^p:3:31 target\.name patch: /),
    ])
    expect(cluster('cart')).toEqual({})
    expect(write({ cart: service(), route })).toEqual([])
    expect(cluster('cart')['connect_timeout']).toBe('7s')
    write({ cart: undefined, route: undefined })
    expect(write({ p: undefined })).toEqual([])
  })

  test('of a Route that names a version brings its cluster to who has the Route', () => {
    const versions = service('versions: {v1: {version: v1}}')
    const { write, cluster } = bed()
    write({ cart: versions, edge, route })
    expect(cluster('cart/v1')).toEqual({})
    const swap =
      'merge: {virtual_hosts: [{name: any, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: cart/v1}}]}]}'
    const p = patch(swap, 'edge/http').replace('type: cluster', 'type: route')
    expect(write({ p }).filter((told) => !told.includes('no-endpoints'))).toEqual([])
    expect(cluster('cart/v1')).toMatchObject({ name: 'cart/v1' })
    write({ p: undefined })
    expect(cluster('cart/v1')).toEqual({})
  })

  test('of what no proxy gets is a warning, which names what of it they do get', () => {
    const two = service('versions: {v1: {version: v1}, v2: {version: v2}}')
    const named = route.replace(
      'backends: cart',
      'backends: [{service: cart, version: v1}, {service: cart, version: v2}]',
    )
    const { write, cluster } = bed()
    write({ cart: two, edge, route: named })
    const told = (files: Parameters<typeof write>[0]): readonly string[] =>
      write(files).filter((one) => !one.includes('no-endpoints'))
    expect(told({ p: patch('merge: {connect_timeout: 7s}') })).toEqual([
      'p:3:31 target.name no-effect: Proxies get `cart/v1`, `cart/v2` of it: write a Patch for each that you mean.',
    ])
    expect(cluster('cart')).toEqual({})
    expect(cluster('cart/v1')['connect_timeout']).toBe('1s')
    expect(told({ p: patch('merge: {connect_timeout: 7s}', 'cart/v1') })).toEqual([])
    expect(cluster('cart/v1')['connect_timeout']).toBe('7s')
    expect(cluster('cart/v2')['connect_timeout']).toBe('1s')
    expect(told({ route })).toEqual([
      'p:3:31 target.name no-effect: Proxies get `cart` of it: write a Patch for each that you mean.',
    ])
  })

  test('of a Service that nobody calls is a warning until somebody does', () => {
    const { write, cluster } = bed()
    expect(write({ cart: service(), p: patch('merge: {connect_timeout: 7s}') })).toEqual([
      expect.stringMatching(/^p:3:31 target\.name no-effect: It takes effect /),
    ])
    expect(write({ edge, route })).toEqual([])
    expect(cluster('cart')['connect_timeout']).toBe('7s')
    expect(write({ route: undefined })).toEqual([expect.stringMatching(/^p:3:31 target\.name no-effect: /)])
  })

  test('that comes before its target takes effect with it', () => {
    const { write, cluster } = bed()
    expect(write({ p: patch('merge: {connect_timeout: 7s}') })).toHaveLength(1)
    expect(write({ cart: service(), edge, route })).toEqual([])
    expect(cluster('cart')['connect_timeout']).toBe('7s')
  })

  test('that no longer fits keeps back the change that takes away what it is about, and both are told', () => {
    const { write, cluster } = bed()
    const two = service().replace('[{', '[{address: 10.0.0.2, port: 80}, {')
    const steps = 'jsonPatch: {op: add, path: /endpoints/0/lb_endpoints/1/load_balancing_weight, value: 5}'
    const files = { cart: two, edge, route, p: patch(steps).replace('type: cluster', 'type: endpoint') }
    expect(write(files)).toEqual([])
    expect(write({ cart: service('versions: {v1: {version: v1}}') })).toEqual([
      expect.stringMatching(/^cart:1:1 {2}patch: /),
      expect.stringMatching(/^p:4:\d+ jsonPatch\.path patch: /),
    ])
    expect(cluster('cart/v1')).toEqual({})
    expect(write({ p: undefined })).not.toContainEqual(expect.stringContaining('patch'))
    write({ route: route.replace('backends: cart', 'backends: [{service: cart, version: v1}]') })
    expect(cluster('cart/v1')).toMatchObject({ name: 'cart/v1' })
  })
})
