import { writeFileSync } from 'node:fs'
import { createServer, request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { beforeAll, describe, expect, test } from 'vitest'
import { buildBootstrap } from '../../../src/cli/bootstrap-config.ts'
import { atTestEnd } from '../../support/at-test-end.ts'
import { problemsOf, rejections, startControlPlane } from '../../support/control-plane.ts'
import { startEnvoy } from '../../support/envoy.ts'
import { freePorts } from '../../support/free-ports.ts'
import { describeWithEnvoy } from '../../support/needs.ts'
import { tempDir } from '../../support/temp.ts'

/** What an app was asked. */
interface Asked {
  readonly app: string
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
}

/** An app that answers with what it was asked, and does as `x-do` says: a status, or `reset`. */
async function startApp(name: string, log: Asked[]): Promise<number> {
  const server = createServer((request, response) => {
    const { method = '', url = '', headers } = request
    const asked: Asked = { app: name, method, path: url, headers }
    log.push(asked)
    const wanted = headers['x-do']
    if (wanted === 'reset') {
      request.socket.destroy()
      return
    }
    request.resume()
    const wait = Number(headers['x-wait'] ?? 0)
    setTimeout(() => {
      response.writeHead(Number(wanted ?? 200), {
        'content-type': 'application/json',
        'x-powered-by': 'echo',
        server: 'shop/1',
      })
      response.end(JSON.stringify({ ...asked, padding: 'x'.repeat(2000) }))
    }, wait)
  })
  server.on('upgrade', (_request, socket) => {
    socket.end('HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n')
  })
  server.keepAliveTimeout = 0
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  atTestEnd(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

interface Question {
  readonly method?: string
  readonly host?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** Of an app. */
  readonly asked: Asked | undefined
}

function ask(port: number, path: string, question: Question = {}): Promise<Answer> {
  const { method = 'GET', host = 'shop.example', headers = {}, body } = question
  return new Promise((resolve, reject) => {
    const sent = httpRequest(
      { host: '127.0.0.1', port, path, method, headers: { host, ...headers } },
      (response: IncomingMessage) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          const bytes = Buffer.concat(chunks)
          const text = (response.headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes).toString()
          const isApp = response.headers['content-type'] === 'application/json'
          const asked = isApp && text !== '' ? (JSON.parse(text) as Asked) : undefined
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text, asked })
        })
      },
    )
    sent.on('upgrade', ({ statusCode = 0, headers: got }: IncomingMessage, socket) => {
      socket.destroy()
      resolve({ status: statusCode, headers: got, text: '', asked: undefined })
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

const documents = (ports: Readonly<Record<'a' | 'b' | 'edge' | 'dead', number>>): string => `
kind: Service
name: shop
endpoints:
- {address: 127.0.0.1, port: ${ports.a}, labels: {version: a}}
- {address: 127.0.0.1, port: ${ports.b}, labels: {version: b}}
versions: {a: {version: a}, b: {version: b}, dead: {version: dead}}
outlierDetection: off
---
kind: Service
name: broken
endpoints:
- {address: 127.0.0.1, port: ${ports.dead}}
outlierDetection: off
---
kind: Service
name: half
loadBalancing: {policy: round-robin}
endpoints:
- {address: 127.0.0.1, port: ${ports.dead}}
- {address: 127.0.0.1, port: ${ports.a}}
outlierDetection: off
---
kind: Gateway
name: edge
nodes: {cluster: edge}
listeners:
- {name: http, address: 127.0.0.1, port: ${ports.edge}}
---
kind: Route
name: match
gateways: edge
hosts: match.example
rules:
- {match: {path: [/exact, {prefix: /api}, {regex: "/item/[0-9]+"}, {suffix: .png}]}, respond: {status: 200, body: path}}
- {match: {path: /m, methods: [PUT, DELETE]}, respond: {status: 200, body: method}}
- {match: {path: /h, headers: {x-group: beta}}, respond: {status: 200, body: header}}
- {match: {path: /h, headers: {x-any: [a.b, {prefix: b}, {suffix: c}, {regex: "d+"}]}}, respond: {status: 200, body: any header}}
- {match: {path: /not, headers: {x-not: {not: [old, {prefix: v1}]}, x-gone: {present: false}}}, respond: {status: 200, body: not header}}
- {match: {path: /q, query: {q: "1"}}, respond: {status: 200, body: query}}
- {match: {path: /q, query: {any: [a, {prefix: b}]}}, respond: {status: 200, body: any query}}
- {match: {path: /qn, query: {debug: {present: false}, old: {not: ["1", {suffix: z}]}}}, respond: {status: 200, body: no query}}
- {match: {path: /c, cookies: {group: beta}}, respond: {status: 200, body: cookie}}
- {match: {path: /c, cookies: {group: [{prefix: g}, {suffix: z}, {regex: "f.*o"}]}}, respond: {status: 200, body: any cookie}}
- {match: {path: /cn, cookies: {guest: {present: false}, old: {not: "1"}}}, respond: {status: 200, body: no cookie}}
- {match: [{grpc: shop.v1.Cart}, {grpc: {service: shop.v1.Admin, method: Stop}}], backends: {service: shop, version: a}}
- {match: {path: /never, percent: 0}, respond: {status: 200, body: never}}
- {match: {path: [/always, /never], percent: 100%}, respond: {status: 200, body: always}}
---
kind: Route
name: shop
gateways: edge
hosts: [shop.example, "*.shop.example"]
rules:
- {match: {path: {prefix: /root.}}, backends: {service: shop, version: a}, rewrite: {prefix: /}}
- {match: {path: {prefix: /old/}}, backends: {service: shop, version: a}, rewrite: {prefix: /new/}}
- {match: {path: {prefix: /whole}}, backends: {service: shop, version: a}, rewrite: {path: /one}}
- {match: {path: {prefix: /users}}, backends: {service: shop, version: a}, rewrite: {regex: {pattern: "^/users/([^/]+)", with: '/u/\\1'}, host: other.example}}
- match: {path: /headers}
  backends: {service: shop, version: a, headers: {set: {x-arm: "100% a"}}}
  headers: {request: {set: {x-env: prod}, add: {x-more: two}, remove: x-secret}, response: {set: {x-set: "yes"}, remove: [x-powered-by]}}
- {match: {path: /https}, redirect: {scheme: https}}
- {match: {path: {prefix: /moved}}, redirect: {prefix: /, status: 308}}
- {match: {path: /there}, redirect: {host: other.example, path: /here, status: 302}}
- {match: {path: /none}, backends: [{service: shop, version: a, weight: 0}]}
- {match: {path: /slow}, backends: shop, timeout: 200ms}
- {match: {path: /retry}, backends: shop, retry: {attempts: 2, retryOn: [5xx]}}
- {match: {path: /retry-any}, backends: shop, retry: {attempts: 1, retryOn: ["409"], methods: POST}}
- {match: {path: /no-retry}, backends: shop, retry: {attempts: 0}}
- {match: {path: /half}, backends: half}
- {match: {path: /mirror}, backends: {service: shop, version: a}, mirror: {service: shop, version: b}}
- {match: {path: /abort}, backends: shop, fault: {abort: {status: 418, percent: 100}}}
- {match: {path: /delay}, backends: shop, fault: {delay: {duration: 150ms, percent: 100}}}
- {match: {path: /fallback}, backends: [{service: shop, version: dead}], fallback: {service: shop, version: b}}
- {match: {path: /fallback-refused}, backends: broken, fallback: {service: shop, version: b}, retry: {attempts: 0}}
- {match: {path: /arms}, backends: [{service: shop, version: dead}, {service: shop, version: a}], fallback: {service: shop, version: b}}
- {match: {path: /half-dead}, backends: [{service: shop, version: dead}, {service: shop, version: a}]}
- {match: {path: /user}, backends: [{service: shop, version: a}, {service: shop, version: b}], hash: {header: x-user}}
- {match: {path: /sticky}, backends: [{service: shop, version: a}, {service: shop, version: b}], hash: {cookie: arm, ttl: 1h}}
- {match: {path: /split}, backends: [{service: shop, version: a, weight: 9}, {service: shop, version: b}]}
- {match: {path: /cors, methods: PUT}, backends: {service: shop, version: a}, cors: {origins: ["https://a.example", {suffix: .b.example}], methods: [PUT], credentials: true}}
- {match: {path: /small}, backends: {service: shop, version: a}, maxRequestSize: 1KiB}
- {match: {path: /zip}, backends: {service: shop, version: a}, compression: true}
- {match: {path: /no-websocket}, backends: {service: shop, version: a}, websocket: false}
- {match: {path: /plain}, backends: {service: shop, version: a}}
---
kind: Route
name: first
gateways: edge
hosts: merged.example
rules:
- {match: {path: {prefix: /x}}, respond: {status: 200, body: first prefix}}
- {respond: {status: 200, body: first everything}}
---
kind: Route
name: second
gateways: edge
hosts: merged.example
rules:
- {match: {path: {prefix: /x/y}}, respond: {status: 200, body: second longer}}
- {match: {path: {prefix: /x}, headers: {x-a: "1"}}, respond: {status: 200, body: second header}}
- {match: {path: /x/z}, respond: {status: 200, body: second exact}}
---
kind: Route
name: wild
gateways: edge
hosts: "*.merged.example"
rules: [{respond: {status: 200, body: wild}}]
`

describeWithEnvoy('routes on a stock Envoy', () => {
  const log: Asked[] = []
  let port = 0
  let server: Awaited<ReturnType<typeof startControlPlane>>

  beforeAll(async () => {
    const [edge = 0, dead = 0] = await freePorts(2)
    const ports = { a: await startApp('a', log), b: await startApp('b', log), edge, dead }
    const config = tempDir()
    writeFileSync(join(config, 'shop.yaml'), documents(ports))
    server = await startControlPlane({ config: [config] })
    await server.pipeline.ready
    const bootstrap = buildBootstrap({ id: 'edge-1', cluster: 'edge', server: server.server, delta: true })
    const envoy = await startEnvoy({ bootstrap })
    await envoy.waitLive()
    port = await envoy.listenerPort('edge/http')
  })

  test('are all taken, and what is said of them is that a version has no endpoints', async () => {
    expect(problemsOf(server)).toEqual([expect.stringMatching(/versions\.dead: No endpoint has the labels/)])
    expect(await rejections(server)).toBe(0)
  })

  test.each<readonly [path: string, question: Question, body: string | undefined]>([
    ['/exact', {}, 'path'],
    ['/exact?a=b', {}, 'path'],
    ['/exact/', {}, undefined],
    ['/api', {}, 'path'],
    ['/api/x', {}, 'path'],
    ['/apiary', {}, undefined],
    ['/item/17', {}, 'path'],
    ['/item/17x', {}, undefined],
    ['/a/b.png', {}, 'path'],
    ['/a/bpng', {}, undefined],
    ['/m', { method: 'PUT' }, 'method'],
    ['/m', { method: 'DELETE' }, 'method'],
    ['/m', { method: 'POST' }, undefined],
    ['/h', { headers: { 'X-GROUP': 'beta' } }, 'header'],
    ['/h', { headers: { 'x-group': 'Beta' } }, undefined],
    ['/h', { headers: { 'x-any': 'a.b' } }, 'any header'],
    ['/h', { headers: { 'x-any': 'axb' } }, undefined],
    ['/h', { headers: { 'x-any': 'bcd' } }, 'any header'],
    ['/h', { headers: { 'x-any': 'xyzc' } }, 'any header'],
    ['/h', { headers: { 'x-any': 'dd' } }, 'any header'],
    ['/h', { headers: { 'x-any': 'dde' } }, undefined],
    ['/not', {}, 'not header'],
    ['/not', { headers: { 'x-not': 'new' } }, 'not header'],
    ['/not', { headers: { 'x-not': 'old' } }, undefined],
    ['/not', { headers: { 'x-not': 'v1.2' } }, undefined],
    ['/not', { headers: { 'x-gone': 'x' } }, undefined],
    ['/q?q=1', {}, 'query'],
    ['/q?x=2&q=1', {}, 'query'],
    ['/q?q=12', {}, undefined],
    ['/q?any=a', {}, 'any query'],
    ['/q?any=bb', {}, 'any query'],
    ['/q?any=c', {}, undefined],
    ['/qn', {}, 'no query'],
    ['/qn?debugging=1&old=11', {}, 'no query'],
    ['/qn?debug', {}, undefined],
    ['/qn?a=b&debug=1', {}, undefined],
    ['/qn?old=1', {}, undefined],
    ['/qn?a&old=xyz', {}, undefined],
    ['/qn?old=x&b=z', {}, 'no query'],
    ['/c', { headers: { cookie: 'group=beta' } }, 'cookie'],
    ['/c', { headers: { cookie: 'a=b; group=beta; c=d' } }, 'cookie'],
    ['/c', { headers: { cookie: 'other-group=beta' } }, undefined],
    ['/c', { headers: { cookie: 'group=betamax' } }, undefined],
    ['/c', { headers: { cookie: 'group=gx; a=b' } }, 'any cookie'],
    ['/c', { headers: { cookie: 'group=x; a=z' } }, undefined],
    ['/c', { headers: { cookie: 'group=foo' } }, 'any cookie'],
    ['/c', { headers: { cookie: 'group=fa; b=oo' } }, undefined],
    ['/cn', {}, 'no cookie'],
    ['/cn', { headers: { cookie: 'guests=1; old=2' } }, 'no cookie'],
    ['/cn', { headers: { cookie: 'a=b; guest=' } }, undefined],
    ['/cn', { headers: { cookie: 'old=1' } }, undefined],
    ['/never', {}, 'always'],
    ['/always', {}, 'always'],
  ])('match %s %j: %s', async (path, question, body) => {
    const { status, text } = await ask(port, path, { host: 'match.example', ...question })
    expect(status === 404 ? undefined : text).toBe(body)
  })

  test.each([
    ['/shop.v1.Cart/Add', 'application/grpc', true],
    ['/shop.v1.Cart/Add', 'application/json', false],
    ['/shop.v1.Carts/Add', 'application/grpc', false],
    ['/shop.v1.Admin/Stop', 'application/grpc+proto', true],
    ['/shop.v1.Admin/Start', 'application/grpc', false],
  ])('match the call %s of %s: %s', async (path, type, isTaken) => {
    const mark = log.length
    await ask(port, path, { host: 'match.example', method: 'POST', headers: { 'content-type': type } })
    expect(log.slice(mark).map((asked) => asked.path)).toEqual(isTaken ? [path] : [])
  })

  test.each<readonly [path: string, question: Question, body: string | undefined]>([
    ['/x', {}, 'first prefix'],
    ['/x', { headers: { 'x-a': '1' } }, 'second header'],
    ['/x/y/1', {}, 'second longer'],
    ['/x/z', {}, 'second exact'],
    ['/elsewhere', {}, 'first everything'],
    ['/x', { host: 'merged.example:8080' }, 'first prefix'],
    ['/x', { host: 'MERGED.example' }, 'first prefix'],
    ['/x', { host: 'a.merged.example' }, 'wild'],
    ['/x', { host: 'another.example' }, undefined],
  ])('of several Routes for one host answer %s %j: %s', async (path, question, body) => {
    const { status, text } = await ask(port, path, { host: 'merged.example', ...question })
    expect(status === 404 ? undefined : text).toBe(body)
  })

  test.each<readonly [sent: string, got: string]>([
    ['/root.', '/'],
    ['/root.?q=1', '/?q=1'],
    ['/root./x?q=1', '/x?q=1'],
    ['/old', '/new'],
    ['/old/x', '/new/x'],
    ['/whole/of/it?q=1', '/one?q=1'],
    ['/users/ann/cart?q', '/u/ann/cart?q'],
    ['/plain?q=%41', '/plain?q=%41'],
  ])('rewrite %s to %s', async (sent, got) => {
    expect((await ask(port, sent)).asked?.path).toBe(got)
  })

  test('rewrite the host', async () => {
    expect((await ask(port, '/users/ann')).asked?.headers.host).toBe('other.example')
  })

  test('change headers both ways', async () => {
    const headers = { 'x-env': 'test', 'x-more': 'one', 'x-secret': 's' }
    const { asked, headers: got } = await ask(port, '/headers', { headers })
    expect(asked?.headers).toMatchObject({ 'x-env': 'prod', 'x-more': 'one, two', 'x-arm': '100% a' })
    expect(asked?.headers).not.toHaveProperty('x-secret')
    expect(got).toMatchObject({ 'x-set': 'yes' })
    expect(got).not.toHaveProperty('x-powered-by')
  })

  test.each<readonly [path: string, host: string, status: number, location: string]>([
    ['/https?q=1', 'shop.example', 301, 'https://shop.example/https?q=1'],
    ['/https', 'shop.example:8080', 301, 'https://shop.example:443/https'],
    ['/moved/x?q=1', 'shop.example', 308, 'http://shop.example/x?q=1'],
    ['/moved', 'shop.example', 308, 'http://shop.example/'],
    ['/there?q=1', 'shop.example', 302, 'http://other.example/here?q=1'],
  ])('redirect %s at %s', async (path, host, status, location) => {
    const answer = await ask(port, path, { host })
    expect([answer.status, answer.headers['location']]).toEqual([status, location])
  })

  test('answer 503 where every weight is 0', async () => {
    expect((await ask(port, '/none')).status).toBe(503)
  })

  test('end what takes longer than the timeout', async () => {
    const began = performance.now()
    expect((await ask(port, '/slow', { headers: { 'x-wait': '2000' } })).status).toBe(504)
    expect(performance.now() - began).toBeLessThan(1500)
  })

  const triesOf = async (path: string, question: Question): Promise<readonly string[]> => {
    const mark = log.length
    await ask(port, path, question)
    return log.slice(mark).map(({ app }) => app)
  }

  describe('retry', () => {
    test('what is idempotent, at another host first', async () => {
      const tries = await triesOf('/retry', { headers: { 'x-do': '503' } })
      expect(tries).toHaveLength(3)
      expect(new Set(tries.slice(0, 2)).size).toBe(2)
    })

    test.each([
      ['a POST', '/retry', { method: 'POST', headers: { 'x-do': '503' } }],
      [
        'a POST whose client asks for it',
        '/retry',
        { method: 'POST', headers: { 'x-do': '503', 'x-envoy-retry-on': '5xx', 'x-envoy-max-retries': '5' } },
      ],
      ['what is not in `retryOn`', '/plain', { headers: { 'x-do': '503' } }],
      ['what was sent and then lost', '/plain', { headers: { 'x-do': 'reset' } }],
      ['with `attempts: 0`', '/no-retry', { headers: { 'x-do': '503', 'x-envoy-retry-on': '5xx' } }],
      ['a method that is not among `methods`', '/retry-any', { headers: { 'x-do': '409' } }],
    ])('not: %s', async (_, path, question) => {
      expect(await triesOf(path, question)).toHaveLength(1)
    })

    test('what could not connect, where nothing is said: but no POST', async () => {
      const statuses = async (method: string): Promise<Set<number>> => {
        const found = new Set<number>()
        // One by one: the budget for retries grows with the requests under way.
        for (let request = 0; request < 10; request++) found.add((await ask(port, '/half', { method })).status)
        return found
      }
      expect(await statuses('GET')).toEqual(new Set([200]))
      expect(await statuses('POST')).toEqual(new Set([200, 503]))
    })

    test('what the document says may be', async () => {
      expect(await triesOf('/retry-any', { method: 'POST', headers: { 'x-do': '409' } })).toHaveLength(2)
    })
  })

  test('mirror to another version, whose answer is thrown away', async () => {
    const mark = log.length
    const { asked } = await ask(port, '/mirror')
    expect(asked?.app).toBe('a')
    await expect
      .poll(() =>
        log
          .slice(mark)
          .map(({ app }) => app)
          .sort(),
      )
      .toEqual(['a', 'b'])
  })

  test('make faults', async () => {
    expect((await ask(port, '/abort')).status).toBe(418)
    const began = performance.now()
    expect((await ask(port, '/delay')).status).toBe(200)
    expect(performance.now() - began).toBeGreaterThan(145)
  })

  test('fall back to another Service while a backend has no host', async () => {
    expect((await ask(port, '/fallback')).asked?.app).toBe('b')
  })

  test('fall back to the other arms first', async () => {
    const apps = await Promise.all(Array.from({ length: 20 }, async () => (await ask(port, '/arms')).asked?.app))
    expect(new Set(apps)).toEqual(new Set(['a']))
  })

  test('match a host without its port and case; the app gets it as it was sent, and the client what the app says it is', async () => {
    const { asked, headers } = await ask(port, '/plain', { host: 'Shop.Example:8080' })
    expect(asked?.headers.host).toBe('Shop.Example:8080')
    expect(headers.server).toBe('shop/1')
  })

  test('leave a version without endpoints its share, which is answered with 503', async () => {
    const answers = await Promise.all(Array.from({ length: 400 }, () => ask(port, '/half-dead')))
    const dead = answers.filter(({ status }) => status === 503).length
    expect(answers.filter(({ asked }) => asked?.app === 'a').length).toBe(answers.length - dead)
    // Of 400 draws of one half, five standard deviations.
    expect(dead).toBeGreaterThan(150)
    expect(dead).toBeLessThan(250)
  })

  test('give one user one arm, and users both', async () => {
    const armOf = async (user: number): Promise<string | undefined> =>
      (await ask(port, '/user', { headers: { 'x-user': String(user) } })).asked?.app
    const users = Array.from({ length: 40 }, (_, index) => index)
    const first = await Promise.all(users.map(armOf))
    expect(await Promise.all(users.map(armOf))).toEqual(first)
    expect(new Set(first)).toEqual(new Set(['a', 'b']))
  })

  test('make a cookie by which all later requests go where the first one went', async () => {
    for (let client = 0; client < 20; client++) {
      const first = await ask(port, '/sticky')
      const [cookie = ''] = first.headers['set-cookie'] ?? []
      expect(cookie).toMatch(/^arm=[\da-f-]{36}; Path=\/; Max-Age=3600; HttpOnly$/)
      const headers = { cookie: cookie.split(';')[0] as string }
      for (let again = 0; again < 3; again++) {
        const { asked, headers: got } = await ask(port, '/sticky', { headers })
        expect(asked?.app).toBe(first.asked?.app)
        expect(got).not.toHaveProperty('set-cookie')
      }
    }
  })

  test('split by weight', async () => {
    const apps: (string | undefined)[] = []
    for (let batch = 0; batch < 20; batch++) {
      const answers = await Promise.all(Array.from({ length: 50 }, () => ask(port, '/split')))
      apps.push(...answers.map(({ asked }) => asked?.app))
    }
    const share = apps.filter((app) => app === 'b').length / apps.length
    expect(share).toBeGreaterThan(0.05)
    expect(share).toBeLessThan(0.16)
  })

  describe('for browsers of other sites', () => {
    const preflight = (origin: string): Promise<Answer> => {
      const headers = { origin, 'access-control-request-method': 'PUT' }
      return ask(port, '/cors', { method: 'OPTIONS', headers })
    }

    test.each(['https://a.example', 'https://x.b.example'])('answer the preflight of %s', async (origin) => {
      const mark = log.length
      expect((await preflight(origin)).headers).toMatchObject({
        'access-control-allow-origin': origin,
        'access-control-allow-methods': 'PUT',
        'access-control-allow-credentials': 'true',
      })
      expect(log).toHaveLength(mark)
    })

    test('allow no other', async () => {
      expect((await preflight('https://c.example')).headers).not.toHaveProperty('access-control-allow-origin')
    })

    test('let the request itself be read', async () => {
      const { headers, asked } = await ask(port, '/cors', { method: 'PUT', headers: { origin: 'https://a.example' } })
      expect(headers['access-control-allow-origin']).toBe('https://a.example')
      expect(asked?.method).toBe('PUT')
    })
  })

  test('refuse bodies that are too large', async () => {
    expect((await ask(port, '/small', { method: 'POST', body: 'x'.repeat(1000) })).status).toBe(200)
    expect((await ask(port, '/small', { method: 'POST', body: 'x'.repeat(3000) })).status).toBe(413)
    expect((await ask(port, '/plain', { method: 'POST', body: 'x'.repeat(3000) })).status).toBe(200)
  })

  test('compress for who asks for it, where the rule says so', async () => {
    const headers = { 'accept-encoding': 'gzip' }
    expect((await ask(port, '/zip', { headers })).headers['content-encoding']).toBe('gzip')
    expect((await ask(port, '/zip')).headers).not.toHaveProperty('content-encoding')
    expect((await ask(port, '/plain', { headers })).headers).not.toHaveProperty('content-encoding')
  })

  test('refuse to upgrade to WebSocket where the rule says so', async () => {
    const headers = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' }
    expect((await ask(port, '/no-websocket', { headers })).status).toBe(403)
    expect((await ask(port, '/small', { headers })).status).toBe(403)
    expect((await ask(port, '/plain', { headers })).status).toBe(101)
  })
})
