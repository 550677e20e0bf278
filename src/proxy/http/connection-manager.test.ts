import { Agent, createServer, type IncomingMessage, type RequestListener, request } from 'node:http'
import { type ClientHttp2Session, connect as connectHttp2, createServer as createHttp2Server } from 'node:http2'
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net'
import { describe, expect, test } from 'vitest'
import { atTestEnd } from '../../../test/support/at-test-end.ts'
import { type ManagerBed, routesTo, startManagerBed } from '../../../test/support/http-manager-bed.ts'
import { createBedCluster } from '../../../test/support/proxy-bed.ts'
import type { JsonObject } from '../config/field-reader.ts'

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

interface Asked {
  readonly path?: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** An upstream that says what it was asked. */
async function startUpstream(listener?: RequestListener): Promise<number> {
  const echo: RequestListener = (message, response) => {
    let body = ''
    message.on('data', (chunk: Buffer) => {
      body += chunk
    })
    message.on('end', () => {
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ method: message.method, path: message.url, headers: message.headers, body }))
    })
  }
  const server = createServer({ keepAliveTimeout: 0 }, listener ?? echo)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  atTestEnd(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

async function startBed(config: JsonObject = {}, listener?: RequestListener): Promise<ManagerBed> {
  const port = await startUpstream(listener)
  return startManagerBed({ config, clusters: (context) => [createBedCluster(context, port)] })
}

const agent = new Agent({ keepAlive: true })
atTestEnd(() => agent.destroy())

function ask(bed: ManagerBed, { path = '/', method = 'GET', headers = {}, body = '' }: Asked = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request({ port: bed.port, host: '127.0.0.1', path, method, headers, agent }, (response) => {
      read(response).then(
        (text) =>
          resolve({
            status: response.statusCode as number,
            headers: response.headers as Record<string, string>,
            body: text,
          }),
        reject,
      )
    })
    asked.on('error', reject)
    asked.end(body)
  })
}

async function read(response: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of response) text += String(chunk)
  return text
}

function openHttp2(bed: ManagerBed): ClientHttp2Session {
  const session = connectHttp2(`http://127.0.0.1:${bed.port}`)
  session.on('error', () => undefined)
  atTestEnd(() => session.destroy())
  return session
}

function askHttp2(session: ClientHttp2Session, { path = '/', method = 'GET', headers = {}, body = '' }: Asked = {}) {
  return new Promise<Answer>((resolve, reject) => {
    const stream = session.request({ ':path': path, ':method': method, ...headers }, { endStream: body === '' })
    let found: Record<string, string> = {}
    let text = ''
    stream.on('response', (response) => {
      found = response as Record<string, string>
    })
    stream.setEncoding('utf8')
    stream.on('data', (chunk: string) => {
      text += chunk
    })
    stream.on('end', () => resolve({ status: Number(found[':status']), headers: found, body: text }))
    stream.on('error', reject)
    if (body !== '') stream.end(body)
  })
}

/** What comes back for bytes as they are, until the other side ends or nothing more is due. */
function raw(bed: ManagerBed, text: string, isEnough: (answer: string) => boolean = () => false): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(bed.port, '127.0.0.1', () => socket.write(text))
    let answer = ''
    socket.on('data', (chunk) => {
      answer += chunk
      if (isEnough(answer)) socket.destroy()
    })
    socket.on('close', () => resolve(answer))
    socket.on('error', reject)
  })
}

describe('a request', () => {
  test('goes to the upstream and its response comes back, in HTTP/1.1', async () => {
    const bed = await startBed()
    const answer = await ask(bed, { path: '/a?b=c', method: 'POST', body: 'hello' })
    expect(answer.status).toBe(200)
    expect(JSON.parse(answer.body)).toMatchObject({ method: 'POST', path: '/a?b=c', body: 'hello' })
    expect(answer.headers).toMatchObject({ server: 'envoy', 'content-type': 'application/json' })
    expect(answer.headers['x-envoy-upstream-service-time']).toMatch(/^\d+$/)
  })

  test('goes to the upstream and its response comes back, in HTTP/2', async () => {
    const bed = await startBed()
    const session = openHttp2(bed)
    const answers = await Promise.all(
      ['/a', '/b'].map((path) => askHttp2(session, { path, method: 'PUT', body: path })),
    )
    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    expect(answers.map(({ body }) => JSON.parse(body))).toMatchObject([
      { method: 'PUT', path: '/a', body: '/a' },
      { method: 'PUT', path: '/b', body: '/b' },
    ])
  })

  test('that is sent ahead is answered in its turn', async () => {
    const bed = await startBed()
    const one = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: a\r\n\r\n`
    const answer = await raw(bed, one('/a') + one('/b') + one('/c').replace('host', 'connection: close\r\nhost'))
    expect([...answer.matchAll(/"path":"(.*?)"/g)].map(([, path]) => path)).toEqual(['/a', '/b', '/c'])
  })
})

describe('what the upstream is told', () => {
  test('is who the client is, and the id of the request', async () => {
    const bed = await startBed({ use_remote_address: true, via: 'edge' })
    const headers = { 'x-forwarded-for': '1.2.3.4', 'x-forwarded-proto': 'https', 'x-envoy-max-retries': '9' }
    const { headers: seen } = seenBy(await ask(bed, { headers }))
    expect(seen['x-forwarded-for']).toMatch(/^1\.2\.3\.4,\d+\.\d+\.\d+\.\d+$/)
    expect(seen).toMatchObject({ 'x-forwarded-proto': 'http', 'x-envoy-external-address': '127.0.0.1', via: 'edge' })
    expect(seen['x-request-id']).toMatch(/^[\da-f-]{36}$/)
    expect(seen).not.toHaveProperty('x-envoy-max-retries')
  })

  test('is what trusted proxies in front say of it', async () => {
    const bed = await startBed({
      use_remote_address: true,
      xff_num_trusted_hops: 1,
      access_log: logOf('%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%\n'),
    })
    const headers = { 'x-forwarded-for': '9.9.9.9, 1.2.3.4', 'x-forwarded-proto': 'https' }
    expect(seenBy(await ask(bed, { headers })).headers).toMatchObject({
      'x-forwarded-proto': 'https',
      'x-envoy-external-address': '1.2.3.4',
    })
    expect(bed.logged).toEqual(['1.2.3.4\n'])
  })

  test('is nothing that is between neighbours', async () => {
    const bed = await startBed()
    const headers = { connection: 'keep-alive, x-own', 'x-own': 'a', te: 'gzip', 'proxy-connection': 'b' }
    const { headers: seen } = seenBy(await ask(bed, { headers }))
    for (const name of ['x-own', 'te', 'proxy-connection']) expect(seen).not.toHaveProperty(name)
  })
})

describe('a client that waits', () => {
  test('for leave to send its body gets it', async () => {
    const bed = await startBed()
    const answer = await raw(
      bed,
      'POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\nab',
      (text) => text.includes('"body"'),
    )
    expect(answer).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n/)
  })

  test('for an upstream that says nothing is told so in time', async () => {
    const bed = await startBed({ route_config: routesTo({ cluster: 'cart', timeout: '0.05s' }) }, () => undefined)
    expect(await ask(bed)).toMatchObject({ status: 504, body: 'upstream request timeout' })
    expect(bed.stat('cluster.cart.upstream_rq_timeout')).toBe(1)
  })

  test('and says nothing itself is told so, too', async () => {
    const bed = await startBed({
      stream_idle_timeout: '0.05s',
      access_log: logOf('%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%\n'),
    })
    const answer = await raw(bed, 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nab')
    expect(answer).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n.*connection: close.*stream timeout$/s)
    expect(bed.logged).toEqual(['SI stream_idle_timeout\n'])
  })

  test('and does not get on with its headers is refused', async () => {
    const bed = await startBed({ request_headers_timeout: '0.05s' })
    expect(await raw(bed, 'GET / HTTP/1.1\r\nho')).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n/)
    expect(bed.stat('http.test.downstream_rq_header_timeout')).toBe(1)
  })

  test('and does not get on with its request is refused', async () => {
    const bed = await startBed({ request_timeout: '0.05s' })
    const answer = await raw(bed, 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nab')
    expect(answer).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n.*request timeout$/s)
  })

  test('between two requests for too long is let go', async () => {
    const bed = await startBed({ common_http_protocol_options: { idle_timeout: '0.05s' }, drain_timeout: '0.01s' })
    const answer = await raw(bed, 'GET / HTTP/1.1\r\nhost: a\r\n\r\n')
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    expect(bed.stat('http.test.downstream_cx_idle_timeout')).toBe(1)
  })
})

describe('a listener that drains', () => {
  test('tells clients of HTTP/1.1 with their next response', async () => {
    const bed = await startBed()
    expect((await ask(bed)).headers['connection']).not.toBe('close')
    bed.drain()
    expect((await ask(bed)).headers['connection']).toBe('close')
    expect(bed.stat('http.test.downstream_cx_drain_close')).toBe(1)
  })

  test('tells clients of HTTP/2 to go away', async () => {
    const bed = await startBed({ drain_timeout: '0.05s' })
    const session = openHttp2(bed)
    await askHttp2(session)
    const isGone = new Promise<void>((resolve) => session.once('goaway', () => resolve()))
    bed.drain()
    expect((await askHttp2(session)).status).toBe(200)
    await isGone
  })
})

describe('an upgrade', () => {
  const handshake = 'GET /chat HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n'

  test('that is allowed joins client and upstream', async () => {
    const port = await startEchoUpgrade()
    const bed = await startManagerBed({
      config: { upgrade_configs: [{ upgrade_type: 'websocket' }] },
      clusters: (context) => [createBedCluster(context, port)],
    })
    const answer = await raw(bed, `${handshake}hello`, (text) => text.endsWith('hello'))
    expect(answer).toMatch(/^HTTP\/1\.1 101 Switching Protocols\r\n.*upgrade: websocket\r\n.*\r\n\r\nhello$/is)
    expect(bed.stat('http.test.downstream_cx_upgrades_total')).toBe(1)
  })

  test('that is not allowed is forbidden', async () => {
    const bed = await startBed()
    expect(await raw(bed, handshake)).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n.*connection: close/s)
    expect(bed.stat('http.test.downstream_rq_ws_on_non_ws_route')).toBe(1)
  })

  test('that the upstream does not grant ends', async () => {
    const bed = await startBed({ upgrade_configs: [{ upgrade_type: 'websocket' }] })
    expect(await raw(bed, handshake)).toMatch(/^HTTP\/1\.1 200 OK\r\n.*content-length: 0\r\n/s)
  })

  test('CONNECT leads to the bytes of the upstream', async () => {
    const port = await startEchoBytes()
    const route = { cluster: 'cart', upgrade_configs: [{ upgrade_type: 'CONNECT', connect_config: {} }] }
    const bed = await startManagerBed({
      config: {
        upgrade_configs: [{ upgrade_type: 'CONNECT' }],
        route_config: {
          validate_clusters: false,
          virtual_hosts: [{ name: 'v', domains: ['*'], routes: [{ match: { connect_matcher: {} }, route }] }],
        },
      },
      clusters: (context) => [createBedCluster(context, port)],
    })
    const answer = await raw(bed, 'CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\nhello', (text) => text.endsWith('hello'))
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n.*\r\n\r\nhello$/s)
  })
})

describe('a body', () => {
  test('is taken from the client no faster than the upstream takes it', async () => {
    let resume = (): void => undefined
    const bed = await startBed({}, (message, response) => {
      let size = 0
      resume = () => message.on('data', (chunk: Buffer) => (size += chunk.length))
      message.on('end', () => response.end(String(size)))
    })
    const whole = 64 * 1024 * 1024
    const socket = connect(bed.port, '127.0.0.1')
    atTestEnd(() => void socket.destroy())
    socket.write(`POST / HTTP/1.1\r\nhost: a\r\ncontent-length: ${whole}\r\n\r\n`)
    let sent = 0
    const send = (): void => {
      while (sent < whole) {
        sent += 1024 * 1024
        if (!socket.write(Buffer.alloc(1024 * 1024))) return
      }
    }
    socket.on('drain', send)
    send()
    // What the kernel and Node buffer on the way is some megabytes; then nothing moves.
    await untilStill(() => sent)
    expect(sent).toBeLessThan(whole / 2)
    resume()
    const answer = await new Promise<string>((resolve) => socket.once('data', (chunk) => resolve(String(chunk))))
    expect(answer).toContain(String(whole))
  })

  test('that the client breaks off is broken off for the upstream', async () => {
    const brokenOff = new Promise<void>((resolve) => (onBroken = resolve))
    const bed = await startBed(
      { access_log: logOf('%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%\n') },
      (message) => {
        message.on('aborted', () => onBroken())
        message.resume()
        message.once('data', () => socket.destroy())
      },
    )
    const socket = connect(bed.port, '127.0.0.1')
    socket.write('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nab')
    await brokenOff
    expect(bed.logged).toEqual(['0 DC downstream_remote_disconnect\n'])
  })
})

let onBroken = (): void => undefined

describe('HTTP/2', () => {
  test('carries trailers both ways to an upstream that speaks it too', async () => {
    const port = await startHttp2Upstream()
    const http2 = { explicit_http_config: { http2_protocol_options: {} } }
    const bed = await startManagerBed({
      clusters: (context) => [
        createBedCluster(context, port, {
          typed_extension_protocol_options: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
              '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
              ...http2,
            },
          },
        }),
      ],
    })
    const session = openHttp2(bed)
    const stream = session.request({ ':method': 'POST', ':path': '/' }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-mine': 'a' }))
    stream.end('hello')
    stream.resume()
    const trailers = await new Promise<Record<string, unknown>>((resolve) => stream.on('trailers', resolve))
    expect(trailers).toMatchObject({ 'x-yours': 'a' })
  })

  test('is refused to a client that opens streams and resets them, over and over', async () => {
    const bed = await startBed({}, () => undefined)
    const session = openHttp2(bed)
    const isClosed = new Promise<void>((resolve) => session.once('close', () => resolve()))
    let opened = 0
    const open = (): void => {
      for (let index = 0; index < 20 && !session.destroyed && !session.closed; index += 1) {
        const stream = session.request({ ':path': '/' })
        stream.on('error', () => undefined)
        setImmediate(() => stream.close(8))
        opened += 1
      }
      if (!session.destroyed && !session.closed) setTimeout(open, 5)
    }
    session.once('connect', open)
    await isClosed
    expect(opened).toBeLessThan(400)
    expect(bed.stat('http.test.downstream_rq_too_many_premature_resets')).toBe(1)
  })

  test('gets errors of gRPC in the words of gRPC', async () => {
    const bed = await startManagerBed({})
    const answer = await askHttp2(openHttp2(bed), { headers: { 'content-type': 'application/grpc' } })
    expect(answer.headers).toMatchObject({ ':status': 200, 'grpc-status': '14' })
  })
})

function seenBy({ body }: Answer): { readonly headers: Record<string, string> } {
  return JSON.parse(body) as { readonly headers: Record<string, string> }
}

const logOf = (format: string): JsonObject[] => [
  {
    name: 'log',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog',
      log_format: { text_format_source: { inline_string: format } },
    },
  },
]

/** Grants every upgrade, and sends back what comes. */
async function startEchoUpgrade(): Promise<number> {
  const server = createServer()
  server.on('upgrade', (_, socket, head) => {
    socket.on('error', () => undefined)
    socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\r\n')
    if (head.length > 0) socket.write(head)
    socket.pipe(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  atTestEnd(() => void server.close())
  return (server.address() as AddressInfo).port
}

async function startEchoBytes(): Promise<number> {
  const server = createTcpServer((socket) => socket.on('error', () => undefined).pipe(socket))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  atTestEnd(() => void server.close())
  return (server.address() as AddressInfo).port
}

/** Answers with a trailer that has the value of the request's. */
async function startHttp2Upstream(): Promise<number> {
  const server = createHttp2Server()
  server.on('stream', (stream) => {
    let mine = ''
    stream.on('trailers', (trailers) => (mine = String(trailers['x-mine'])))
    stream.on('error', () => undefined)
    stream.on('end', () => {
      stream.respond({ ':status': 200 }, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-yours': mine }))
      stream.end('done')
    })
    stream.resume()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  atTestEnd(() => void server.close())
  return (server.address() as AddressInfo).port
}

/** Once a number has not changed for a while. */
async function untilStill(read: () => number): Promise<void> {
  for (let before = -1; before !== read(); ) {
    before = read()
    await new Promise((resolve) => setTimeout(resolve, 150))
  }
}

test('a client that sends thousands of requests ahead of their answers is let go', async () => {
  const bed = await startBed({}, () => undefined)
  expect(await raw(bed, 'GET / HTTP/1.1\r\nhost: a\r\n\r\n'.repeat(3000)).catch(() => '')).toBe('')
})
