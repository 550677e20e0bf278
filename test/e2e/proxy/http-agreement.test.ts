import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { beforeAll, expect, test } from 'vitest'
import type { JsonObject } from '../../../src/proxy/config/field-reader.ts'
import { atTestEnd } from '../../support/at-test-end.ts'
import { freePorts } from '../../support/free-ports.ts'
import { describeWithEnvoy } from '../../support/needs.ts'
import { eventually } from '../../support/poll.ts'
import { type HttpPair, startPair } from './http-pair.ts'

const get = (path = '/', headers = '', method = 'GET'): string =>
  `${method} ${path} HTTP/1.1\r\nhost: shop.example:80\r\n${headers}\r\n`
const post = (path: string, body: string, headers = ''): string =>
  `${get(path, `content-length: ${body.length}\r\n${headers}`, 'POST')}${body}`
const grpc = 'content-type: application/grpc\r\nte: trailers\r\n'

/** Of a connection manager as it stands at an edge. */
const requests: Readonly<Record<string, string>> = {
  plain: get('/a?b=c'),
  HEAD: get('/', '', 'HEAD'),
  'HEAD without a length': get('/chunked', '', 'HEAD'),
  'a body': post('/', 'hello'),
  'a body in chunks': `${get('/', 'transfer-encoding: chunked\r\n', 'POST')}5\r\nhello\r\n0\r\n\r\n`,
  'no content': get('/204'),
  'not modified': get('/304'),
  'the last request': get('/', 'connection: close\r\n'),
  'a URL': get('http://other/x?y'),
  'the path of a server': get('*', '', 'OPTIONS'),
  'a path to be normalized': get('/a/../b/./c//d%41%2e%2E/x'),
  'an escaped slash': get('/a%2Fb?c=%2F'),
  'characters that need an escape': get('/a"b<c>{d}|e^f`'),
  'a broken escape': get('/a%zz'),
  'a fragment': get('/a#b'),
  'headers that are not believed': get(
    '/',
    'x-forwarded-for: 1.2.3.4\r\nx-forwarded-proto: https\r\nx-request-id: abc\r\nx-envoy-retry-on: 5xx\r\nx-envoy-internal: true\r\nx-envoy-foo: 1\r\nx-envoy-upstream-rq-timeout-ms: 3\r\nx-envoy-original-path: /x\r\nx-forwarded-client-cert: a\r\nx-forwarded-host: q\r\n',
  ),
  'headers between neighbours': get(
    '/',
    'te: gzip, trailers\r\nkeep-alive: x\r\nproxy-connection: y\r\nconnection: keep-alive, foo\r\nfoo: bar\r\n',
  ),
  'te without trailers': get('/', 'te: gzip\r\n'),
  'nobody who listens': get('/gone'),
  'nobody who listens, twice': get('/retry-gone'),
  'nobody who listens, in gRPC': get('/gone', grpc),
  'no such cluster': get('/nocluster'),
  'no route': get('/', 'x-none: 1\r\n'),
  'no route, in gRPC': get('/', `x-none: 1\r\n${grpc}`),
  'a redirect': get('/redirect?x'),
  'a direct response': get('/direct'),
  'HEAD of a direct response': get('/direct', '', 'HEAD'),
  'an empty direct response': get('/empty'),
  'a rewrite': get('/rewrite/a?b'),
  'a forwarded host': get('/xfh'),
  'a connection that breaks before the response': get('/reset'),
  'a timeout': get('/hang'),
  'a duration': get('/duration'),
  'a deadline of gRPC': get('/deadline', `grpc-timeout: 200m\r\n${grpc}`),
  'no news': get('/idle'),
  'no news of the client': `${get('/idle', 'content-length: 10\r\n', 'POST')}abc`,
  'a timeout of each try': get('/tries'),
  'leave to continue': post('/', 'ab', 'expect: 100-continue\r\n'),
  'another expectation': get('/', 'expect: foo\r\n'),
  'an upgrade that the upstream does not grant': get('/', 'connection: Upgrade\r\nupgrade: websocket\r\n'),
  'an upgrade that is not allowed': get('/', 'connection: Upgrade\r\nupgrade: foo\r\n'),
  'CONNECT without a route': 'CONNECT a.b:80 HTTP/1.1\r\nhost: a.b:80\r\n\r\n',
  'two requests at once': get('/a') + get('/b'),
  'an answer before the body': get('/direct', 'content-length: 10\r\n', 'POST'),
}

const route = (match: string, action: JsonObject, name = match.slice(1)): JsonObject => ({
  name,
  match: { prefix: match },
  ...action,
})
const to = (cluster: string, more: JsonObject = {}): JsonObject => ({ route: { cluster, ...more } })
const hang = { prefix_rewrite: '/hang' }
const retry = (retry_on: string, more: JsonObject = {}): JsonObject => ({
  retry_policy: { retry_on, num_retries: 1, ...more },
})

const config: JsonObject = {
  use_remote_address: true,
  normalize_path: true,
  merge_slashes: true,
  path_with_escaped_slashes_action: 'UNESCAPE_AND_REDIRECT',
  via: 'edge',
  upgrade_configs: [{ upgrade_type: 'websocket' }],
  access_log: [
    {
      name: 'log',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog',
        log_format: {
          text_format_source: {
            inline_string:
              'LOG %RESPONSE_CODE% %RESPONSE_CODE_DETAILS% %RESPONSE_FLAGS% %BYTES_SENT% %PROTOCOL% %REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %REQ(:AUTHORITY)% %UPSTREAM_CLUSTER% %ROUTE_NAME% %UPSTREAM_REQUEST_ATTEMPT_COUNT% %UPSTREAM_TRANSPORT_FAILURE_REASON%\n',
          },
        },
      },
    },
  ],
  route_config: {
    name: 'r',
    validate_clusters: false,
    response_headers_to_add: [
      { header: { key: 'x-told', value: '%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %REQ(:method)%' } },
    ],
    virtual_hosts: [
      {
        name: 'all',
        domains: ['*'],
        include_attempt_count_in_response: true,
        include_request_attempt_count: true,
        routes: [
          route('/gone', to('gone')),
          route('/retry-gone', to('gone', retry('connect-failure'))),
          route('/nocluster', to('none')),
          route('/redirect', { redirect: { host_redirect: 'x.y' } }),
          route('/direct', { direct_response: { status: 418, body: { inline_string: 'teapot' } } }),
          route('/empty', { direct_response: { status: 200 } }),
          route('/rewrite', to('cart', { prefix_rewrite: '/new', host_rewrite_literal: 'other' })),
          route('/xfh', to('cart', { append_x_forwarded_host: true, host_rewrite_literal: 'other' })),
          route('/reset', to('cart', retry('reset'))),
          route('/hang', to('cart', { timeout: '0.2s' })),
          route('/duration', to('cart', { ...hang, max_stream_duration: { max_stream_duration: '0.2s' } })),
          route('/deadline', to('cart', { ...hang, max_stream_duration: { grpc_timeout_header_max: '0s' } })),
          route('/idle', to('cart', { ...hang, idle_timeout: '0.2s' })),
          route('/tries', to('cart', { ...hang, ...retry('reset', { per_try_timeout: '0.1s' }) })),
          {
            name: 'rest',
            match: { prefix: '/', headers: [{ name: 'x-none', present_match: false }] },
            route: { cluster: 'cart' },
          },
        ],
      },
    ],
  },
}

/** Says what it was asked, unless the path has it do something else. */
async function startUpstream(): Promise<number> {
  const server = createServer({ keepAliveTimeout: 0 }, (message, response) => {
    const { method, url = '', rawHeaders } = message
    if (url.startsWith('/reset')) message.socket.destroy()
    let body = ''
    message.on('data', (chunk: Buffer) => {
      body += String(chunk)
    })
    message.on('end', () => {
      if (url.startsWith('/hang')) return
      if (url.startsWith('/204')) response.writeHead(204).end()
      else if (url.startsWith('/304')) response.writeHead(304, { etag: '"a"' }).end()
      else if (url.startsWith('/chunked')) response.writeHead(200).end()
      else {
        const fields = rawHeaders.map((text, at) => (at % 2 === 0 ? text.toLowerCase() : text))
        const headers = fields.flatMap((name, at) => (at % 2 === 0 ? [`${name}: ${fields[at + 1]}`] : [])).sort()
        response.setHeader('content-type', 'application/json')
        response.end(JSON.stringify({ method, url, headers, body }))
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  atTestEnd(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

/** As far as lengths tell: as many answers as requests, the last with its body. */
function isWhole(bytes: string, answer: string): boolean {
  const asked = bytes.split(' HTTP/1.1\r\n').length - 1
  const head = answer.lastIndexOf('HTTP/1.1 ')
  const end = answer.indexOf('\r\n\r\n', head)
  const length = /content-length: (\d+)/.exec(answer.slice(head, end))?.[1]
  if (end < 0 || length === undefined || answer.split('HTTP/1.1 ').length - 1 < asked) return false
  return answer.length - end - 4 >= Number(length)
}

/** Without what differs from one proxy, or second, to the next; headers in the order of the alphabet. */
function comparable(answer: string): string {
  return answer
    .replace('<closed>', '')
    .replaceAll(/[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}/g, 'ID')
    .replaceAll(/(date|x-envoy-upstream-service-time): .*/g, '$1')
    .split('\r\n\r\n')
    .map((part) => (part.startsWith('HTTP/') ? part.split('\r\n').sort().join('\n') : part))
    .join('\n\n')
}

describeWithEnvoy('the reference proxy answers and logs as a stock Envoy does:', () => {
  let pair: HttpPair

  beforeAll(async () => {
    pair = await startPair({
      config,
      clusters: { cart: await startUpstream(), gone: (await freePorts(1))[0] as number },
    })
  })

  test.each(Object.entries(requests))('%s', async (_, bytes) => {
    const logged = (): readonly string[] =>
      pair.envoy
        .log()
        .split('\n')
        .filter((line) => line.startsWith('LOG '))
    const [before, own] = [logged().length, pair.proxy.logged.length]
    const { envoy, proxy } = await pair.ask(bytes, (answer) => isWhole(bytes, answer))
    expect(comparable(proxy)).toBe(comparable(envoy))
    const expected = await eventually(() => logged().length > before && logged().slice(before))
    expect(pair.proxy.logged.slice(own).map((line) => line.trim())).toEqual(expected)
  })
})
