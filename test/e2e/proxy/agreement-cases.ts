import type { Json } from '../../support/documents.ts'

/** One virtual host, and what is asked of it. Both proxies must answer alike, and write the same of it. */
export interface AgreementCase {
  /** A sentence. */
  readonly name: string
  readonly host: string
  /** `plain` where nothing is said. */
  readonly listener?: keyof typeof listeners
  readonly virtualHost: Json
  readonly asks: readonly Ask[]
}

export interface Ask {
  readonly method?: string
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly trailers?: Readonly<Record<string, string>>
  /** Nothing of it is in the log that could be found: it was refused before its headers were read. */
  readonly isUnlogged?: true
  /** What the app is to do. */
  readonly do?: Json
  /** Which endpoint is tried first is chance's. */
  readonly hasAnyAttempts?: true
  /** See `limits` in differences.ts. */
  readonly isOnlyOfHttp1?: true
}

/** Settings of the connection managers. */
export const listeners = {
  plain: {},
  edge: {
    use_remote_address: true,
    normalize_path: true,
    merge_slashes: true,
    path_with_escaped_slashes_action: 'UNESCAPE_AND_REDIRECT',
    common_http_protocol_options: { headers_with_underscores_action: 'REJECT_REQUEST' },
    server_header_transformation: 'PASS_THROUGH',
  },
  hops: { use_remote_address: true, xff_num_trusted_hops: 1, server_name: 'shop', generate_request_id: false },
} as const

/** Who sends this is taken for one of the own network, and may say how a request is routed. */
const internal = { 'x-forwarded-for': '10.0.0.1' }

const type = (name: string): string => `type.googleapis.com/envoy.extensions.filters.http.${name}`

const toApp = (rest: Json = {}, match: Json = { prefix: '/' }): Json => ({ match, route: { cluster: 'app', ...rest } })

const one = (route: Json, rest: Json = {}): Json => ({ routes: [route], ...rest })

let number = 0
const entry = (
  name: string,
  virtualHost: Json,
  asks: readonly Ask[],
  listener?: keyof typeof listeners,
): AgreementCase => ({
  name,
  host: `case-${++number}`,
  virtualHost,
  asks,
  ...(listener && { listener }),
})

const header = (key: string, value: string, rest: Json = {}): Json => ({ header: { key, value }, ...rest })

export const agreementCases: readonly AgreementCase[] = [
  entry('a request goes to the upstream as it came', one(toApp()), [
    {},
    { method: 'POST', body: 'hello' },
    { method: 'HEAD' },
    { method: 'DELETE', path: '/a?b=c#d' },
    { path: '/%41//b/../c', headers: { cookie: 'a=b; c=d', 'X-Mixed': 'Case' } },
    { headers: { te: 'trailers', connection: 'keep-alive', 'x-forwarded-for': '1.2.3.4', 'x-request-id': 'mine' } },
    { headers: { 'x-envoy-internal': 'true', 'x-envoy-upstream-rq-timeout-ms': '1000' } },
  ]),
  entry('the answer comes as the upstream gave it', one(toApp()), [
    { do: { status: 404, headers: { server: 'own', 'x-a': 'b' } } },
    { do: { status: 204, body: '' } },
    { do: { status: 304, body: '' } },
    { do: { status: 302, headers: { location: '/there' } } },
    { do: { status: 503 } },
    { do: { headers: { 'set-cookie': 'a=b', date: 'Thu, 01 Jan 1970 00:00:00 GMT' } } },
  ]),
  entry('no route is 404', one(toApp({}, { path: '/only' })), [{ path: '/only' }, { path: '/other' }]),
  entry('a cluster that is not there is 503', one({ match: { prefix: '/' }, route: { cluster_header: 'x-to' } }), [
    { headers: { 'x-to': 'app' } },
    { headers: { 'x-to': 'nowhere' } },
    {},
  ]),
  entry(
    'a cluster that is not there is 404 where the route says so',
    one({
      match: { prefix: '/' },
      route: { cluster_header: 'x-to', cluster_not_found_response_code: 'NOT_FOUND' },
    }),
    [{ headers: { 'x-to': 'nowhere' } }],
  ),
  entry('no endpoint is 503', one(toApp({ cluster: 'empty' })), [{}, { method: 'POST', body: 'x' }]),
  entry('an endpoint that refuses connections is 503', one(toApp({ cluster: 'down' })), [{}]),
  entry('an endpoint that breaks off is 503', one(toApp()), [{ do: { breaks: true } }]),
  entry('too much is 503', one(toApp({ cluster: 'full' })), [{}]),
  entry('what takes too long is 504', one(toApp({ timeout: '0.1s' })), [{ do: { delayMs: 1000 } }, {}]),
  entry('a header of an internal request may shorten the timeout', one(toApp()), [
    { headers: { ...internal, 'x-envoy-upstream-rq-timeout-ms': '100' }, do: { delayMs: 1000 } },
    {
      headers: { ...internal, 'x-envoy-upstream-rq-timeout-ms': '100', 'x-envoy-upstream-alt-response': '204' },
      do: { delayMs: 1000 },
    },
  ]),
  entry(
    'a failure is tried again',
    one(toApp({ retry_policy: { retry_on: '5xx', num_retries: 2 } }), { include_attempt_count_in_response: true }),
    [
      { do: { times: 1, status: 503 } },
      { do: { times: 2, status: 500 } },
      { do: { times: 3, status: 502 } },
      { do: { times: 1, breaks: true } },
      { method: 'POST', body: 'again', do: { times: 1, status: 503 } },
      { do: { status: 404 } },
    ],
  ),
  entry(
    'the upstream is told which try it is',
    one(toApp({ retry_policy: { retry_on: 'gateway-error' } }), { include_request_attempt_count: true }),
    [{ do: { times: 1, status: 503 } }, { do: { times: 1, status: 500 } }],
  ),
  entry(
    'other statuses are tried again where they are named',
    one(toApp({ retry_policy: { retry_on: 'retriable-status-codes,retriable-4xx', retriable_status_codes: [418] } })),
    [{ do: { times: 1, status: 418 } }, { do: { times: 1, status: 409 } }, { do: { times: 1, status: 503 } }],
  ),
  entry(
    'a response header says what is tried again',
    one(
      toApp({
        retry_policy: { retry_on: 'retriable-headers', retriable_headers: [{ name: 'x-again', present_match: true }] },
      }),
    ),
    [{ do: { times: 1, headers: { 'x-again': 'yes' } } }, { do: { times: 1, headers: { 'x-other': 'yes' } } }],
  ),
  entry(
    'only some requests are tried again',
    one(
      toApp({
        retry_policy: {
          retry_on: '5xx',
          retriable_request_headers: [{ name: ':method', string_match: { exact: 'GET' } }],
        },
      }),
    ),
    [{ do: { times: 1, status: 503 } }, { method: 'PUT', body: 'x', do: { times: 1, status: 503 } }],
  ),
  entry(
    'a try that takes too long is tried again',
    one(toApp({ retry_policy: { retry_on: '5xx', num_retries: 1, per_try_timeout: '0.1s' } })),
    [{ do: { times: 1, delayMs: 1000 } }, { do: { times: 2, delayMs: 1000 } }],
  ),
  entry(
    'a connection that is refused is tried on another endpoint',
    one(
      toApp({
        cluster: 'half',
        retry_policy: {
          retry_on: 'connect-failure',
          num_retries: 1,
          host_selection_retry_max_attempts: '5',
          retry_host_predicate: [
            {
              name: 'envoy.retry_host_predicates.previous_hosts',
              typed_config: {
                '@type': 'type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate',
              },
            },
          ],
        },
      }),
    ),
    [{ hasAnyAttempts: true }, { hasAnyAttempts: true }],
  ),
  entry('the client may ask for tries', one(toApp()), [
    { headers: { ...internal, 'x-envoy-retry-on': '5xx', 'x-envoy-max-retries': '1' }, do: { times: 1, status: 503 } },
    { headers: { ...internal, 'x-envoy-retry-on': '5xx', 'x-envoy-max-retries': '1' }, do: { times: 2, status: 503 } },
  ]),
  entry(
    'a path is rewritten',
    {
      routes: [
        toApp({ prefix_rewrite: '/v2' }, { prefix: '/api' }),
        toApp(
          { regex_rewrite: { pattern: { regex: '^/r/([^/]+)/(.*)$' }, substitution: '/\\2/\\1' } },
          { prefix: '/r/' },
        ),
        toApp({ prefix_rewrite: '/exact' }, { path: '/was' }),
        toApp({}, { prefix: '/' }),
      ],
    },
    [{ path: '/api/x?y=z' }, { path: '/apiary' }, { path: '/r/a/b/c?q' }, { path: '/was?x=1' }, { path: '/' }],
  ),
  entry(
    'the host is rewritten',
    {
      routes: [
        toApp({ host_rewrite_literal: 'new.example' }, { prefix: '/literal' }),
        toApp({ host_rewrite_header: 'x-host' }, { prefix: '/header' }),
        toApp(
          { host_rewrite_path_regex: { pattern: { regex: '^/path/(.+)$' }, substitution: '\\1.example' } },
          { prefix: '/path/' },
        ),
        toApp({ host_rewrite_literal: 'new.example', append_x_forwarded_host: true }, { prefix: '/forwarded' }),
      ],
    },
    [
      { path: '/literal' },
      { path: '/header', headers: { 'x-host': 'named' } },
      { path: '/header' },
      { path: '/path/shop' },
      { path: '/forwarded' },
    ],
  ),
  entry(
    'a redirect says where it is',
    {
      routes: [
        { match: { prefix: '/https' }, redirect: { https_redirect: true } },
        { match: { prefix: '/host' }, redirect: { host_redirect: 'other.example', response_code: 'FOUND' } },
        { match: { prefix: '/port' }, redirect: { port_redirect: 8443, scheme_redirect: 'https' } },
        { match: { prefix: '/path' }, redirect: { path_redirect: '/new', response_code: 'SEE_OTHER' } },
        { match: { prefix: '/query' }, redirect: { path_redirect: '/new?own=1', response_code: 'TEMPORARY_REDIRECT' } },
        { match: { prefix: '/strip' }, redirect: { prefix_rewrite: '/s', strip_query: true } },
        {
          match: { prefix: '/regex' },
          redirect: {
            regex_rewrite: { pattern: { regex: '/regex/(.*)' }, substitution: '/\\1' },
            response_code: 'PERMANENT_REDIRECT',
          },
        },
      ],
    },
    [
      { path: '/https?a' },
      { path: '/host/x' },
      { path: '/port' },
      { path: '/path?a=b' },
      { path: '/query?a=b' },
      { path: '/strip/x?a=b' },
      { path: '/regex/x?a' },
    ],
  ),
  entry(
    'a direct response needs no upstream',
    {
      routes: [
        { match: { path: '/body' }, direct_response: { status: 418, body: { inline_string: 'short and stout' } } },
        { match: { path: '/empty' }, direct_response: { status: 200 } },
        {
          match: { prefix: '/' },
          direct_response: { status: 404, body: { inline_string: '<p>' } },
          response_headers_to_add: [
            header('content-type', 'text/html', { append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' }),
          ],
        },
      ],
    },
    [
      { path: '/body' },
      { path: '/empty' },
      { path: '/x' },
      { method: 'HEAD', path: '/body' },
      { method: 'POST', path: '/body', body: 'tea' },
    ],
  ),
  entry('TLS is demanded', one(toApp(), { require_tls: 'ALL' }), [
    { path: '/a?b' },
    { headers: { 'x-forwarded-proto': 'https' } },
  ]),
  entry(
    'headers are matched',
    {
      routes: [
        toApp({}, { prefix: '/', headers: [{ name: 'x-exact', string_match: { exact: 'a' } }] }),
        {
          ...toApp({}, { prefix: '/', headers: [{ name: 'x-not', string_match: { exact: 'a' }, invert_match: true }] }),
          name: 'not',
        },
        {
          ...toApp({}, { prefix: '/', headers: [{ name: 'x-range', range_match: { start: 1, end: 5 } }] }),
          name: 'range',
        },
        {
          ...toApp(
            {},
            {
              prefix: '/',
              headers: [
                { name: 'x-gone', present_match: true, invert_match: true },
                { name: 'x-regex', string_match: { safe_regex: { regex: 'a+' } } },
              ],
            },
          ),
          name: 'regex',
        },
        {
          ...toApp(
            {},
            { prefix: '/', headers: [{ name: 'x-case', string_match: { prefix: 'AB', ignore_case: true } }] },
          ),
          name: 'case',
        },
        {
          ...toApp(
            {},
            {
              prefix: '/',
              headers: [
                { name: 'x-empty', string_match: { exact: '' }, treat_missing_header_as_empty: true },
                { name: 'x-any' },
              ],
            },
          ),
          name: 'empty',
        },
      ],
    },
    [
      { headers: { 'x-exact': 'a' } },
      { headers: { 'x-not': 'b' } },
      { headers: { 'x-not': 'a' } },
      { headers: { 'x-range': '4' } },
      { headers: { 'x-range': '5' } },
      { headers: { 'x-range': '-1' } },
      { headers: { 'x-regex': 'aaa' } },
      { headers: { 'x-regex': 'aab' } },
      { headers: { 'x-case': 'abc' } },
      { headers: { 'x-any': '' } },
      {},
    ],
  ),
  entry(
    'paths and queries are matched',
    {
      routes: [
        { ...toApp({}, { path: '/exact' }), name: 'exact' },
        { ...toApp({}, { path: '/CASE', case_sensitive: false }), name: 'case' },
        { ...toApp({}, { path_separated_prefix: '/sep' }), name: 'separated' },
        { ...toApp({}, { safe_regex: { regex: '/r[0-9]+' } }), name: 'regex' },
        {
          ...toApp({}, { prefix: '/q', query_parameters: [{ name: 'a', string_match: { exact: 'b c' } }] }),
          name: 'query',
        },
        { ...toApp({}, { prefix: '/q', query_parameters: [{ name: 'there', present_match: true }] }), name: 'present' },
        { ...toApp({}, { prefix: '/q', query_parameters: [{ name: 'gone', present_match: false }] }), name: 'absent' },
        { ...toApp({}, { prefix: '/' }), name: 'rest' },
      ],
    },
    [
      ...['/exact', '/exact?x', '/exact/', '/case', '/sep', '/sep/x', '/separate', '/r12', '/r12?a', '/r1a'].map(
        (path) => ({ path }),
      ),
      ...[
        '/q?a=b%20c',
        '/q?a=b+c',
        '/q?a=x&a=b%20c',
        '/q?there',
        '/q?there=&gone',
        '/q?gone=1',
        '/q',
        '/q?%61=b%20c',
      ].map((path) => ({ path })),
    ],
  ),
  entry(
    'headers are added, set and taken away',
    one(
      {
        ...toApp(),
        request_headers_to_add: [
          header('x-append', 'two'),
          header('x-set', 'new', { append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' }),
          header('x-absent', 'only', { append_action: 'ADD_IF_ABSENT' }),
          header('x-there', 'only', { append_action: 'OVERWRITE_IF_EXISTS' }),
          header('x-empty', '%REQ(X-NONE)%'),
          header('x-kept', '%REQ(X-NONE)%', { keep_empty_value: true }),
          header('x-from', '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %PROTOCOL% %REQ(:METHOD)% 100%%'),
        ],
        request_headers_to_remove: ['x-gone'],
        response_headers_to_add: [header('x-route', 'route'), header('x-code', '%RESPONSE_CODE% %RESPONSE_FLAGS%')],
        response_headers_to_remove: ['x-secret'],
      },
      {
        request_headers_to_add: [header('x-level', 'host')],
        response_headers_to_add: [header('x-route', 'host')],
      },
    ),
    [
      {
        headers: { 'x-append': 'one', 'x-set': 'old', 'x-absent': 'own', 'x-there': 'own', 'x-gone': 'yes' },
        do: { headers: { 'x-secret': 'a' } },
      },
      {},
    ],
  ),
  entry(
    'what crosses origins is answered for those who may',
    one({
      ...toApp(),
      typed_per_filter_config: {
        'envoy.filters.http.cors': {
          '@type': type('cors.v3.CorsPolicy'),
          allow_origin_string_match: [{ exact: 'https://a.example' }, { suffix: '.b.example' }],
          allow_methods: 'GET, POST',
          allow_headers: 'x-a',
          expose_headers: 'x-b',
          max_age: '600',
          allow_credentials: true,
        },
      },
    }),
    [
      { headers: { origin: 'https://a.example' } },
      { headers: { origin: 'https://c.example' } },
      { method: 'OPTIONS', headers: { origin: 'https://x.b.example', 'access-control-request-method': 'POST' } },
      { method: 'OPTIONS', headers: { origin: 'https://c.example', 'access-control-request-method': 'POST' } },
      { method: 'OPTIONS', headers: { origin: 'https://a.example' } },
      {},
    ],
  ),
  entry(
    'faults are made',
    {
      routes: [
        {
          ...toApp({}, { prefix: '/abort' }),
          typed_per_filter_config: {
            'envoy.filters.http.fault': {
              '@type': type('fault.v3.HTTPFault'),
              abort: { http_status: 418, percentage: { numerator: 100 } },
            },
          },
        },
        {
          ...toApp({}, { prefix: '/delay' }),
          typed_per_filter_config: {
            'envoy.filters.http.fault': {
              '@type': type('fault.v3.HTTPFault'),
              delay: { fixed_delay: '0.05s', percentage: { numerator: 100 } },
            },
          },
        },
        {
          ...toApp({}, { prefix: '/header' }),
          typed_per_filter_config: {
            'envoy.filters.http.fault': {
              '@type': type('fault.v3.HTTPFault'),
              abort: { header_abort: {}, percentage: { numerator: 100 } },
            },
          },
        },
      ],
    },
    [
      { path: '/abort' },
      { path: '/delay' },
      { path: '/header', headers: { 'x-envoy-fault-abort-request': '429' } },
      { path: '/header' },
    ],
  ),
  entry(
    'who may not is refused',
    one({
      ...toApp(),
      typed_per_filter_config: {
        'envoy.filters.http.rbac': {
          '@type': type('rbac.v3.RBACPerRoute'),
          rbac: {
            rules: {
              policies: {
                readers: {
                  permissions: [{ header: { name: ':method', string_match: { exact: 'GET' } } }],
                  principals: [{ any: true }],
                },
                'the writers': {
                  permissions: [
                    {
                      and_rules: {
                        rules: [
                          { url_path: { path: { prefix: '/open' } } },
                          { not_rule: { header: { name: 'x-bad', present_match: true } } },
                        ],
                      },
                    },
                  ],
                  principals: [{ direct_remote_ip: { address_prefix: '127.0.0.0', prefix_len: 8 } }],
                },
              },
            },
          },
        },
      },
    }),
    [
      {},
      { method: 'POST', path: '/shut', body: 'x' },
      { method: 'POST', path: '/open/a', body: 'x' },
      { method: 'POST', path: '/open/a', headers: { 'x-bad': '1' } },
    ],
  ),
  entry(
    'a denial names its policy',
    one({
      ...toApp(),
      typed_per_filter_config: {
        'envoy.filters.http.rbac': {
          '@type': type('rbac.v3.RBACPerRoute'),
          rbac: {
            rules: {
              action: 'DENY',
              policies: {
                'no bad': {
                  permissions: [{ header: { name: 'x-bad', present_match: true } }],
                  principals: [{ any: true }],
                },
              },
            },
          },
        },
      },
    }),
    [{}, { headers: { 'x-bad': '1' } }],
  ),
  entry(
    'so many requests pass',
    one({
      ...toApp(),
      typed_per_filter_config: {
        'envoy.filters.http.local_ratelimit': {
          '@type': type('local_ratelimit.v3.LocalRateLimit'),
          stat_prefix: 'limit',
          token_bucket: { max_tokens: 2, tokens_per_fill: 1, fill_interval: '3600s' },
          filter_enabled: { default_value: { numerator: 100 } },
          filter_enforced: { default_value: { numerator: 100 } },
          response_headers_to_add: [header('x-limited', 'yes')],
        },
      },
    }),
    [{}, {}, {}, { method: 'POST', body: 'x' }],
  ),
  entry(
    'headers are mutated by a filter',
    one({
      ...toApp(),
      typed_per_filter_config: {
        'envoy.filters.http.header_mutation': {
          '@type': type('header_mutation.v3.HeaderMutationPerRoute'),
          mutations: {
            request_mutations: [{ append: header('x-new', '%REQ(X-OLD)%') }, { remove: 'x-old' }],
            response_mutations: [{ append: header('x-out', 'yes') }, { remove: 'x-in' }],
          },
        },
      },
    }),
    [{ headers: { 'x-old': 'a' }, do: { headers: { 'x-in': 'b' } } }],
  ),
  entry(
    'a request is buffered, and refused where it is too large',
    one({
      ...toApp(),
      typed_per_filter_config: {
        'envoy.filters.http.buffer': { '@type': type('buffer.v3.BufferPerRoute'), buffer: { max_request_bytes: 10 } },
      },
    }),
    [{ method: 'POST', body: 'small' }, { method: 'POST', body: 'x'.repeat(11), isOnlyOfHttp1: true }, {}],
  ),
  entry(
    'a response is compressed for those who can read it',
    one({
      ...toApp(),
      typed_per_filter_config: {
        'envoy.filters.http.compressor': { '@type': type('compressor.v3.CompressorPerRoute'), overrides: {} },
      },
    }),
    [
      { headers: { 'accept-encoding': 'br' }, do: { body: 'a'.repeat(200) } },
      { headers: { 'accept-encoding': 'gzip;q=0' }, do: { body: 'a'.repeat(200) } },
      {
        headers: { 'accept-encoding': 'gzip' },
        do: { body: 'a'.repeat(200), headers: { 'cache-control': 'no-transform' } },
      },
      {
        headers: { 'accept-encoding': 'gzip' },
        do: { body: 'a'.repeat(200), headers: { 'content-type': 'image/png' } },
      },
      { headers: { 'accept-encoding': 'gzip' }, do: { body: 'a', headers: { 'content-length': '1' } } },
    ],
  ),
  entry(
    'a hash cookie is given',
    one(toApp({ cluster: 'ring', hash_policy: [{ cookie: { name: 'arm', ttl: '60s', path: '/' } }] })),
    [{}, { headers: { cookie: 'arm=known' } }],
  ),
  entry('a copy of the request changes nothing', one(toApp({ request_mirror_policies: [{ cluster: 'http2' }] })), [
    { headers: { 'x-ask-alone': 'no' }, path: '/mirrored' },
  ]),
  entry('trailers go by, both ways', one(toApp({ cluster: 'http2' })), [
    {},
    { method: 'POST', body: 'hello', trailers: { 'x-after': 'all' } },
    { do: { trailers: { 'x-checksum': 'abc', 'grpc-status': '0' } } },
  ]),
  entry(
    'headers of own answers are changed as those of others are',
    {
      routes: [
        { ...toApp({ cluster: 'empty' }, { prefix: '/empty' }), name: 'empty' },
        { ...toApp({ timeout: '0.1s' }, { prefix: '/slow' }), name: 'slow' },
        { match: { prefix: '/own' }, direct_response: { status: 200, body: { inline_string: 'own' } } },
      ],
      response_headers_to_add: [header('x-host', 'all'), header('x-code', '%RESPONSE_CODE%')],
      response_headers_to_remove: ['server'],
      include_attempt_count_in_response: true,
    },
    [{ path: '/empty' }, { path: '/slow', do: { delayMs: 1000 } }, { path: '/own' }, { path: '/none' }],
  ),
  entry(
    'gRPC is told in its own words',
    {
      routes: [
        toApp({ cluster: 'empty' }, { prefix: '/empty' }),
        toApp({ cluster: 'down' }, { prefix: '/down' }),
        toApp({ timeout: '0.1s' }, { prefix: '/slow' }),
        toApp({ max_stream_duration: { grpc_timeout_header_max: '1s' } }, { prefix: '/deadline' }),
        toApp({ retry_policy: { retry_on: 'unavailable', num_retries: 1 } }, { prefix: '/again' }),
        { match: { prefix: '/own' }, direct_response: { status: 403, body: { inline_string: 'never: 100%' } } },
        { match: { prefix: '/moved' }, redirect: { path_redirect: '/own' } },
        { ...toApp({}, { prefix: '/', grpc: {} }), name: 'grpc' },
        { ...toApp({}, { prefix: '/' }), name: 'other' },
      ],
    },
    [
      { path: '/empty' },
      { path: '/down' },
      { path: '/slow', do: { delayMs: 1000 } },
      { path: '/deadline', headers: { 'grpc-timeout': '100m' }, do: { delayMs: 1000 } },
      { path: '/deadline', headers: { 'grpc-timeout': '5S' } },
      { path: '/again', do: { times: 1, headers: { 'grpc-status': '14' } } },
      { path: '/again', do: { times: 1, headers: { 'grpc-status': '5' } } },
      { path: '/own' },
      { path: '/moved' },
      { path: '/x' },
      { path: '/x', headers: { 'content-type': 'application/grpc+proto' } },
      { path: '/x', headers: { 'content-type': 'application/json' } },
    ].map((ask) => ({
      method: 'POST',
      body: '',
      ...ask,
      headers: { 'content-type': 'application/grpc', ...ask.headers },
    })),
  ),
  entry(
    'an edge cleans paths',
    { routes: [{ ...toApp(), name: 'all' }] },
    [
      { path: '/a/../b' },
      { path: '/a//b' },
      { path: '/a%2Fb' },
      { path: '/a%2f%2e%2e/b' },
      { path: '/%41?x=%2F' },
      { path: '/a/./b/' },
      { path: '/../../x' },
      { path: '//' },
      { path: '//.' },
    ],
    'edge',
  ),
  entry(
    'an edge says who the client is',
    one(toApp()),
    [
      {},
      { headers: { 'x-forwarded-for': '1.2.3.4' } },
      { headers: { 'x-forwarded-proto': 'https', 'x-envoy-internal': 'true', 'x-envoy-retry-on': '5xx' } },
      { headers: { 'x-envoy-upstream-rq-timeout-ms': '100' }, do: { delayMs: 300 } },
      { headers: { 'x-request-id': 'mine', 'x-envoy-force-trace': '1', 'x-client-trace-id': 'c' } },
      { do: { headers: { server: 'own' } } },
      { do: { headers: { 'x-envoy-overloaded': 'true' } } },
    ],
    'edge',
  ),
  entry('an edge refuses names with underscores', one(toApp()), [{ headers: { a_b: 'c' }, isUnlogged: true }], 'edge'),
  entry(
    'an edge behind a proxy takes its word',
    one(toApp()),
    [
      { headers: { 'x-forwarded-for': '1.2.3.4, 5.6.7.8', 'x-forwarded-proto': 'https' } },
      { headers: { 'x-forwarded-for': '10.1.1.1' } },
      {},
    ],
    'hops',
  ),
]
