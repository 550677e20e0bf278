import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { loadEnvoyApi } from '../../resource/envoy-api.ts'
import type { Resource } from '../../resource/resource.ts'
import type { MapTree } from '../../resource/tree.ts'
import type { ParsedDocument } from '../config-document.ts'
import { parseDocument } from '../parse-document.ts'
import { parseYaml } from '../yaml-tree.ts'
import { formOfResource } from './form-of-resource.ts'
import { kindOf } from './kind-document.ts'
import type { FormOf, Kind } from './kind-form.ts'
import { everything, type NotYet, notYet } from './not-yet.ts'
import { type ParsedKind, parseKind } from './parse-kind.ts'

const api = loadEnvoyApi()

function parse(text: string, refused = everything): ParsedDocument {
  return parseDocument(api, { id: 'shop', text, origin: { name: 'shop.yaml' } }, { notYet: refused })
}

/** `line:column code path`. */
const said = ({ problems }: ParsedDocument): string[] =>
  problems.map(({ code, path, origin }) => `${origin.line}:${origin.column} ${code} ${path}`.trim())

const resourceOf = (parsed: ParsedDocument): Resource => parsed.documents[0]?.resources[0] as Resource

function formOf<K extends Kind>(text: string, kind: K): FormOf<K> {
  const parsed = parse(text)
  expect(parsed.problems).toEqual([])
  const form = kindOf(resourceOf(parsed))?.form
  expect(form?.kind).toBe(kind)
  return form as FormOf<K>
}

const service = (rest: string): string => `kind: Service\nname: cart\n${rest}`
const rule = (rest: string): string => `kind: Route\nname: cart\nrules:\n- ${rest.replaceAll('\n', '\n  ')}`
const gateway = (rest: string): string => `kind: Gateway\nname: edge\nnodes: {cluster: edge}\nlisteners:\n- ${rest}`
const sidecar = (rest: string): string => `kind: Sidecar\nname: cart\nnodes: {cluster: cart}\n${rest}`
const patch = (rest: string): string => `kind: Patch\nname: p\ntarget: {type: cluster, name: cart}\n${rest}`

describe('the examples of the model of kinds', () => {
  const model = readFileSync(new URL('model-kinds.yaml.txt', import.meta.url), 'utf8')
  const parsed = parse(model)

  test('are all read, but for what is refused by name', () => {
    const told = parsed.problems.map(({ code, path, message }) => `${code} ${path}: ${message}`)
    expect(told).toEqual([
      'unsupported-field trustDomain: `trustDomain` is not in this version.',
      'unsupported-field mtls: `mtls: permissive` is not in this version.',
      'unsupported-field rules[1].rateLimit: `rateLimit` is not in this version.',
      'unsupported-kind kind: The kind Policy is not in this version.',
    ])
    expect(parsed.isUnreadable).toBe(false)
  })

  test('are all in force without that', () => {
    const built = model
      .replace(/^trustDomain:.*\n/m, '')
      .replace('mtls: permissive', 'mtls: disabled')
      .replace(/^ {2}rateLimit:.*\n/m, '')
      .replace(/^kind: Policy[\s\S]*?^---\n/m, '')
    const { problems, documents } = parse(built)
    expect(problems).toEqual([])
    const forms = documents.map(({ resources }) => kindOf(resources[0] as Resource)?.form.kind)
    expect(forms).toEqual(['Mesh', 'Service', 'Route', 'Gateway', 'Sidecar', 'Secret', 'Patch'])
    expect(documents.map(({ key }) => key)).toEqual([
      'shop',
      'shop#Service/cart',
      'shop#Route/cart',
      'shop#Gateway/edge',
      'shop#Sidecar/cart',
      'shop#Secret/shop-cert',
      'shop#Patch/bigger-buffers',
    ])
  })

  test('are the same after a restart, read from the bytes of their resources', () => {
    for (const { resources } of parsed.documents) {
      const [read] = resources as readonly [Resource]
      const restored = formOfResource(api, { ...read })
      expect(withoutPlaces(restored)).toEqual(withoutPlaces(kindOf(read)?.form))
    }
    expect(parsed.documents.length).toBe(5)
  })
})

/** The trees of a Patch stand nowhere after a restart. */
function withoutPlaces(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (key, member) => (key === 'line' || key === 'column' ? undefined : member)))
}

describe('the short forms', () => {
  test.each<[string, string, unknown, unknown]>([
    ['a text for a path', '/api', [{ exact: '/api' }], undefined],
    ['one path for a list', '{prefix: /api}', [{ prefix: '/api' }], undefined],
    ['a list of both', '[/api, {suffix: .js}]', [{ exact: '/api' }, { suffix: '.js' }], undefined],
  ])('%s', (_, written, path) => {
    expect(formOf(rule(`match: {path: ${written}}\nbackends: cart`), 'Route').rules[0]?.match).toEqual([{ path }])
  })

  test.each<[string, string, unknown]>([
    ['a text', 'X-Group: beta', { name: 'x-group', any: [{ exact: 'beta' }] }],
    ['a list', 'x-group: [a, b]', { name: 'x-group', any: [{ exact: 'a' }, { exact: 'b' }] }],
    ['a map', 'x-group: {prefix: be}', { name: 'x-group', any: [{ prefix: 'be' }] }],
    ['presence', 'x-group: {present: false}', { name: 'x-group', any: [{ present: false }] }],
    [
      'none of a list',
      'x-group: {not: [a, {regex: b+}]}',
      { name: 'x-group', any: [{ exact: 'a' }, { regex: 'b+' }], not: true },
    ],
    ['an empty text', 'x-group: ""', { name: 'x-group', any: [{ exact: '' }] }],
  ])('a condition on a header: %s', (_, written, expected) => {
    const form = formOf(rule(`match: {headers: {${written}}}\nbackends: cart`), 'Route')
    expect(form.rules[0]?.match).toEqual([{ headers: [expected] }])
  })

  test('a name for a backend, one for a list, and what a rule without a match is', () => {
    const form = formOf(rule('backends: cart'), 'Route')
    expect(form).toMatchObject({ hosts: ['*'], rules: [{ match: [] }] })
    expect(form.rules[0]?.action).toEqual({ kind: 'forward', backends: [{ service: 'cart' }] })
  })

  test('hosts in small letters, for they are compared without case', () => {
    expect(formOf(service('hosts: [Cart.Shop.Example]'), 'Service').hosts).toEqual(['cart.shop.example'])
    expect(formOf(`${rule('respond: 404')}\nhosts: CART`, 'Route').hosts).toEqual(['cart'])
    const [listener] = formOf(gateway('{name: a, port: 1, hosts: A, egress: B}'), 'Gateway').listeners
    expect([listener?.hosts, listener?.egress?.hosts]).toEqual([['a'], ['b']])
    expect(formOf(sidecar('outbound: {egress: B}'), 'Sidecar').outbound?.egress?.hosts).toEqual(['b'])
    expect(formOf('kind: Mesh\nname: m\negress: B', 'Mesh').egress?.hosts).toEqual(['b'])
  })

  test('durations, percentages, sizes and words', () => {
    const form = formOf(
      rule(`timeout: 1m30s
idleTimeout: 0.25s
retry: {perTryTimeout: 500ms, retryOn: [5xx, 503], backOff: {base: 25ms}}
mirror: {service: cart, percent: 0.5%}
maxRequestSize: 64KiB
priority: high
backends: {service: cart, weight: 0}`),
      'Route',
    )
    expect(form.rules[0]).toMatchObject({
      timeout: 90_000,
      idleTimeout: 250,
      retry: { perTryTimeout: 500, retryOn: ['5xx', '503'], backOff: { base: 25 } },
      mirror: [{ service: 'cart', percent: 0.5 }],
      maxRequestSize: 65_536,
      priority: 'high',
      action: { backends: [{ service: 'cart', weight: 0 }] },
    })
  })

  test('a timeout of nothing is not the same as none given', () => {
    expect(formOf(rule('timeout: 0s\nbackends: cart'), 'Route').rules[0]).toHaveProperty('timeout', 0)
    expect(formOf(rule('timeout:\nbackends: cart'), 'Route').rules[0]).not.toHaveProperty('timeout')
  })

  test('words of the schema in both of its spellings, and fields too', () => {
    const form = formOf(service('load_balancing: {policy: ROUND_ROBIN, slow_start: 30s}'), 'Service')
    expect(form.loadBalancing).toEqual({ policy: 'round-robin', slowStart: 30_000 })
  })

  test('versions by their labels, or with a policy of their own', () => {
    const form = formOf(
      service('versions: {v1: {version: v1}, v2: {labels: {version: v2}, circuitBreaker: {maxRequests: 5}}}'),
      'Service',
    )
    expect(form.versions).toEqual([
      { name: 'v1', labels: { version: 'v1' } },
      { name: 'v2', labels: { version: 'v2' }, policy: { circuitBreaker: { maxRequests: 5 } } },
    ])
  })

  test('what switches off', () => {
    expect(formOf(service('outlierDetection: off'), 'Service').outlierDetection).toBe('off')
    expect(formOf('kind: Mesh\nname: m\naccessLog: off', 'Mesh').accessLog).toEqual({ off: true })
  })

  test('a registry under the name of its Service, or another', () => {
    expect(formOf(service('registry: {}'), 'Service').registry).toEqual({ name: 'cart' })
    expect(formOf(service('registry: basket'), 'Service').registry).toEqual({ name: 'basket' })
  })

  test('addresses in one text, also of IPv6', () => {
    const form = formOf(sidecar('service: cart\ninbound: {port: 15006, app: "[::1]:8080"}'), 'Sidecar')
    expect(form.inbound).toEqual([{ service: 'cart', port: 15_006, app: { host: '::1', port: 8080 } }])
  })

  test('a listener with a certificate speaks https', () => {
    const form = formOf(gateway('{name: a, port: 443, hosts: A.Example, tls: shop-cert}'), 'Gateway')
    expect(form.listeners).toEqual([
      { name: 'a', port: 443, hosts: ['a.example'], protocol: 'https', tls: { secret: ['shop-cert'] } },
    ])
    expect(form.nodes).toEqual([{ cluster: 'edge' }])
  })

  test('a Patch keeps what is below it as it is written', () => {
    const parsed = parse(patch('merge:\n  connect_timeout: 1s\n  lb_policy: null'))
    expect(parsed.problems).toEqual([])
    expect(kindOf(resourceOf(parsed))?.form).toMatchObject({
      change: {
        merge: {
          entries: [
            { key: 'connect_timeout', line: 5 },
            { key: 'lb_policy', line: 6 },
          ],
        },
      },
    })
    const restored = formOfResource(api, { ...resourceOf(parsed) })
    expect(withoutPlaces(restored)).toEqual(withoutPlaces(kindOf(resourceOf(parsed))?.form))
  })
})

describe('what a document becomes', () => {
  const text = `kind: Route
name: cart
rules:
- backends: [{service: cart, version: v2}, {service: basket}]
  mirror: {service: cart}
  fallback: cart-static
`
  const parsed = parse(text)

  test('one resource that names what it needs, each where it was written', () => {
    const { typeUrl, name, references } = resourceOf(parsed)
    expect(`${typeUrl} ${name}`).toBe('type.googleapis.com/fairlead.v1.Route cart')
    expect(references).toEqual([
      {
        typeUrl: 'type.googleapis.com/fairlead.v1.Service',
        name: 'cart/v2',
        path: 'rules[0].backends[0].version',
        line: 4,
        column: 39,
      },
      {
        typeUrl: 'type.googleapis.com/fairlead.v1.Service',
        name: 'basket',
        path: 'rules[0].backends[1].service',
        line: 4,
        column: 54,
      },
      {
        typeUrl: 'type.googleapis.com/fairlead.v1.Service',
        name: 'cart',
        path: 'rules[0].mirror.service',
        line: 5,
        column: 21,
      },
      {
        typeUrl: 'type.googleapis.com/fairlead.v1.Service',
        name: 'cart-static',
        path: 'rules[0].fallback',
        line: 6,
        column: 13,
      },
    ])
  })

  test('every value can be found again where its author wrote it', () => {
    const places = kindOf(resourceOf(parsed))?.places
    expect(places?.at('rules[0].mirror[0].service')).toEqual({ line: 5, column: 21, path: 'rules[0].mirror.service' })
    expect(places?.at('rules[0].mirror[0].percent')).toEqual({ line: 5, column: 11, path: 'rules[0].mirror.percent' })
    expect(places?.at('rules[0].timeout')).toMatchObject({ line: 4, path: 'rules[0].timeout' })
    expect(places?.at('nothing')).toMatchObject({ line: 1, path: 'nothing' })
  })

  test('a Service provides its versions and its clusters, a Secret its secret', () => {
    const names = (text: string): readonly string[] | undefined =>
      parse(text).documents[0]?.declares?.map(({ typeUrl, name }) => `${typeUrl.split('.').at(-1)} ${name}`)
    expect(names(service('versions: {v1: {a: b}}'))).toEqual(['Service cart/v1', 'Cluster cart', 'Cluster cart/v1'])
    expect(names('kind: Secret\nname: ca\nca: {file: ca.crt}')).toEqual(['Secret ca'])
    expect(names(rule('respond: 404'))).toEqual([])
  })

  test('two Meshes are one resource, whatever they are called', () => {
    expect(resourceOf(parse('kind: Mesh\nname: shop')).name).toBe('mesh')
  })

  test('the order of keys does not matter to the bytes', () => {
    const bytes = (text: string): string => Buffer.from(resourceOf(parse(text)).bytes).toString('hex')
    const a = service('port: 80\nendpoints: {address: 10.0.0.1, port: 1, labels: {a: x, b: y}}')
    const b = 'port: 80\nendpoints: {labels: {b: y, a: x}, port: 1, address: 10.0.0.1}\nname: cart\nkind: Service'
    expect(bytes(a)).toBe(bytes(b))
  })

  test.each<[string, string, unknown]>([
    ['a Gateway the proxies that it selects', gateway('{name: a, port: x}'), { nodes: [{ cluster: 'edge' }] }],
    ['a Gateway that cannot be read every proxy', 'kind: Gateway\nnodes: 1', { nodes: [] }],
    ['a Route its gateways', `${rule('{}')}\ngateways: edge`, { gateways: ['edge'] }],
    ['a Route for sidecars all proxies', `${rule('{}')}\ngateways: [mesh, edge]`, 'proxies'],
    ['a Route without gateways all proxies', rule('{}'), 'proxies'],
    ['a Service all proxies', service('port: x'), 'proxies'],
  ])('in error it touches: %s', (_, text, expected) => {
    const { invalid, documents } = parse(text)
    expect(documents).toEqual([])
    expect(invalid[0]?.touches).toEqual(expected)
  })
})

describe('what is refused, with its place', () => {
  test.each<[string, string, string, RegExp]>([
    // Names of fields and words
    ['a misspelt field', service('endpoint: []'), '3:1 unknown-field endpoint', /mean `endpoints`/],
    ['a field of nobody', service('xyzzy: 1'), '3:1 unknown-field xyzzy', /It has name, protocol/],
    [
      'a misspelt field within',
      service('healthCheck: {tcp: {}, intervl: 5s}'),
      '3:24 unknown-field healthCheck.intervl',
      /`healthCheck` has no field.*mean `interval`/,
    ],
    [
      'a field in two spellings',
      service('health_check: {tcp: {}}\nhealthCheck: {tcp: {}}'),
      '4:1 wrong-type healthCheck',
      /are one field/,
    ],
    [
      'a misspelt condition',
      rule('match: {headers: {x: {prefx: a}}}\nbackends: cart'),
      '4:25 unknown-field rules[0].match.headers.x.prefx',
      /mean `prefix`/,
    ],
    ['a misspelt word', service('protocol: htp'), '3:11 wrong-type protocol', /cannot be `htp`.*mean `http`/],
    ['a word that is a number', service('protocol: 1'), '3:11 wrong-type protocol', /Write `http`, `http2`/],
    // Not in this version
    ['a protocol that is not built', service('protocol: redis'), '3:11 unsupported-field protocol', /Write `tcp`/],
    [
      'a policy that Envoy lacks',
      service('loadBalancing: {policy: peak-ewma}'),
      '3:25 unsupported-field loadBalancing.policy',
      /`orca`, or `least-request`/,
    ],
    ['mTLS', 'kind: Mesh\nname: m\nmtls: strict', '3:7 unsupported-field mtls', /mtls: disabled/],
    ['a domain of trust', 'kind: Mesh\nname: m\ntrustDomain: a.b', '3:1 unsupported-field trustDomain', /Remove it/],
    [
      'a rate limit',
      rule('rateLimit: {requests: 1}\nbackends: cart'),
      '4:3 unsupported-field rules[0].rateLimit',
      /Remove it/,
    ],
    ['a token', 'kind: Secret\nname: t\nca: {file: a}\ntoken: {file: b}', '4:1 unsupported-field token', /Remove it/],
    ['the nodes of a Patch', patch('nodes: {id: a}\nmerge: {a: 1}'), '4:1 unsupported-field nodes', /every proxy/],
    // Types
    [
      'a number for a duration',
      rule('timeout: 5\nbackends: cart'),
      '4:12 wrong-type rules[0].timeout',
      /Write `5s`, or `5ms`/,
    ],
    [
      'a duration without sense',
      rule('timeout: 5x\nbackends: cart'),
      '4:12 wrong-type rules[0].timeout',
      /`500ms`, `5s` or `1m30s`/,
    ],
    [
      'less than a millisecond',
      rule('timeout: 0.0001s\nbackends: cart'),
      '4:12 wrong-type rules[0].timeout',
      /milliseconds/,
    ],
    [
      'no percentage',
      rule('match: {percent: half}\nbackends: cart'),
      '4:20 wrong-type rules[0].match.percent',
      /`10` or `10%`/,
    ],
    [
      'too much of a percentage',
      rule('match: {percent: 101%}\nbackends: cart'),
      '4:20 rule-violation rules[0].match.percent',
      /at most 100/,
    ],
    ['no size', rule('maxRequestSize: 10MB\nbackends: cart'), '4:19 wrong-type rules[0].maxRequestSize', /`64KiB`/],
    [
      'a number for a label',
      service('endpoints: {address: a, port: 1, labels: {version: 1}}'),
      '3:52 wrong-type endpoints.labels.version',
      /quotes/,
    ],
    ['a port in quotes that is none', service('port: http'), '3:7 wrong-type port', /Write a number/],
    ['a port out of range', service('port: 70000'), '3:7 rule-violation port', /at most 65535/],
    ['a list for a map', service('healthCheck: [1]'), '3:14 wrong-type healthCheck', /a map of http, tcp, grpc/],
    ['a text for versions', service('versions: v1'), '3:11 wrong-type versions', /versions: \{name/],
    ['an empty list', rule('match: []\nbackends: cart'), '4:10 rule-violation rules[0].match', /remove `match`/],
    [
      'an address without a port',
      sidecar('service: a\ninbound: {port: 1, app: localhost}'),
      '5:25 wrong-type inbound.app',
      /host:port/,
    ],
    // What must be there
    ['no name', 'kind: Service', '1:1 rule-violation', /A Service needs `name`/],
    ['no rules', 'kind: Route\nname: r', '1:1 rule-violation', /needs `rules`/],
    [
      'a Gateway for nobody',
      'kind: Gateway\nname: g\nlisteners: {name: a, port: 1}',
      '1:1 rule-violation',
      /needs `nodes`/,
    ],
    [
      'an endpoint without a port',
      service('endpoints: {address: a}'),
      '3:12 rule-violation endpoints',
      /`endpoints` needs `port`/,
    ],
    [
      'a health check of no kind',
      service('healthCheck: {interval: 5s}'),
      '3:14 rule-violation healthCheck',
      /one of http, tcp, grpc/,
    ],
    [
      'two health checks in one',
      service('healthCheck: {tcp: {}, http: /}'),
      '3:24 wrong-type healthCheck.http',
      /exclude each other/,
    ],
    [
      'a selector with a typo',
      'kind: Gateway\nname: g\nnodes: {clustr: a}\nlisteners: {name: a, port: 1}',
      '3:9 invalid-selector nodes.clustr',
      /mean `cluster`/,
    ],
    // Names
    ['a name in capitals', 'kind: Service\nname: Cart', '2:7 invalid-name name', /small letters/],
    ['a Service called mesh', 'kind: Service\nname: mesh', '2:7 invalid-name name', /taken by generated/],
    [
      'a version called app',
      service('versions: {app: {a: b}}'),
      '3:17 invalid-name versions.app',
      /taken by generated/,
    ],
    [
      'a version called as the way to hosts of no Service is',
      service('versions: {passthrough: {a: b}}'),
      '3:25 invalid-name versions.passthrough',
      /taken by generated/,
    ],
    ['a rule called by a number', rule('name: "1"\nbackends: cart'), '4:9 invalid-name rules[0].name', /with a letter/],
    // Services
    [
      'dns with versions',
      service('dns: {hostname: db, port: 1}\nversions: {v1: {a: b}}'),
      '4:11 rule-violation versions',
      /no labels/,
    ],
    [
      'dns with endpoints',
      service('dns: {hostname: db, port: 1}\nendpoints: {address: a, port: 1}'),
      '4:12 rule-violation endpoints',
      /exclude each other/,
    ],
    [
      'an address with its port',
      service('endpoints: {address: "10.0.0.1:80", port: 80}'),
      '3:22 rule-violation endpoints.address',
      /Move the port/,
    ],
    [
      'an endpoint twice',
      service('endpoints:\n- {address: a, port: 1}\n- {address: a, port: 1}'),
      '5:3 rule-violation endpoints[1]',
      /stands twice/,
    ],
    [
      'slow start of a random policy',
      service('loadBalancing: {policy: random, slowStart: 1s}'),
      '3:44 rule-violation loadBalancing.slowStart',
      /`least-request` or `round-robin`/,
    ],
    [
      'a hash that nothing reads',
      service('loadBalancing: {policy: random, hash: {header: a}}'),
      '3:39 rule-violation loadBalancing.hash',
      /`ring-hash` or `maglev`/,
    ],
    [
      'weights of zones with a policy that has none',
      service('loadBalancing: {policy: orca, localityWeights: {a: 1}}'),
      '3:48 rule-violation loadBalancing.localityWeights',
      /no effect with the policy `orca`/,
    ],
    [
      'zones preferred where a hash decides',
      service('loadBalancing: {policy: maglev, zoneAware: true}'),
      '3:44 rule-violation loadBalancing.zoneAware',
      /no effect with the policy `maglev`/,
    ],
    [
      'a limit of requests where none are seen',
      service('protocol: tcp\ncircuitBreaker: {maxRequests: 1}'),
      '4:31 rule-violation circuitBreaker.maxRequests',
      /no effect with the protocol `tcp`.*Remove it/,
    ],
    [
      'HTTP/2 settings of a version that speaks HTTP/1.1',
      service('versions: {v1: {labels: {a: b}, connectionPool: {http2: {maxStreams: 1}}}}'),
      '3:57 rule-violation versions.v1.connectionPool.http2',
      /`protocol: http2` or `grpc`/,
    ],
    [
      'a hash of a version',
      service('versions: {v1: {labels: {a: b}, loadBalancing: {hash: {source: true}}}}'),
      '3:55 rule-violation versions.v1.loadBalancing.hash',
      /in the Service/,
    ],
    [
      'TLS within TLS',
      service('protocol: tls\ntls: {ca: shop}'),
      '4:6 rule-violation tls',
      /no effect with the protocol `tls`/,
    ],
    [
      'an address to ask for by name',
      service('tls: {ca: shop, sni: 10.0.0.1}'),
      '3:22 rule-violation tls.sni',
      /host name/,
    ],
    [
      'a pattern for a certificate',
      service('tls: {ca: shop, verify: ["*.example"]}'),
      '3:26 rule-violation tls.verify[0]',
      /spiffe/,
    ],
    [
      'retries limited twice',
      service('circuitBreaker: {maxRetries: 1, retryBudget: 20%}'),
      '3:46 rule-violation circuitBreaker.retryBudget',
      /exclude/,
    ],
    [
      'statuses from high to low',
      service('healthCheck: {http: {path: /, statuses: [299-200]}}'),
      '3:42 rule-violation healthCheck.http.statuses[0]',
      /Swap/,
    ],
    // Routes
    ['no action', rule('timeout: 1s'), '4:3 rule-violation rules[0]', /none of `backends`/],
    ['two actions', rule('backends: cart\nrespond: 404'), '5:12 rule-violation rules[0].respond', /exclude each other/],
    [
      'a timeout of a redirect',
      rule('redirect: {scheme: https}\ntimeout: 1s'),
      '5:12 rule-violation rules[0].timeout',
      /answers at once/,
    ],
    ['a redirect to itself', rule('redirect: {}'), '4:13 rule-violation rules[0].redirect', /where it came from/],
    [
      'a host with its port',
      `${rule('respond: 404')}\nhosts: [cart:80]`,
      '5:9 rule-violation hosts[0]',
      /Remove the port/,
    ],
    [
      'a host in two cases',
      `${rule('respond: 404')}\nhosts: [cart, CART]`,
      '5:15 rule-violation hosts[1]',
      /stands twice/,
    ],
    [
      'a path without its slash',
      rule('match: {path: api}\nrespond: 404'),
      '4:17 rule-violation rules[0].match.path',
      /begins with/,
    ],
    [
      'a path with a query',
      rule('match: {path: /a?b}\nrespond: 404'),
      '4:17 rule-violation rules[0].match.path',
      /by `query`/,
    ],
    [
      'a regex that RE2 has not',
      rule('match: {path: {regex: "(?=a)"}}\nrespond: 404'),
      '4:25 rule-violation rules[0].match.path.regex',
      /RE2/,
    ],
    [
      'a method in small letters',
      rule('match: {methods: get}\nrespond: 404'),
      '4:20 rule-violation rules[0].match.methods',
      /Write `GET`/,
    ],
    [
      'a condition of nothing',
      rule('match: {headers: {x: {}}}\nrespond: 404'),
      '4:24 rule-violation rules[0].match.headers.x',
      /present: true/,
    ],
    [
      'a pseudo-header',
      rule('match: {headers: {":path": a}}\nrespond: 404'),
      '4:30 rule-violation rules[0].match.headers[":path"]',
      /Use `path`/,
    ],
    [
      'a path beside a gRPC method',
      rule('match: {path: /a, grpc: a.B}\nrespond: 404'),
      '4:17 rule-violation rules[0].match.path',
      /exclude/,
    ],
    [
      'a prefix in place of none',
      rule('match: {path: /a}\nrewrite: {prefix: /}\nbackends: cart'),
      '5:21 rule-violation rules[0].rewrite.prefix',
      /no prefix/,
    ],
    [
      'a rewrite of nothing',
      rule('rewrite: {}\nbackends: cart'),
      '4:12 rule-violation rules[0].rewrite',
      /changes nothing/,
    ],
    [
      'an unknown reason to retry',
      rule('retry: {retryOn: [5xxx]}\nbackends: cart'),
      '4:21 rule-violation rules[0].retry.retryOn[0]',
      /mean `5xx`/,
    ],
    ['a fault of nothing', rule('fault: {}\nbackends: cart'), '4:10 rule-violation rules[0].fault', /does nothing/],
    [
      'a fault without a status',
      rule('fault: {abort: {percent: 1}}\nbackends: cart'),
      '4:18 rule-violation rules[0].fault.abort',
      /`status` and `grpcStatus`/,
    ],
    [
      'a header that Envoy keeps',
      rule('headers: {request: {set: {Host: a}}}\nbackends: cart'),
      '4:35 rule-violation rules[0].headers.request.set.Host',
      /rewrite\.host/,
    ],
    [
      'the lifetime of no cookie',
      rule('hash: {header: a, ttl: 1s}\nbackends: cart'),
      '4:26 rule-violation rules[0].hash.ttl',
      /of a cookie/,
    ],
    [
      'the weight of a fallback',
      rule('backends: cart\nfallback: {service: a, weight: 1}'),
      '5:34 rule-violation rules[0].fallback.weight',
      /no effect/,
    ],
    [
      'presence beside a value',
      rule('match: {headers: {x: [a, {present: false}]}}\nrespond: 404'),
      '4:38 rule-violation rules[0].match.headers.x[1].present',
      /stands alone/,
    ],
    [
      'values that may be, and values that may not',
      rule('match: {query: {x: {any: a, not: b}}}\nrespond: 404'),
      '4:36 rule-violation rules[0].match.query.x.not',
      /exclude each other/,
    ],
    [
      'more ways to match than a proxy should have',
      rule(`match: {path: [${Array.from({ length: 257 }, (_, index) => `/${index}`).join(', ')}]}\nrespond: 404`),
      '4:10 rule-violation rules[0].match',
      /257 ways/,
    ],
    [
      'a group that the pattern has not',
      rule(String.raw`rewrite: {regex: {pattern: "/(a)", with: '\2'}}${'\n'}backends: cart`),
      '4:44 rule-violation rules[0].rewrite.regex.with',
      /no group 2/,
    ],
    [
      'a substitution that RE2 does not take',
      rule(String.raw`rewrite: {regex: {pattern: "/(a)", with: '\n'}}${'\n'}backends: cart`),
      '4:44 rule-violation rules[0].rewrite.regex.with',
      /number of a group/,
    ],
    [
      'a longest body of a WebSocket',
      rule('maxRequestSize: 1KiB\nwebsocket: true\nbackends: cart'),
      '4:19 rule-violation rules[0].maxRequestSize',
      /no end/,
    ],
    [
      'a fallback to where it comes from',
      rule('backends: {service: cart, version: a}\nfallback: {service: cart, version: a}'),
      '5:13 rule-violation rules[0].fallback',
      /itself/,
    ],
    [
      'cookies for every site',
      rule('cors: {origins: "*", credentials: true}\nbackends: cart'),
      '4:37 rule-violation rules[0].cors.credentials',
      /Every site/,
    ],
    [
      'a method in small letters behind any',
      rule('cors: {origins: "*", methods: ["*", get]}\nbackends: cart'),
      '4:39 rule-violation rules[0].cors.methods[1]',
      /`GET`/,
    ],
    // Gateways and sidecars
    [
      'https without a certificate',
      gateway('{name: a, port: 1, protocol: https}'),
      '5:3 rule-violation listeners[0]',
      /needs `tls`/,
    ],
    [
      'a certificate on http',
      gateway('{name: a, port: 1, protocol: http, tls: c}'),
      '5:43 rule-violation listeners[0].tls',
      /protocol: https/,
    ],
    [
      'a tcp listener to nowhere',
      gateway('{name: a, port: 1, protocol: tcp}'),
      '5:3 rule-violation listeners[0]',
      /`service` and `backends`/,
    ],
    [
      'a Service on an http listener',
      gateway('{name: a, port: 1, service: b}'),
      '5:31 rule-violation listeners[0].service',
      /in a Route/,
    ],
    [
      'hosts of a tcp listener',
      gateway('{name: a, port: 1, protocol: tcp, service: b, hosts: c}'),
      '5:56 rule-violation listeners[0].hosts',
      /by SNI/,
    ],
    [
      'two listeners of a name',
      gateway('{name: a, port: 1}\n- {name: a, port: 2}'),
      '6:10 rule-violation listeners[1].name',
      /stands twice/,
    ],
    [
      'a port for all that is captured, where nothing is',
      sidecar('outbound: {port: 15001}'),
      '4:18 rule-violation outbound.port',
      /add `capture: iptables`/,
    ],
    [
      'hosts that nobody knows where they are',
      sidecar('outbound: {unknown: allow}\ncapture: ports'),
      '4:21 rule-violation outbound.unknown',
      /nobody knows where a host of no Service is.*add `capture: iptables`/,
    ],
    [
      'IPv6 for what does not come in',
      sidecar('ipv6: true'),
      '4:7 rule-violation ipv6',
      /nothing does.*`capture: iptables`/,
    ],
    ['requests for nobody', sidecar('inbound: {port: 1, app: "a:1"}'), '4:10 rule-violation inbound', /Add `service`/],
    [
      'one port in and out',
      sidecar('service: a\ninbound: {port: 1, app: "a:1"}\noutbound: {port: 1}\ncapture: iptables'),
      '6:18 rule-violation outbound.port',
      /Write another/,
    ],
    // The others
    ['a Secret of nothing', 'kind: Secret\nname: s', '1:1 rule-violation', /`certificate` and `ca`/],
    [
      'a certificate without a key',
      'kind: Secret\nname: s\ncertificate: {chain: {file: a}}',
      '3:14 rule-violation certificate',
      /needs `key`/,
    ],
    ['a Patch of nothing', patch(''), '1:1 rule-violation', /none of `merge`/],
    [
      'two changes in a Patch',
      patch('merge: {a: 1}\nremove: true\nat: {route: a}'),
      '5:9 rule-violation remove',
      /exclude/,
    ],
    ['a removal of nobody knows what', patch('remove: true'), '1:1 rule-violation', /Add `at`/],
    [
      'a step without a value',
      patch('jsonPatch: {op: add, path: /a}'),
      '4:12 rule-violation jsonPatch',
      /needs `value`/,
    ],
    [
      'a step to nowhere',
      patch('jsonPatch: {op: remove, path: a}'),
      '4:31 rule-violation jsonPatch.path',
      /JSON pointer/,
    ],
    [
      'two collectors of traces',
      'kind: Mesh\nname: m\ntracing: {otlp: "a:1", zipkin: "b:1"}',
      '3:32 rule-violation tracing.zipkin',
      /exclude/,
    ],
    [
      'a log that is off and has a path',
      'kind: Mesh\nname: m\naccessLog: {off: true, path: /a}',
      '3:30 rule-violation accessLog.path',
      /no effect/,
    ],
  ])('%s', (_, text, expected, words) => {
    const parsed = parse(text)
    expect(said(parsed)).toEqual([expected])
    const [problem] = parsed.problems
    expect(`${problem?.message} ${problem?.fix}`).toMatch(words)
    expect(problem?.fix).not.toBe('')
    expect(parsed.documents).toEqual([])
  })

  test('all that is wrong is told at once, and nothing that only follows', () => {
    const parsed = parse(`kind: Route
hosts: [cart:80]
rules:
- backend: cart
- match: {path: api, methods: [get]}
  backends: {service: cart, weight: x}
  timeout: 5
`)
    expect(said(parsed)).toEqual([
      '1:1 rule-violation',
      '2:9 rule-violation hosts[0]',
      '4:3 unknown-field rules[0].backend',
      '5:17 rule-violation rules[1].match.path',
      '5:32 rule-violation rules[1].match.methods[0]',
      '6:37 wrong-type rules[1].backends.weight',
      '7:12 wrong-type rules[1].timeout',
    ])
  })
})

describe('an instance, which is no document', () => {
  const read = (text: string): ParsedKind => {
    const [yaml] = parseYaml(text, { maxValues: 100, maxDepth: 10 })
    return parseKind(api, 'Instance', yaml?.tree as MapTree, { name: 'etcd:/endpoints/cart/i-1' }, everything)
  }

  test('is a name and an endpoint', () => {
    const { read: instance, problems } = read(
      '{name: cart/i-1, service: cart, endpoint: {address: 10.0.0.1, port: 80, zone: a}}',
    )
    expect(problems).toEqual([])
    expect(instance?.form).toEqual({
      kind: 'Instance',
      name: 'cart/i-1',
      service: 'cart',
      endpoint: { address: '10.0.0.1', port: 80, zone: 'a' },
    })
  })

  test.each<[string, string, string]>([
    ['of another service', '{name: web/i-1, service: cart, endpoint: {address: a, port: 80}}', 'invalid-name name'],
    ['without an address', '{name: cart/i-1, service: cart, endpoint: {port: 80}}', 'rule-violation endpoint'],
    [
      'at no address',
      '{name: cart/i-1, service: cart, endpoint: {address: "a:1", port: 80}}',
      'rule-violation endpoint.address',
    ],
  ])('%s is refused', (_, text, expected) => {
    expect(read(text).problems.map(({ code, path }) => `${code} ${path}`)).toEqual([expected])
  })
})

describe('what has no translation yet', () => {
  test('the simplest documents are in force', () => {
    const parsed = parse(
      `${service('port: 80\nprotocol: grpc\nendpoints: {address: 10.0.0.1, port: 1}')}
---
${rule('match: {path: [/a, {prefix: /b}]}\nbackends: {service: cart, weight: 2}')}
---
${gateway('{name: http, port: 80, hosts: a.b}')}`,
      notYet,
    )
    expect(parsed.problems).toEqual([])
    expect(parsed.documents).toHaveLength(3)
  })

  /** The product's own list gets shorter. */
  const some: NotYet = {
    kinds: new Set(['Mesh']),
    fields: new Set(['Service.dns', 'Endpoint.zone', 'TextMatch.regex']),
    words: new Set(['Service.protocol=tcp']),
  }

  test.each<[string, string]>([
    ['a kind', 'kind: Mesh\nname: m'],
    ['a field', service('dns: {hostname: a, port: 1}')],
    ['a field within', service('endpoints: {address: 10.0.0.1, port: 1, zone: a}')],
    ['a word', service('protocol: tcp')],
    ['a way to match', rule('match: {path: {regex: /a}}\nbackends: cart')],
  ])('%s is refused by name', (_, text) => {
    const { problems, documents } = parse(text, some)
    expect(problems.map(({ message }) => message)).toEqual([expect.stringContaining('is not in this version.')])
    expect(documents).toEqual([])
    expect(parse(text).problems).toEqual([])
  })
})
