import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../config/field-reader.ts'
import { Headers } from '../http/headers.ts'
import type { Runtime } from '../runtime.ts'
import { chooseCluster } from './cluster-choice.ts'
import type { ForwardAction } from './forward-action.ts'
import { type HashSubject, hashOf } from './hash-policy.ts'
import { readRouteTable } from './route-table.ts'

const byDefaultOnly: Runtime = {
  number: (_, byDefault) => byDefault,
  flag: (_, byDefault) => byDefault,
  isChosen: (_, { numerator, denominator }, random) => random < numerator / denominator,
}

const plain = { perRoute: {}, compile: (template: string) => () => template }

interface Asked {
  readonly host?: string
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly random?: number
}

function requestOf({ host = 'cart', path = '/', headers = {} }: Asked): Headers {
  return Headers.of({ ':method': 'GET', ':path': path, ':authority': host, ':scheme': 'http', ...headers })
}

/** The name of the virtual host and of the route that a request takes. */
function found(config: JsonObject, asked: Asked): string {
  const table = readRouteTable(config, plain)
  const taken = table.find({ headers: requestOf(asked), runtime: byDefaultOnly, random: asked.random ?? 0.5 })
  return taken === undefined ? 'no host' : `${taken.virtualHost.name}: ${taken.route?.name ?? 'no route'}`
}

const respond = { direct_response: { status: 200 } }

describe('the virtual host of a request', () => {
  const config: JsonObject = {
    name: 'r',
    ignore_port_in_host_matching: true,
    virtual_hosts: [
      { name: 'rest', domains: ['*'] },
      { name: 'suffix', domains: ['*.example'] },
      { name: 'longer', domains: ['*.shop.example'] },
      { name: 'prefix', domains: ['cart.*'] },
      { name: 'exact', domains: ['cart.shop.example'] },
    ],
  }

  test.each([
    ['cart.shop.example', 'exact'],
    ['CART.shop.example:8080', 'exact'],
    ['a.shop.example', 'longer'],
    ['.shop.example', 'suffix'],
    ['b.example', 'suffix'],
    ['cart.other', 'prefix'],
    ['cart.', 'rest'],
    ['other', 'rest'],
    ['[::1]:80', 'rest'],
  ])('of %s is %s', (host, name) => {
    expect(found(config, { host })).toBe(`${name}: no route`)
  })

  test('is none where no domain fits', () => {
    expect(found({ name: 'r', virtual_hosts: [{ name: 'a', domains: ['a'] }] }, { host: 'b' })).toBe('no host')
  })

  test('must have its domains alone', () => {
    const twice = { name: 'r', virtual_hosts: [{ domains: ['a'] }, { domains: ['A'] }] }
    expect(() => readRouteTable(twice, plain)).toThrow(
      'Only unique values for domains are permitted. Duplicate entry of domain A in route r',
    )
  })
})

describe('the route of a request', () => {
  const takes = (match: JsonObject, asked: Asked): boolean =>
    found({ virtual_hosts: [{ name: 'h', domains: ['*'], routes: [{ name: 'taken', match, ...respond }] }] }, asked) ===
    'h: taken'

  test.each<[JsonObject, string, boolean]>([
    [{ prefix: '/api' }, '/apiary', true],
    [{ prefix: '/api' }, '/ap', false],
    [{ prefix: '/API', case_sensitive: false }, '/api/x', true],
    [{ path_separated_prefix: '/api' }, '/api', true],
    [{ path_separated_prefix: '/api' }, '/api/x?y', true],
    [{ path_separated_prefix: '/api' }, '/api?y', true],
    [{ path_separated_prefix: '/api' }, '/apiary', false],
    [{ path: '/api' }, '/api?a=b', true],
    [{ path: '/api' }, '/api#top', true],
    [{ path: '/api' }, '/api/', false],
    [{ safe_regex: { regex: '/a+' } }, '/aaa?b', true],
    [{ safe_regex: { regex: '/a+' } }, '/aaab', false],
  ])('that matches %j takes %s: %s', (match, path, isTaken) => {
    expect(takes(match, { path })).toBe(isTaken)
  })

  test.each<[JsonObject, Readonly<Record<string, string>>, boolean]>([
    [{ name: 'X-A', string_match: { exact: 'b' } }, { 'x-a': 'b' }, true],
    [{ name: 'x-a', string_match: { exact: 'B', ignore_case: true } }, { 'x-a': 'b' }, true],
    [{ name: 'x-a', string_match: { exact: 'b' } }, {}, false],
    [{ name: 'x-a', string_match: { exact: 'b' }, invert_match: true }, {}, false],
    [{ name: 'x-a', string_match: { exact: 'b' }, invert_match: true }, { 'x-a': 'c' }, true],
    [{ name: 'x-a', string_match: { exact: 'b' }, invert_match: true, treat_missing_header_as_empty: true }, {}, true],
    [{ name: 'x-a', present_match: true }, { 'x-a': '' }, true],
    [{ name: 'x-a', present_match: true, invert_match: true }, {}, true],
    [{ name: 'x-a', present_match: false }, { 'x-a': 'b' }, false],
    [{ name: 'x-a' }, { 'x-a': 'b' }, true],
    [{ name: 'x-a', range_match: { start: '1', end: '3' } }, { 'x-a': '2' }, true],
    [{ name: 'x-a', range_match: { start: '1', end: '3' } }, { 'x-a': '3' }, false],
    [{ name: 'x-a', range_match: { start: '1', end: '3' } }, { 'x-a': '2x' }, false],
    [{ name: ':method', string_match: { exact: 'GET' } }, {}, true],
  ])('with the header %j and %j: %s', (matcher, headers, isTaken) => {
    expect(takes({ prefix: '/', headers: [matcher] }, { headers })).toBe(isTaken)
  })

  test('sees repeated headers as one text with commas', () => {
    const table = readRouteTable(
      {
        virtual_hosts: [
          {
            domains: ['*'],
            routes: [
              { match: { prefix: '/', headers: [{ name: 'x-a', string_match: { exact: 'b,c' } }] }, ...respond },
            ],
          },
        ],
      },
      plain,
    )
    const headers = requestOf({})
    headers.append('x-a', 'b')
    headers.append('x-a', 'c')
    expect(table.find({ headers, runtime: byDefaultOnly, random: 0 })?.route).toBeDefined()
  })

  test.each<[JsonObject, string, boolean]>([
    [{ name: 'a', string_match: { exact: 'b' } }, '/?a=b', true],
    [{ name: 'a', string_match: { exact: 'b c' } }, '/?x&a=b%20c', false],
    [{ name: 'a', string_match: { exact: 'b%20c' } }, '/?x&a=b%20c', true],
    [{ name: 'a', string_match: { exact: 'b' } }, '/?a=c&a=b', false],
    [{ name: 'a', present_match: true }, '/?a', true],
    [{ name: 'a', present_match: true }, '/?b', false],
    [{ name: 'a', present_match: false }, '/?b', true],
  ])('with the parameter %j takes %s: %s', (matcher, path, isTaken) => {
    expect(takes({ prefix: '/', query_parameters: [matcher] }, { path })).toBe(isTaken)
  })

  test('by chance is asked last, and by the one random number of the request', () => {
    const share = { default_value: { numerator: 10 }, runtime_key: '' }
    expect(takes({ prefix: '/', runtime_fraction: share }, { random: 0.09 })).toBe(true)
    expect(takes({ prefix: '/', runtime_fraction: share }, { random: 0.1 })).toBe(false)
  })

  test('of gRPC is known by its content type', () => {
    const taken = (type: string): boolean => takes({ prefix: '/', grpc: {} }, { headers: { 'content-type': type } })
    expect(['application/grpc', 'application/grpc+proto', 'application/grpc-web'].map(taken)).toEqual([
      true,
      true,
      false,
    ])
  })

  test('is the first that matches', () => {
    const routes = [
      { name: 'a', match: { path: '/a' }, ...respond },
      { name: 'b', match: { prefix: '/' }, ...respond },
      { name: 'c', match: { path: '/c' }, ...respond },
    ]
    const config = { virtual_hosts: [{ name: 'h', domains: ['*'], routes }] }
    expect(['/a', '/c', '/d'].map((path) => found(config, { path }))).toEqual(['h: a', 'h: b', 'h: b'])
  })
})

describe('what a route does', () => {
  const actionOf = (match: JsonObject, rest: JsonObject) => {
    const config = { virtual_hosts: [{ domains: ['*'], routes: [{ match, ...rest }] }] }
    const taken = readRouteTable(config, plain).find({
      headers: requestOf({ path: '/api/x?y' }),
      runtime: byDefaultOnly,
      random: 0,
    })
    return taken?.route?.action
  }

  test.each<[JsonObject, JsonObject, string]>([
    [{ prefix: '/api' }, { prefix_rewrite: '/v2' }, '/v2/x?y'],
    [{ prefix: '/api/' }, { prefix_rewrite: '/' }, '/x?y'],
    [{ path: '/api/x' }, { prefix_rewrite: '/z' }, '/z?y'],
    [{ prefix: '/' }, { regex_rewrite: { pattern: { regex: '/api/(.*)' }, substitution: '/\\1/api' } }, '/x/api?y'],
  ])('matching %j it rewrites by %j to %s', (match, route, path) => {
    const action = actionOf(match, { route: { cluster: 'c', ...route } }) as ForwardAction
    expect(action.pathRewrite?.('/api/x?y')).toBe(path)
  })

  test.each<[JsonObject, Asked, string]>([
    [{ https_redirect: true }, {}, 'https://cart/api/x?y'],
    [{ https_redirect: true }, { host: 'cart:80' }, 'https://cart/api/x?y'],
    [{ https_redirect: true }, { host: 'cart:8080' }, 'https://cart:8080/api/x?y'],
    [{ https_redirect: true, port_redirect: 8443 }, { host: 'cart:80' }, 'https://cart:8443/api/x?y'],
    [{ host_redirect: 'shop' }, {}, 'http://shop/api/x?y'],
    [{ path_redirect: '/z' }, {}, 'http://cart/z?y'],
    [{ path_redirect: '/z?own' }, {}, 'http://cart/z?own'],
    [{ prefix_rewrite: '/v2' }, {}, 'http://cart/v2/x?y'],
    [{ prefix_rewrite: '/v2', strip_query: true }, {}, 'http://cart/v2/x'],
  ])('it redirects by %j', (redirect, asked, location) => {
    const action = actionOf({ prefix: '/api' }, { redirect })
    if (action?.kind !== 'redirect') throw new Error('no redirect')
    const headers = { 'x-forwarded-proto': 'http' }
    expect(action.locationOf(requestOf({ path: '/api/x?y', headers, ...asked }))).toBe(location)
  })

  test('it chooses among clusters by weight', () => {
    const weighted_clusters = {
      clusters: [
        { name: 'a', weight: 99 },
        { name: 'b', weight: 1 },
      ],
    }
    const { cluster } = actionOf({ prefix: '/' }, { route: { weighted_clusters } }) as ForwardAction
    const at = (random: number) => chooseCluster(cluster, requestOf({}), random, undefined).name
    expect([at(0), at(0.989), at(0.99), at(0.999)]).toEqual(['a', 'a', 'b', 'b'])
  })

  test('weights that are all 0 are refused', () => {
    const weighted_clusters = { clusters: [{ name: 'a' }] }
    expect(() => actionOf({ prefix: '/' }, { route: { weighted_clusters } })).toThrow('must be greater than 0')
  })

  test('what it does not know is refused with its path', () => {
    expect(() => actionOf({ prefix: '/' }, { route: { cluster: 'a', rate_limits: [{}] } })).toThrow(
      'virtual_hosts[0].routes[0].route.rate_limits: the reference proxy does not know this field',
    )
  })
})

describe('the hash of a request', () => {
  const policiesOf = (...hash_policy: JsonObject[]) => {
    const routes = [{ match: { prefix: '/' }, route: { cluster: 'c', hash_policy } }]
    const table = readRouteTable({ virtual_hosts: [{ domains: ['*'], routes }] }, plain)
    const taken = table.find({ headers: requestOf({}), runtime: byDefaultOnly, random: 0 })
    const action = taken?.route?.action
    return action?.kind === 'forward' ? action.hashPolicies : []
  }
  const subject = (headers: Readonly<Record<string, string>>, cookies: string[] = []): HashSubject => ({
    request: requestOf({ headers }),
    remoteIp: '10.0.0.1',
    remoteAddress: '10.0.0.1:1',
    localAddress: '10.0.0.2:80',
    setCookie: (line) => cookies.push(line),
  })
  const byHeader = { header: { header_name: 'x-user' } }

  test('is that of xxHash64', () => {
    expect(hashOf(policiesOf(byHeader), subject({ 'x-user': 'a' }))).toBe(0xd2_4e_c4_f1_a9_8c_6e_5bn)
    expect(hashOf(policiesOf(byHeader), subject({}))).toBeUndefined()
  })

  test('ends with a terminal policy that found something', () => {
    const terminal = policiesOf({ ...byHeader, terminal: true }, { connection_properties: { source_ip: true } })
    const user = subject({ 'x-user': 'ann' })
    expect(hashOf(terminal, user)).toBe(hashOf(policiesOf(byHeader), user))
    expect(hashOf(terminal, subject({}))).toBe(
      hashOf(policiesOf({ connection_properties: { source_ip: true } }), subject({})),
    )
  })

  test('gives a client without the cookie one to keep', () => {
    const policies = policiesOf({ cookie: { name: 'arm', ttl: '60s', path: '/' } })
    const cookies: string[] = []
    const first = hashOf(policies, subject({}, cookies))
    const [line = ''] = cookies
    expect(line).toMatch(/^arm="[\da-f]+"; Max-Age=60; Path=\/; HttpOnly$/)
    expect(hashOf(policies, subject({ cookie: line.slice(0, line.indexOf(';')) }))).toBe(first)
  })
})
