import { describe, expect, test } from 'vitest'
import { type KindDocument, kindOf } from '../../config/kinds/kind-document.ts'
import { everything } from '../../config/kinds/not-yet.ts'
import type { PatchForm } from '../../config/kinds/patch-form.ts'
import { parseDocument } from '../../config/parse-document.ts'
import { parseYaml } from '../../config/yaml-tree.ts'
import { loadEnvoyApi } from '../../resource/envoy-api.ts'
import { plainValue, type Tree } from '../../resource/tree.ts'
import { buildFromTree } from '../build-generated.ts'
import type { PatchOutput } from '../contract.ts'
import { applyPatches } from './apply-patches.ts'

const api = loadEnvoyApi()

const resources = {
  cluster: `
name: cart
connect_timeout: 1s
circuit_breakers: {thresholds: [{max_connections: 10}, {priority: HIGH, max_connections: 20}]}
metadata: {filter_metadata: {envoy.lb: {fooBar: 1, foo_bar: 2}}}
typed_extension_protocol_options:
  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
    '@type': type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
    explicit_http_config: {http2_protocol_options: {}}
`,
  listener: `
name: edge/https
filter_chains:
- name: shop
  filters:
  - name: http
    typed_config: &http
      '@type': type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
      http_filters: [{name: cors}, {name: router}]
- name: api
  filters: [{name: limit}, {name: http, typed_config: *http}]
default_filter_chain: {name: rest, filters: [{name: http, typed_config: *http}]}
`,
  route: `
name: edge/http
virtual_hosts:
- {name: shop, domains: [shop], routes: [{name: shop/0, match: {prefix: /a}}, {name: shop/1, match: {prefix: /b}}]}
- {name: any, domains: ['*'], routes: [{name: any/0, match: {prefix: /}}]}
`,
  endpoint: 'cluster_name: cart\nendpoints: [{priority: 1}]',
  secret: 'name: cert',
} as const

type Type = keyof typeof resources

const treeOfYaml = (text: string): Tree => parseYaml(text, { maxValues: 10_000, maxDepth: 100 })[0]?.tree as Tree

/** A Patch per text: what stands below its target. */
function documentsOf(type: Type, texts: readonly string[]): readonly KindDocument<PatchForm>[] {
  return texts.map((text, index) => {
    const name = type === 'endpoint' ? 'cart' : (plainValue(treeOfYaml(resources[type])) as { name: string }).name
    const head = `kind: Patch\nname: p${index}\ntarget: {type: ${type}, name: ${name}}\n`
    const parsed = parseDocument(
      api,
      { id: `p${index}`, text: head + text, origin: { name: `p${index}.yaml` } },
      { notYet: everything },
    )
    expect(parsed.problems).toEqual([])
    const [resource] = parsed.documents[0]?.resources ?? []
    return kindOf(resource as never) as KindDocument<PatchForm>
  })
}

function apply(type: Type, ...texts: readonly string[]): PatchOutput & { readonly value: Record<string, unknown> } {
  const output = applyPatches({ api, type, tree: treeOfYaml(resources[type]), patches: documentsOf(type, texts) })
  return { ...output, value: plainValue(output.tree) as Record<string, unknown> }
}

const plain = (type: Type): Record<string, unknown> =>
  plainValue(treeOfYaml(resources[type])) as Record<string, unknown>

/** The names of the HTTP filters, by chain. */
function httpFilters(value: unknown): Record<string, readonly string[]> {
  type Named = { readonly name: string }
  type Filter = Named & { readonly typed_config?: { readonly http_filters: readonly Named[] } }
  type Chain = Named & { readonly filters: readonly Filter[] }
  const { filter_chains: chains, default_filter_chain: rest } = value as {
    filter_chains: Chain[]
    default_filter_chain: Chain
  }
  return Object.fromEntries(
    [...chains, rest].map(({ name, filters }) => [
      name,
      filters.flatMap(({ typed_config: config }) => (config?.http_filters ?? []).map((one) => one.name)),
    ]),
  )
}

describe('merge', () => {
  test('sets a field, and leaves the others', () => {
    const { value, problems } = apply('cluster', 'merge: {per_connection_buffer_limit_bytes: 65536}')
    expect(problems).toEqual([])
    expect(value).toEqual({ ...plain('cluster'), per_connection_buffer_limit_bytes: 65_536 })
  })

  test('takes both spellings of a field for one', () => {
    const { value } = apply(
      'cluster',
      'merge: {connectTimeout: 2s, circuitBreakers: {perHostThresholds: [{maxConnections: 3}]}}',
    )
    expect(value).toMatchObject({
      connect_timeout: '2s',
      circuit_breakers: { thresholds: [{}, {}], per_host_thresholds: [{ max_connections: 3 }] },
    })
    expect(value).not.toHaveProperty('connectTimeout')
  })

  test('keeps keys that are nobody’s fields as they are', () => {
    const { value } = apply('cluster', 'merge: {metadata: {filterMetadata: {envoy.lb: {fooBar: 3}}}}')
    expect(value['metadata']).toEqual({ filter_metadata: { 'envoy.lb': { fooBar: 3, foo_bar: 2 } } })
  })

  test('goes into an Any by the type that it has', () => {
    const options = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions'
    const { value } = apply(
      'cluster',
      `merge: {typedExtensionProtocolOptions: {${options}: {commonHttpProtocolOptions: {idleTimeout: 5s}}}}`,
    )
    expect((value['typed_extension_protocol_options'] as Record<string, object>)[options]).toMatchObject({
      common_http_protocol_options: { idle_timeout: '5s' },
      explicit_http_config: { http2_protocol_options: {} },
    })
  })

  test('takes a field out with null, and leaves no null where there was nothing', () => {
    const { value } = apply(
      'cluster',
      'merge: {connect_timeout: null, lb_policy: null, upstream_config: {name: x, typed_config: null}}',
    )
    expect(value).not.toHaveProperty('connect_timeout')
    expect(value).not.toHaveProperty('lb_policy')
    expect(value['upstream_config']).toEqual({ name: 'x' })
  })

  test('puts a list in the place of a list', () => {
    const { value } = apply('cluster', 'merge: {circuit_breakers: {thresholds: [{max_connections: 1}]}}')
    expect(value['circuit_breakers']).toEqual({ thresholds: [{ max_connections: 1 }] })
  })

  test('changes what `at` names', () => {
    const { value } = apply('route', 'at: {virtualHost: shop, route: shop/1}\nmerge: {match: {prefix: /c}}')
    expect(value['virtual_hosts']).toMatchObject([
      { routes: [{ match: { prefix: '/a' } }, { match: { prefix: '/c' } }] },
      { routes: [{ match: { prefix: '/' } }] },
    ])
  })
})

describe('jsonPatch', () => {
  test.each([
    ['adds a field', '{op: add, path: /lbPolicy, value: RANDOM}', { lb_policy: 'RANDOM' }],
    [
      'adds at the end of a list',
      '{op: add, path: /circuit_breakers/thresholds/-, value: {maxConnections: 3}}',
      {
        circuit_breakers: {
          thresholds: [{ max_connections: 10 }, { priority: 'HIGH', max_connections: 20 }, { max_connections: 3 }],
        },
      },
    ],
    [
      'adds in a list',
      '{op: add, path: /circuit_breakers/thresholds/0, value: {max_pending_requests: 3}}',
      {
        circuit_breakers: {
          thresholds: [{ max_pending_requests: 3 }, { max_connections: 10 }, { priority: 'HIGH', max_connections: 20 }],
        },
      },
    ],
    [
      'replaces',
      '{op: replace, path: /circuitBreakers/thresholds/1/maxConnections, value: 21}',
      { circuit_breakers: { thresholds: [{ max_connections: 10 }, { priority: 'HIGH', max_connections: 21 }] } },
    ],
    [
      'removes',
      '{op: remove, path: /circuit_breakers/thresholds/0}',
      { circuit_breakers: { thresholds: [{ priority: 'HIGH', max_connections: 20 }] } },
    ],
    [
      'copies',
      '{op: copy, from: /connect_timeout, path: /cleanup_interval}',
      { connect_timeout: '1s', cleanup_interval: '1s' },
    ],
    ['moves', '{op: move, from: /connect_timeout, path: /cleanup_interval}', { cleanup_interval: '1s' }],
    [
      'finds a key with a slash',
      '{op: add, path: /metadata/filter_metadata/a~1b~0c, value: {x: 1}}',
      { metadata: { filter_metadata: { 'envoy.lb': { fooBar: 1, foo_bar: 2 }, 'a/b~c': { x: 1 } } } },
    ],
    [
      'goes on after a test that holds',
      '[{op: test, path: /connect_timeout, value: 1s}, {op: replace, path: /connect_timeout, value: 2s}]',
      { connect_timeout: '2s' },
    ],
  ] as const)('%s', (_, steps, expected) => {
    const { value, problems } = apply('cluster', `jsonPatch: ${steps}`)
    expect(problems).toEqual([])
    expect(value).toMatchObject(expected)
  })

  test('leaves nothing where a thing was moved from', () => {
    const { value } = apply('cluster', 'jsonPatch: {op: move, from: /connect_timeout, path: /cleanup_interval}')
    expect(value).not.toHaveProperty('connect_timeout')
  })

  test.each([
    ['a place that is not there', '{op: replace, path: /lb_policy, value: RANDOM}', 'jsonPatch[0].path'],
    ['a place within nothing', '{op: add, path: /a/b/c, value: 1}', 'jsonPatch[0].path'],
    ['an index beyond the list', '{op: add, path: /circuit_breakers/thresholds/3, value: {}}', 'jsonPatch[0].path'],
    ['an index that is none', '{op: remove, path: /circuit_breakers/thresholds/01}', 'jsonPatch[0].path'],
    ['a source that is not there', '{op: copy, from: /lb_policy, path: /x}', 'jsonPatch[0].from'],
    [
      'a move into itself',
      '{op: move, from: /circuit_breakers, path: /circuit_breakers/thresholds/0}',
      'jsonPatch[0].path',
    ],
    ['the whole resource', "{op: remove, path: ''}", 'jsonPatch[0].path'],
    [
      'a test that does not hold',
      '[{op: replace, path: /connect_timeout, value: 2s}, {op: test, path: /connect_timeout, value: 1s}]',
      'jsonPatch[1].value',
    ],
    ['another name', '{op: replace, path: /name, value: crat}', 'jsonPatch'],
  ] as const)('refuses %s, and changes nothing', (_, steps, path) => {
    const { value, problems } = apply('cluster', `jsonPatch: ${steps}`)
    expect(problems).toMatchObject([{ severity: 'error', code: 'patch', at: { key: 'p0', path } }])
    expect(problems[0]?.fix).not.toBe('')
    expect(value).toEqual(plain('cluster'))
  })
})

describe('things with names', () => {
  const everywhere = {
    shop: ['cors', 'lua', 'router'],
    api: ['cors', 'lua', 'router'],
    rest: ['cors', 'lua', 'router'],
  }

  test('go before another, in every filter chain where none is named', () => {
    const { value } = apply('listener', 'at: {httpFilter: router}\ninsertBefore: {name: lua}')
    expect(httpFilters(value)).toEqual(everywhere)
  })

  test('go after another', () => {
    const { value } = apply('listener', 'at: {httpFilter: cors}\ninsertAfter: {name: lua}')
    expect(httpFilters(value)).toEqual(everywhere)
  })

  test('go into the filter chain that is named alone', () => {
    const { value } = apply('listener', 'at: {filterChain: api, httpFilter: cors}\ninsertBefore: {name: lua}')
    expect(httpFilters(value)).toEqual({
      shop: ['cors', 'router'],
      api: ['lua', 'cors', 'router'],
      rest: ['cors', 'router'],
    })
  })

  test('are taken out', () => {
    const { value } = apply('listener', 'at: {networkFilter: limit}\nremove: true')
    expect(value['filter_chains']).toMatchObject([{ filters: [{ name: 'http' }] }, { filters: [{ name: 'http' }] }])
    expect(apply('listener', 'at: {filterChain: rest}\nremove: true').value).not.toHaveProperty('default_filter_chain')
  })

  test('are routes and virtual hosts, too', () => {
    const { value } = apply(
      'route',
      'at: {route: any/0}\ninsertBefore: {name: mine, match: {path: /x}}',
      'at: {virtualHost: shop}\nremove: true',
    )
    expect(value['virtual_hosts']).toMatchObject([{ name: 'any', routes: [{ name: 'mine' }, { name: 'any/0' }] }])
  })

  test.each([
    [
      'a name that is not there',
      'listener',
      'at: {httpFilter: routr}\nremove: true',
      'at.httpFilter',
      /Did you mean `router`/,
    ],
    [
      'a name that is in another chain',
      'listener',
      'at: {filterChain: shop, networkFilter: limit}\nremove: true',
      'at.networkFilter',
      /`http`/,
    ],
    [
      'a chain that is not there',
      'listener',
      'at: {filterChain: x, httpFilter: cors}\nremove: true',
      'at.filterChain',
      /`shop`, `api`, `rest`/,
    ],
    ['what the resource has none of', 'cluster', 'at: {route: x}\nmerge: {a: 1}', 'at.route', /Remove `at`/],
    [
      'two things that are not in each other',
      'listener',
      'at: {httpFilter: x, route: y}\nremove: true',
      'at.route',
      /in no HTTP filter/,
    ],
    [
      'a place beside what is alone',
      'listener',
      'at: {filterChain: rest}\ninsertAfter: {name: x}',
      'at.filterChain',
      /of the list/,
    ],
    ['another name of the resource', 'endpoint', 'merge: {clusterName: x}', 'merge', /Leave `cluster_name`/],
  ] as const)('cannot be %s', (_, type, text, path, fix) => {
    const { problems, value } = apply(type, text)
    expect(problems).toMatchObject([
      { code: 'patch', at: { key: 'p0', path }, fix: expect.stringMatching(fix) as string },
    ])
    expect(value).toEqual(plain(type))
  })
})

describe('several patches', () => {
  test('build on each other', () => {
    const { value } = apply(
      'listener',
      'at: {httpFilter: cors}\ninsertAfter: {name: lua}',
      'at: {httpFilter: lua}\ninsertAfter: {name: wasm}',
    )
    expect(httpFilters(value)['shop']).toEqual(['cors', 'lua', 'wasm', 'router'])
  })

  test('that cannot be applied stop no other', () => {
    const { value, problems } = apply('cluster', 'at: {route: x}\nmerge: {a: 1}', 'merge: {connect_timeout: 3s}')
    expect(problems).toMatchObject([{ at: { key: 'p0' } }])
    expect(value['connect_timeout']).toBe('3s')
  })
})

describe('what a patch brings', () => {
  test.each([
    ['a field that there is not', 'merge: {connect_timout: 1s}', 'unknown-field', 'merge.connect_timout'],
    [
      'a wrong type',
      'merge: {circuit_breakers: {thresholds: [{max_connections: many}]}}',
      'wrong-type',
      'merge.circuit_breakers.thresholds[0].max_connections',
    ],
    [
      'a wrong value in a step',
      'jsonPatch: {op: replace, path: /connect_timeout, value: soon}',
      'wrong-type',
      'jsonPatch[0].value',
    ],
  ])('%s is told at the place in the patch', (_, text, code, path) => {
    const [document] = documentsOf('cluster', [text])
    const { tree } = apply('cluster', text)
    const from = { document: { ...(document as KindDocument), key: 'the Service' }, path: '' }
    const { problems } = buildFromTree(api, 'cluster', tree, from)
    expect(problems).toMatchObject([{ code, at: { key: 'p0', path } }])
    expect(document?.places.at(path)).toMatchObject({ line: 4, path: path.replace('[0].value', '.value') })
  })
})
