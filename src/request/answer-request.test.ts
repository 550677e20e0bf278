import { describe, expect, it } from 'vitest'
import { answerOf } from './answer-request.ts'
import type { FilterChainForm, ListenerForm, RouteForm, RouteMatchForm } from './envoy-form.ts'
import { type NamedJson, proxyResourcesOf } from './proxy-resources.ts'
import type { RequestAnswer, RequestQuestion } from './request-question.ts'

const typed = (message: string, fields: object): { typed_config: { '@type': string } } => ({
  typed_config: { '@type': `type.googleapis.com/envoy.extensions.x.v3.${message}`, ...fields },
})

const http = (fields: object = {}, chain: object = {}): FilterChainForm => ({
  filters: [typed('HttpConnectionManager', { rds: { route_config_name: 'routes' }, ...fields })],
  ...chain,
})

const tcp = (cluster: string, match: object = {}): FilterChainForm => ({
  filters: [typed('TcpProxy', { cluster })],
  filter_chain_match: match,
})

const listener = (name: string, port: number, ...chains: readonly FilterChainForm[]): ListenerForm => ({
  name,
  address: { socket_address: { address: '0.0.0.0', port_value: port } },
  filter_chains: chains,
})

function resources(listeners: readonly ListenerForm[], ...others: readonly NamedJson[]): readonly NamedJson[] {
  return [...listeners.map((json) => ({ type: 'listener', name: json.name ?? '', json })), ...others]
}

function routes(hosts: Readonly<Record<string, readonly RouteForm[]>>, fields: object = {}): NamedJson {
  const virtual_hosts = Object.entries(hosts).map(([domain, list]) => ({
    name: domain,
    domains: [domain],
    routes: list,
  }))
  return { type: 'route', name: 'routes', json: { name: 'routes', virtual_hosts, ...fields } }
}

const to = (name: string, match: RouteMatchForm, more: object = {}): RouteForm => ({
  name,
  match,
  route: { cluster: name, ...more },
})

function get(url: string, more: Partial<RequestQuestion> = {}): RequestQuestion {
  const [, scheme, authority = '', path = ''] = /^(https?):\/\/([^/]*)(.*)$/.exec(url) ?? []
  const port = /:(\d+)$/.exec(authority)?.[1]
  const own = { method: 'GET', scheme: scheme as 'http', authority, path: path || '/', headers: [] }
  return { ...own, ...(port !== undefined && { port: Number(port) }), ...more }
}

const ask = (all: readonly NamedJson[], question: RequestQuestion): RequestAnswer =>
  answerOf(proxyResourcesOf(all), question)

const oneHttp = (list: readonly RouteForm[], manager: object = {}): readonly NamedJson[] =>
  resources([listener('http', 80, http(manager))], routes({ '*': list }))

const headers = (...list: readonly (readonly [string, string])[]): Partial<RequestQuestion> => ({ headers: list })

describe('a route takes', () => {
  const regex = (text: string): object => ({ safe_regex: { regex: text } })
  it.each<[string, RouteMatchForm, RequestQuestion]>([
    ['what begins with its prefix', { prefix: '/a' }, get('http://x/ab')],
    ['what is below its prefix', { path_separated_prefix: '/a' }, get('http://x/a/b')],
    ['its prefix itself, with a query', { path_separated_prefix: '/a' }, get('http://x/a?q=1')],
    ['its path, whatever the query', { path: '/a' }, get('http://x/a?q=1')],
    ['its path in another case, if told so', { path: '/A', case_sensitive: false }, get('http://x/a')],
    ['a path that its regex matches as a whole', { safe_regex: { regex: '/a+' } }, get('http://x/aaa?b')],
    [
      'a header of that value, its name in any case',
      { prefix: '/', headers: [{ name: 'x-a', string_match: { exact: 'b' } }] },
      get('http://x/', headers(['X-A', 'b'])),
    ],
    [
      'headers of one name, joined',
      { prefix: '/', headers: [{ name: 'x-a', string_match: { exact: 'b,c' } }] },
      get('http://x/', headers(['x-a', 'b'], ['x-a', 'c'])),
    ],
    [
      'a method of several',
      { prefix: '/', headers: [{ name: ':method', string_match: regex('GET|HEAD') }] },
      get('http://x/'),
    ],
    [
      'a request without a header',
      { prefix: '/', headers: [{ name: 'x-a', present_match: true, invert_match: true }] },
      get('http://x/'),
    ],
    [
      'a header that is not there as another value, if told to take it for empty',
      {
        prefix: '/',
        headers: [
          { name: 'x-a', string_match: { exact: 'b' }, invert_match: true, treat_missing_header_as_empty: true },
        ],
      },
      get('http://x/'),
    ],
    [
      'a number in a range',
      { prefix: '/', headers: [{ name: 'x-a', range_match: { start: '-1', end: '3' } }] },
      get('http://x/', headers(['x-a', '2'])),
    ],
    [
      'a cookie among others',
      { prefix: '/', headers: [{ name: 'cookie', string_match: regex('(?:^|.*;\\s*)a=(?:1)(?:;.*|$)') }] },
      get('http://x/', headers(['cookie', 'b=2; a=1'])),
    ],
    [
      'a query parameter, by its first value',
      { prefix: '/', query_parameters: [{ name: 'a', string_match: { prefix: 'b' } }] },
      get('http://x/?z&a=bc&a=d'),
    ],
    [
      'a query parameter without a value',
      { prefix: '/', query_parameters: [{ name: 'a', present_match: true }] },
      get('http://x/?a'),
    ],
    ['gRPC', { prefix: '/', grpc: {} }, get('http://x/', headers(['content-type', 'application/grpc+proto']))],
    ['what the normalized path is', { path: '/a/b' }, get('http://x/./z/..//%61/b')],
  ])('%s', (_, match, question) => {
    const manager = { normalize_path: true, merge_slashes: true }
    expect(ask(oneHttp([to('a', match)], manager), question).outcomes).toMatchObject([
      { route: 'a', action: 'forward', share: 100, clusters: [{ name: 'a', exists: false }] },
    ])
  })

  it.each<[string, RouteMatchForm, RequestQuestion, string, string]>([
    ['another path below', { path_separated_prefix: '/a' }, get('http://x/ab'), 'prefix /a', 'yours is /ab'],
    ['part of a path', { safe_regex: { regex: '/a' } }, get('http://x/ab'), 'path matching /a', 'yours is /ab'],
    [
      'another method',
      { prefix: '/', headers: [{ name: ':method', string_match: regex('^(?:GET|HEAD)$') }] },
      get('http://x/', { method: 'POST' }),
      'method GET or HEAD',
      'yours is POST',
    ],
    [
      'a header that is not there, even where its value is refused',
      { prefix: '/', headers: [{ name: 'x-a', string_match: { exact: 'b' }, invert_match: true }] },
      get('http://x/'),
      'header x-a: not b',
      'you sent none',
    ],
    [
      'a header that must not be there',
      { prefix: '/', headers: [{ name: 'x-a', present_match: true, invert_match: true }] },
      get('http://x/', headers(['x-a', '1'])),
      'no header x-a',
      'you sent "1"',
    ],
    [
      'a later value of a query parameter',
      { prefix: '/', query_parameters: [{ name: 'a', string_match: { exact: '2' } }] },
      get('http://x/?a=1&a=2'),
      'query parameter a=2',
      'you sent "1"',
    ],
    ['JSON for gRPC', { prefix: '/', grpc: {} }, get('http://x/'), 'a gRPC request', 'you sent no content-type'],
    [
      'what only the proxy knows',
      { prefix: '/', dynamic_metadata: [{}] },
      get('http://x/'),
      'dynamic_metadata',
      'which only a proxy can tell',
    ],
  ])('not %s, and says what it lacked', (_, match, question, needs, got) => {
    const answer = ask(oneHttp([to('a', match)]), question)
    expect(answer).toMatchObject({
      outcomes: [{ action: 'not-found', status: 404 }],
      nearest: { route: 'a', lacks: [{ needs, got }] },
    })
  })
})

describe('of several routes', () => {
  const beta = { headers: [{ name: 'x-a', string_match: { exact: 'b' } }] }
  it('the first that matches takes it, and the nearest is the one before that lacked least', () => {
    const list = [
      to('far', { prefix: '/z', ...beta }),
      to('near', { prefix: '/', ...beta }),
      to('taken', { prefix: '/' }),
      to('after', { prefix: '/z' }),
    ]
    expect(ask(oneHttp(list), get('http://x/a'))).toMatchObject({
      outcomes: [{ route: 'taken', match: 'prefix /' }],
      nearest: { route: 'near', lacks: [{ needs: 'header x-a: b', got: 'you sent none' }] },
    })
  })

  it('one that takes a share leaves the rest to those that follow', () => {
    const share = (numerator: number): RouteMatchForm => ({
      prefix: '/',
      runtime_fraction: { default_value: { numerator, denominator: 'MILLION' } },
    })
    const { outcomes } = ask(oneHttp([to('none', share(0)), to('some', share(250_000))]), get('http://x/'))
    expect(outcomes).toMatchObject([
      { route: 'some', share: 25, match: 'prefix /, 25% of it' },
      { action: 'not-found', share: 75 },
    ])
  })

  it('chance is drawn once for all of them', () => {
    const share = (numerator: number): RouteMatchForm => ({
      prefix: '/',
      runtime_fraction: { default_value: { numerator } },
    })
    const list = [to('a', share(30)), to('same', share(30)), to('more', share(50)), to('rest', { prefix: '/' })]
    expect(ask(oneHttp(list), get('http://x/')).outcomes).toMatchObject([
      { route: 'a', share: 30 },
      { route: 'more', share: 20 },
      { route: 'rest', share: 50 },
    ])
  })

  it('one without a name is called by its place', () => {
    const list = [to('a', { path: '/a' }), { match: { prefix: '/' }, direct_response: { status: 418 } }]
    expect(ask(oneHttp(list), get('http://x/')).outcomes).toMatchObject([{ route: 'routes[1]', status: 418 }])
  })
})

describe('a host is', () => {
  const hosts = routes(
    Object.fromEntries(['a.b.c', '*.b.c', '*.c', 'a.*', '*'].map((domain) => [domain, [to(domain, { prefix: '/' })]])),
    { ignore_port_in_host_matching: true },
  )
  it.each([
    ['a.b.c', 'a.b.c'],
    ['A.B.C:8080', 'a.b.c'],
    ['x.b.c', '*.b.c'],
    ['y.x.b.c', '*.b.c'],
    ['b.c', '*.c'],
    ['a.d', 'a.*'],
    ['.c', '*'],
    ['d', '*'],
    ['[::1]:80', '*'],
  ])('%s taken by %s', (host, domain) => {
    const all = resources([listener('http', 80, http())], hosts)
    expect(ask(all, get('http://x/', headers(['host', host])))).toMatchObject({ virtualHost: domain })
  })

  it('taken with its port, unless the routes say to ignore it', () => {
    const all = resources([listener('http', 80, http())], routes({ x: [to('a', { prefix: '/' })] }))
    expect(ask(all, get('http://x/', headers(['host', 'x:8080'])))).toMatchObject({
      outcomes: [{ action: 'not-found', why: 'no host of it is x:8080; it has x' }],
    })
  })
})

describe('a route', () => {
  it.each<[string, RouteForm, string, object]>([
    ['rewrites a prefix', to('a', { prefix: '/a' }, { prefix_rewrite: '/b' }), '/a/x?q', { path: '/b/x?q' }],
    ['rewrites a whole path', to('a', { path: '/a' }, { prefix_rewrite: '/b' }), '/a?q', { path: '/b?q' }],
    [
      'rewrites by regex, the query left as it is',
      to('a', { prefix: '/' }, { regex_rewrite: { pattern: { regex: '^/(\\w)/?' }, substitution: '/\\1\\1/' } }),
      '/a/x?a/',
      { path: '/aa/x?a/' },
    ],
    ['rewrites the host', to('a', { prefix: '/' }, { host_rewrite_literal: 'b' }), '/', { host: 'b' }],
    ['has 15 s', to('a', { prefix: '/' }), '/', { timeout: '15s' }],
    ['has all the time', to('a', { prefix: '/' }, { timeout: '0s' }), '/', { timeout: 'none' }],
    [
      'retries',
      to(
        'a',
        { prefix: '/' },
        {
          retry_policy: {
            num_retries: 3,
            retry_on: '5xx,retriable-status-codes',
            retriable_status_codes: [429],
            retriable_request_headers: [{ name: ':method', string_match: { safe_regex: { regex: 'GET|HEAD' } } }],
          },
        },
      ),
      '/',
      { retries: '3 on 5xx, 429 (GET, HEAD)' },
    ],
    [
      'mirrors',
      to(
        'a',
        { prefix: '/' },
        {
          request_mirror_policies: [{ cluster: 'b', runtime_fraction: { default_value: { numerator: 10 } } }],
        },
      ),
      '/',
      { mirrors: [{ name: 'b', share: 10 }] },
    ],
    [
      'redirects to https, without the port of http',
      { match: { prefix: '/' }, redirect: { https_redirect: true } },
      '/a?q',
      { action: 'redirect', status: 301, location: 'https://x/a?q' },
    ],
    [
      'redirects to another host, port, prefix and status',
      {
        match: { prefix: '/a' },
        redirect: { host_redirect: 'y', port_redirect: 8443, prefix_rewrite: '/b', response_code: 'FOUND' },
      },
      '/a/c?q',
      { status: 302, location: 'http://y:8443/b/c?q' },
    ],
    [
      'redirects to another path, the query kept or not',
      { match: { prefix: '/' }, redirect: { path_redirect: '/b', strip_query: true } },
      '/a?q',
      { location: 'http://x:80/b' },
    ],
    [
      'responds itself',
      { match: { prefix: '/' }, direct_response: { status: 404, body: { inline_string: 'no such page' } } },
      '/',
      { action: 'respond', status: 404, body: 'no such page' },
    ],
    [
      'goes where a header says',
      to('a', { prefix: '/' }, { cluster: undefined, cluster_header: ':method' }),
      '/',
      { clusters: [{ name: 'GET', share: 100 }] },
    ],
  ])('%s', (_, route, path, outcome) => {
    expect(ask(oneHttp([route]), get(`http://x:80${path}`)).outcomes).toMatchObject([outcome])
  })

  it('shares by weight, with the endpoints that each cluster has', () => {
    const endpoint = (address: string, more: object = {}): object => ({
      endpoint: { address: { socket_address: { address, port_value: 1 } } },
      ...more,
    })
    const weighted = { clusters: ['a', 'b', 'both'].map((name, index) => ({ name, weight: [99, 1, 0][index] })) }
    const all = [
      ...oneHttp([to('r', { prefix: '/' }, { cluster: undefined, weighted_clusters: weighted })]),
      { type: 'cluster', name: 'a', json: { name: 'a', type: 'EDS', eds_cluster_config: {} } },
      {
        type: 'endpoint',
        name: 'a',
        json: {
          endpoints: [
            { priority: 1, lb_endpoints: [endpoint('10.0.0.3', { health_status: 'DRAINING' })] },
            { locality: { zone: 'z' }, lb_endpoints: [endpoint('10.0.0.1'), endpoint('::1')] },
          ],
        },
      },
      {
        type: 'cluster',
        name: 'b',
        json: { name: 'b', load_assignment: { endpoints: [{ lb_endpoints: [endpoint('b.test')] }] } },
      },
      {
        type: 'cluster',
        name: 'both',
        json: { name: 'both', cluster_type: { typed_config: { clusters: ['both', 'b', 'gone', 'a'] } } },
      },
    ]
    const a = [
      { address: '10.0.0.1:1', zone: 'z' },
      { address: '[::1]:1', zone: 'z' },
      { address: '10.0.0.3:1', health: 'draining', priority: 1 },
    ]
    const b = [{ address: 'b.test:1' }]
    expect(ask(all, get('http://x/')).outcomes[0]?.clusters).toEqual([
      { name: 'a', share: 99, exists: true, endpoints: a },
      { name: 'b', share: 1, exists: true, endpoints: b },
      { name: 'both', share: 0, exists: true, endpoints: [...b, ...a] },
    ])
  })

  it.each([
    ['by-name', { cluster_type: { name: 'envoy.clusters.dynamic_forward_proxy' } }],
    ['by-destination', { type: 'ORIGINAL_DST' }],
  ])('that is told no endpoints may find them %s', (finds, fields) => {
    const all = [
      ...oneHttp([to('out', { prefix: '/' })]),
      { type: 'cluster', name: 'out', json: { name: 'out', ...fields } },
    ]
    expect(ask(all, get('http://x/')).outcomes[0]?.clusters).toEqual([
      { name: 'out', share: 100, exists: true, finds, endpoints: [] },
    ])
  })
})

describe('a connection manager', () => {
  it.each<[string, object, RequestQuestion, object]>([
    [
      'sends an escaped slash back, unescaped',
      { path_with_escaped_slashes_action: 'UNESCAPE_AND_REDIRECT', normalize_path: true },
      get('http://x/a%2Fb?q=%2f'),
      { action: 'redirect', status: 307, location: '/a/b?q=%2f' },
    ],
    [
      'refuses an underscore in the name of a header',
      { common_http_protocol_options: { headers_with_underscores_action: 'REJECT_REQUEST' } },
      get('http://x/', headers(['x_a', '1'])),
      { action: 'respond', status: 400 },
    ],
    ['without its routes answers 404', { rds: { route_config_name: 'gone' } }, get('http://x/'), { status: 404 }],
  ])('%s', (_, manager, question, outcome) => {
    expect(ask(oneHttp([to('a', { prefix: '/' })], manager), question).outcomes).toMatchObject([outcome])
  })

  it('that changes headers says so, but for those of the proxies', () => {
    const changing = (...keys: readonly string[]): object => {
      const request_mutations = keys.map((key) => ({ append: { header: { key } } }))
      return {
        http_filters: [
          { name: 'envoy.filters.http.header_mutation', typed_config: { mutations: { request_mutations } } },
        ],
      }
    }
    const notes = (manager: object): readonly string[] =>
      ask(oneHttp([to('a', { prefix: '/' })], manager), get('http://x/')).notes
    expect(notes(changing('x-envoy-expected-rq-timeout-ms'))).toEqual([])
    const told = ['what envoy.filters.http.header_mutation may do before the routes is not looked at']
    expect(notes(changing('x-group'))).toEqual(told)
    expect(notes(changing('x-envoy-expected-rq-timeout-ms', 'x-group'))).toEqual(told)
    expect(notes(changing())).toEqual(told)
  })

  it('whose filters could answer first says so', () => {
    const filters = ['cors', 'jwt_authn', 'router'].map((name) => ({ name: `envoy.filters.http.${name}` }))
    expect(ask(oneHttp([to('a', { prefix: '/' })], { http_filters: filters }), get('http://x/')).notes).toEqual([
      'what envoy.filters.http.jwt_authn may do before the routes is not looked at',
    ])
  })
})

describe('of several listeners', () => {
  const tls = { transport_socket: {} }
  const both = resources(
    [listener('db', 5432, tcp('db')), listener('http', 8080, http()), listener('https', 8443, http({}, tls))],
    routes({ '*': [to('a', { prefix: '/' })] }),
  )
  it.each<[string, RequestQuestion, object]>([
    ['that of the port takes it', get('http://x:8080/'), { listener: { name: 'http', address: '0.0.0.0:8080' } }],
    ['that of the scheme takes it where no port is given', get('https://x/'), { listener: { name: 'https' } }],
    ['the one that is named takes it', get('http://x/', { listener: 'http' }), { listener: { name: 'http' } }],
    [
      'none takes another port',
      get('http://x:81/'),
      {
        outcomes: [{ action: 'closed', why: expect.stringMatching(/no listener takes port 81; there is db .*, http/) }],
      },
    ],
    [
      'one of TLS takes no plain HTTP',
      get('http://x:8443/'),
      { outcomes: [{ action: 'closed', why: 'it speaks TLS: ask with https://' }] },
    ],
    [
      'one of connections is asked by its port',
      { method: '', scheme: 'tcp', authority: '10.0.0.1:5432', path: '', headers: [], port: 5432 },
      { listener: { name: 'db' }, outcomes: [{ action: 'forward', clusters: [{ name: 'db', share: 100 }] }] },
    ],
  ])('%s', (_, question, answer) => {
    expect(ask(both, question)).toMatchObject(answer)
  })

  it('those of a port are told apart by their address, where a connection goes to one', () => {
    const on = (name: string, address: string): ListenerForm => ({
      ...listener(name, 5432, tcp(name)),
      address: { socket_address: { address, port_value: 5432 } },
    })
    const all = resources([on('a', '10.0.0.1'), on('b', '10.0.0.2')])
    const to = (authority: string): RequestAnswer =>
      ask(all, { method: '', scheme: 'tcp', authority, path: '', headers: [], port: 5432 })
    expect(to('10.0.0.2:5432')).toMatchObject({ listener: { name: 'b' }, notes: [] })
    expect(to('10.0.0.3:5432').outcomes).toMatchObject([{ action: 'closed' }])
    expect(to('db:5432')).toMatchObject({
      listener: { name: 'a' },
      notes: [expect.stringMatching(/^b could be meant/)],
    })
  })

  it('the one that has a route takes it, and the others are named', () => {
    const all = resources(
      [
        listener('a', 8080, http({ route_config: { virtual_hosts: [] } })),
        listener('b', 8081, http()),
        listener('c', 8082, http()),
      ],
      routes({ x: [to('x', { prefix: '/' })] }),
    )
    expect(ask(all, get('http://x/'))).toMatchObject({
      listener: { name: 'b' },
      notes: ['a, c could be meant too: name a listener, or the port in the URL'],
    })
  })
})

describe('a filter chain is', () => {
  const all = resources([
    {
      ...listener(
        'any',
        15001,
        tcp('port', { destination_port: 443 }),
        tcp('port-and-name', { destination_port: 443, server_names: ['a.test'] }),
        tcp('exact', { server_names: ['a.test'] }),
        tcp('suffix', { server_names: ['*.a.test', '*.test'] }),
        tcp('range', { prefix_ranges: [{ address_prefix: '10.1.0.0', prefix_len: 16 }] }),
        tcp('host', { prefix_ranges: [{ address_prefix: '10.1.2.3', prefix_len: 32 }] }),
        tcp('v6', { prefix_ranges: [{ address_prefix: 'fd00::', prefix_len: 8 }] }),
        tcp('tls', { transport_protocol: 'tls' }),
      ),
      use_original_dst: true,
      default_filter_chain: tcp('default'),
    },
  ])
  it.each([
    ['that of the port and the server name', '1.1.1.1:443', 'a.test', 'port-and-name'],
    ['that of the port, though another has the name', '1.1.1.1:443', 'b.a.test', 'port'],
    ['that of the exact name', '1.1.1.1:1', 'A.test', 'exact'],
    ['that of the longest suffix', '1.1.1.1:1', 'c.b.a.test', 'suffix'],
    ['that of the narrower range', '10.1.2.3:1', undefined, 'host'],
    ['that of the range', '10.1.9.9:1', undefined, 'range'],
    ['that of a range of IPv6', '[fd12::1]:1', undefined, 'v6'],
    ['that of TLS', '1.1.1.1:1', 'other', 'tls'],
    ['the default one', '1.1.1.1:1', undefined, 'default'],
  ])('%s', (_, authority, sni, cluster) => {
    const port = Number(/\d+$/.exec(authority)?.[0])
    const question = { method: '', scheme: 'tcp', authority, path: '', headers: [], port } as const
    const { outcomes } = ask(all, { ...question, ...(sni !== undefined && { sni }) })
    expect(outcomes).toMatchObject([{ clusters: [{ name: cluster }] }])
  })

  it('none, and the connection is closed', () => {
    const one = resources([listener('l', 1, tcp('a', { server_names: ['a.test'] }))])
    const question = { method: '', scheme: 'tcp', authority: 'x:1', path: '', headers: [], port: 1 } as const
    expect(ask(one, question).outcomes).toMatchObject([
      { action: 'closed', why: 'no filter chain of it takes what goes to x:1' },
    ])
    expect(ask(one, { ...question, sni: 'b.test' }).outcomes).toMatchObject([
      { action: 'closed', why: 'no filter chain of it takes the server name b.test' },
    ])
  })

  it('one that closes what it takes', () => {
    const closing = { name: 'closing', filter_chain_match: { server_names: ['a.test'] } }
    const one = resources([listener('l', 443, closing, tcp('other', { server_names: ['*.test'] }))])
    const answer = ask(one, get('https://a.test:443/'))
    expect(answer).toMatchObject({ filterChain: 'closing', outcomes: [{ action: 'closed' }] })
    expect(answer.outcomes[0]?.why).toContain('has no filter')
  })
})
