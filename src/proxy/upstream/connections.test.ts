import { createServer as createHttp, type RequestListener } from 'node:http'
import {
  createServer as createHttp2,
  type Http2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, it } from 'vitest'
import { createBedCluster, createBedSecrets, createProxyContext } from '../../../test/support/proxy-bed.ts'
import { type Clock, systemClock } from '../../clock.ts'
import type { JsonObject } from '../config/field-reader.ts'
import { Headers } from '../http/headers.ts'
import type { ProxyContext } from '../proxy-context.ts'
import { createConnections } from './connections.ts'
import type { Connections, UpstreamFailure, UpstreamRequest } from './upstream.ts'

const ends: (() => void)[] = []
afterEach(() => {
  for (const end of ends.splice(0)) end()
})

async function listen(server: Server | Http2Server): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
  })
  ends.push(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

const http1 = (listener: RequestListener): Promise<number> => listen(createHttp(listener))

/** Answers each connection with what `talk` makes of it. */
const raw = (talk: (socket: Socket, index: number) => void): Promise<number> => {
  let count = 0
  return listen(createServer((socket) => talk(socket, count++)))
}

const optionsType = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions'
const protocolOptions = (options: JsonObject): JsonObject => ({
  typed_extension_protocol_options: { [optionsType]: { '@type': `type.googleapis.com/${optionsType}`, ...options } },
})
const speaksHttp2 = protocolOptions({ explicit_http_config: { http2_protocol_options: {} } })

interface Bed {
  readonly context: ProxyContext
  readonly connections: Connections
  readonly cluster: ReturnType<typeof createBedCluster>
  stat(name: string): number | undefined
}

function bed(port: number, json: JsonObject = {}, options: Partial<ProxyContext> = {}): Bed {
  const context = createProxyContext(options)
  const connections = createConnections(context, createBedSecrets())
  const cluster = createBedCluster(context, port, json)
  ends.push(() => cluster.host.remove())
  const stat = (name: string): number | undefined =>
    (context.stats.counters.get(`cluster.cart.${name}`) ?? context.stats.gauges.get(`cluster.cart.${name}`))?.value
  return { context, connections, cluster, stat }
}

function requestOf(headers: Record<string, string> = {}, rest: Partial<UpstreamRequest> = {}): UpstreamRequest {
  return {
    headers: Headers.of({ ':method': 'GET', ':path': '/', ':authority': 'cart', ':scheme': 'http', ...headers }),
    isEnd: true,
    priority: 'default',
    downstreamProtocol: 'HTTP/1.1',
    ...rest,
  }
}

async function get(
  { connections, cluster }: Bed,
  request: UpstreamRequest = requestOf(),
): Promise<{ status: string | undefined; headers: Headers; body: string; trailers: Headers | undefined }> {
  const stream = await connections.openStream(cluster, cluster.host, request)
  const response = await stream.response
  const body = await text(response.body)
  return { status: response.headers.get(':status'), headers: response.headers, body, trailers: response.trailers() }
}

async function failureOf(promise: Promise<unknown>): Promise<UpstreamFailure> {
  return promise.then(
    () => {
      throw new Error('did not fail')
    },
    (error: unknown) => error as UpstreamFailure,
  )
}

describe('HTTP/1.1', () => {
  it('sends the request with host in place of :authority, and nothing of its own', async () => {
    let head = ''
    const port = await raw((socket) =>
      socket.on('data', (data) => {
        head += data.toString()
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\nX-A: b\r\n\r\nhi')
      }),
    )
    const answer = await get(bed(port), requestOf({ ':path': '/a?b', accept: '*/*', connection: 'close' }))
    expect(head).toBe('GET /a?b HTTP/1.1\r\nhost: cart\r\naccept: */*\r\n\r\n')
    expect(answer).toMatchObject({ status: '200', body: 'hi' })
    expect([...answer.headers]).toEqual([
      [':status', '200'],
      ['content-length', '2'],
      ['x-a', 'b'],
    ])
  })

  it('carries one request after the other on one connection', async () => {
    const port = await http1((_, response) => response.end('ok'))
    const one = bed(port)
    await get(one)
    await get(one)
    expect(one.stat('upstream_cx_total')).toBe(1)
    expect(one.stat('upstream_cx_http1_total')).toBe(1)
    expect(one.stat('upstream_rq_total')).toBe(2)
    expect(one.stat('upstream_rq_active')).toBe(0)
    expect(one.cluster.host.stats).toMatchObject({ cxTotal: 1, cxActive: 1, rqTotal: 2, rqActive: 0 })
  })

  it('opens a connection for each of two requests at a time, and takes the last one that was free first', async () => {
    const sockets: Socket[] = []
    const port = await http1((request, response) => {
      sockets.push(request.socket)
      response.end('ok')
    })
    const one = bed(port)
    await Promise.all([get(one), get(one)])
    expect(one.stat('upstream_cx_total')).toBe(2)
    await get(one)
    await get(one)
    expect(sockets[3]).toBe(sockets[2])
  })

  it('streams a body with chunks, and trailers only where they are enabled', async () => {
    const port = await http1((request, response) => {
      let body = ''
      request.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk
      })
      request.on('end', () => {
        response.writeHead(200, { trailer: 'x-sum' })
        response.write(JSON.stringify([body, request.headers['transfer-encoding'], request.trailers]))
        response.addTrailers({ 'x-sum': '1' })
        response.end()
      })
    })
    const post = async (one: Bed): Promise<unknown> => {
      const request = requestOf({ ':method': 'POST' }, { isEnd: false })
      const stream = await one.connections.openStream(one.cluster, one.cluster.host, request)
      stream.body.write('a')
      stream.body.write('bc')
      stream.endWith(Headers.of({ 'x-end': 'z' }))
      const response = await stream.response
      return [JSON.parse(await text(response.body)), response.trailers()?.flat]
    }
    expect(await post(bed(port))).toEqual([['abc', 'chunked', {}], undefined])
    const enabled = protocolOptions({ explicit_http_config: { http_protocol_options: { enable_trailers: true } } })
    expect(await post(bed(port, enabled))).toEqual([
      ['abc', 'chunked', { 'x-end': 'z' }],
      ['x-sum', '1'],
    ])
  })

  it.each([
    ['POST', 'content-length: 0\r\n'],
    ['PUT', 'content-length: 0\r\n'],
    ['DELETE', ''],
    ['HEAD', ''],
  ])('%s without a body says so where one is expected', async (method, line) => {
    let head = ''
    const port = await raw((socket) =>
      socket.on('data', (data) => {
        head = data.toString()
        socket.write('HTTP/1.1 204 No Content\r\n\r\n')
      }),
    )
    const answer = await get(bed(port), requestOf({ ':method': method }))
    expect(head).toBe(`${method} / HTTP/1.1\r\nhost: cart\r\n${line}\r\n`)
    expect(answer).toMatchObject({ status: '204', body: '' })
  })

  it('tells of a host that refuses connections', async () => {
    const server = createServer()
    const port = await listen(server)
    await new Promise((resolve) => server.close(resolve))
    const one = bed(port)
    expect(await failureOf(get(one))).toMatchObject({
      flag: 'UF',
      detail:
        'reset reason: remote connection failure, transport failure reason: delayed connect error: Connection refused',
    })
    expect(one.stat('upstream_cx_connect_fail')).toBe(1)
    expect(one.stat('upstream_cx_active')).toBe(0)
    expect(one.stat('upstream_rq_pending_active')).toBe(0)
    expect(one.cluster.circuit('default').connections.active).toBe(0)
    expect(one.cluster.circuit('default').pending.active).toBe(0)
  })

  it('tells of a connection that closes before any byte, and of one that closes within the body', async () => {
    const port = await raw((socket, index) =>
      socket.on('data', () => {
        if (index === 0) socket.end()
        else socket.end('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc')
      }),
    )
    const one = bed(port)
    expect(await failureOf(get(one))).toMatchObject({ flag: 'UC', detail: 'reset reason: connection termination' })
    expect(await failureOf(get(one))).toMatchObject({ flag: 'UPE', detail: 'reset reason: protocol error' })
    expect(one.stat('upstream_cx_destroy_remote_with_active_rq')).toBe(2)
    expect(one.stat('upstream_cx_protocol_error')).toBe(1)
  })

  it('opens another connection where the host closed the idle one', async () => {
    const port = await raw((socket) =>
      socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n', () => socket.end())),
    )
    const one = bed(port)
    await get(one)
    await expect.poll(() => one.stat('upstream_cx_active')).toBe(0)
    await get(one)
    expect(one.stat('upstream_cx_total')).toBe(2)
  })

  it('refuses what is no HTTP', async () => {
    const port = await raw((socket) => socket.on('data', () => socket.write('SSH-2.0-x\r\n\r\n')))
    const one = bed(port)
    expect(await failureOf(get(one))).toMatchObject({ flag: 'UPE', reason: 'protocol error' })
    expect(one.stat('upstream_cx_protocol_error')).toBe(1)
  })

  it('hands interim responses on', async () => {
    const port = await http1((_, response) => {
      response.writeEarlyHints({ link: '</a.css>; rel=preload' })
      response.end('ok')
    })
    const one = bed(port)
    const stream = await one.connections.openStream(one.cluster, one.cluster.host, requestOf())
    const interim: (readonly string[])[] = []
    stream.onInterim((headers) => interim.push(headers.flat))
    await stream.response
    expect(interim).toEqual([[':status', '103', 'link', '</a.css>; rel=preload']])
  })

  it('makes a raw connection of an upgrade that is granted', async () => {
    const server = createHttp()
    server.on('upgrade', (request, socket: Socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: echo\r\n\r\n')
      socket.pipe(socket)
      expect(request.headers).toEqual({ host: 'cart', connection: 'Upgrade', upgrade: 'echo' })
    })
    const one = bed(await listen(server))
    const request = requestOf({ connection: 'Upgrade', upgrade: 'echo' }, { upgrade: 'echo', isEnd: false })
    const stream = await one.connections.openStream(one.cluster, one.cluster.host, request)
    const response = await stream.response
    expect(response.headers.flat).toEqual([':status', '101', 'connection', 'Upgrade', 'upgrade', 'echo'])
    stream.body.write('ping')
    stream.body.end('pong')
    expect(await text(response.body)).toBe('pingpong')
    await expect.poll(() => one.stat('upstream_cx_active')).toBe(0)
  })

  it('closes the connection of a request that is given up', async () => {
    const port = await http1(() => undefined)
    const one = bed(port)
    const stream = await one.connections.openStream(one.cluster, one.cluster.host, requestOf())
    stream.cancel()
    await expect.poll(() => one.stat('upstream_cx_active')).toBe(0)
    expect(one.stat('upstream_rq_active')).toBe(0)
    expect(one.stat('upstream_cx_destroy_local_with_active_rq')).toBe(1)
  })

  it('holds back a host whose response nobody reads', async () => {
    const chunk = Buffer.alloc(1 << 20)
    let written = 0
    const port = await http1((_, response) => {
      const write = (): void => {
        while (written++ < 100 && response.write(chunk));
        response.once('drain', write)
      }
      write()
    })
    const one = bed(port)
    const stream = await one.connections.openStream(one.cluster, one.cluster.host, requestOf())
    await stream.response
    await expect.poll(() => written).toBeGreaterThan(0)
    let before = -1
    await expect
      .poll(
        () => {
          const isStill = before === written
          before = written
          return isStill
        },
        { interval: 200 },
      )
      .toBe(true)
    expect(written).toBeLessThan(30)
    stream.cancel()
  })
})

describe('limits', () => {
  const limited = (thresholds: JsonObject): JsonObject => ({ circuit_breakers: { thresholds: [thresholds] } })

  it('lets a request wait for the only connection, and refuses the next one', async () => {
    const waiting: (() => void)[] = []
    const port = await http1((_, response) => void waiting.push(() => response.end('ok')))
    const one = bed(port, limited({ max_connections: 1, max_pending_requests: 1 }))
    const first = get(one)
    await expect.poll(() => waiting.length).toBe(1)
    const second = get(one)
    expect(await failureOf(get(one))).toMatchObject({ flag: 'UO', detail: 'reset reason: overflow' })
    expect(one.stat('upstream_rq_pending_overflow')).toBe(1)
    expect(one.stat('upstream_cx_overflow')).toBe(1)
    waiting.shift()?.()
    await first
    await expect.poll(() => waiting.length).toBe(1)
    waiting.shift()?.()
    expect((await second).body).toBe('ok')
    expect(one.stat('upstream_cx_total')).toBe(1)
  })

  it('refuses more requests at a time than may be', async () => {
    const port = await http1(() => undefined)
    const one = bed(port, limited({ max_requests: 1 }))
    const stream = await one.connections.openStream(one.cluster, one.cluster.host, requestOf())
    expect(await failureOf(get(one))).toMatchObject({ flag: 'UO' })
    stream.cancel()
  })

  it('does not write a request that nobody waits for any more', async () => {
    const paths: (string | undefined)[] = []
    const waiting: (() => void)[] = []
    const port = await http1((request, response) => {
      paths.push(request.url)
      waiting.push(() => response.end('ok'))
    })
    const one = bed(port, limited({ max_connections: 1 }))
    const first = get(one, requestOf({ ':path': '/1' }))
    const second = get(one, requestOf({ ':path': '/2' }, { isWanted: () => false }))
    const third = get(one, requestOf({ ':path': '/3' }))
    await expect.poll(() => waiting.length).toBe(1)
    waiting.shift()?.()
    await first
    expect(await failureOf(second)).toMatchObject({ flag: 'UR' })
    await expect.poll(() => waiting.length).toBe(1)
    waiting.shift()?.()
    await third
    expect(paths).toEqual(['/1', '/3'])
  })

  it('closes a connection after as many requests as it may carry, and one that was idle for long', async () => {
    const port = await http1((_, response) => response.end('ok'))
    const one = bed(
      port,
      protocolOptions({
        explicit_http_config: { http_protocol_options: {} },
        common_http_protocol_options: { max_requests_per_connection: 2, idle_timeout: '0.05s' },
      }),
    )
    await get(one)
    await get(one)
    await expect.poll(() => one.stat('upstream_cx_active')).toBe(0)
    expect(one.stat('upstream_cx_max_requests')).toBe(1)
    expect(one.stat('upstream_cx_idle_timeout')).toBe(0)
    await get(one)
    await expect.poll(() => one.stat('upstream_cx_active')).toBe(0)
    expect(one.stat('upstream_cx_idle_timeout')).toBe(1)
    expect(one.stat('upstream_cx_total')).toBe(2)
  })

  it('drains the connections of a host that is removed when their requests are done', async () => {
    const waiting: (() => void)[] = []
    const port = await http1((_, response) => void waiting.push(() => response.end('ok')))
    const one = bed(port)
    const answer = get(one)
    await expect.poll(() => waiting.length).toBe(1)
    one.cluster.host.remove()
    waiting.shift()?.()
    expect((await answer).body).toBe('ok')
    await expect.poll(() => one.stat('upstream_cx_active')).toBe(0)
  })
})

describe('a host that turns unhealthy', () => {
  it('has its connections drained, and takes requests on new ones', async () => {
    const port = await http1((_, response) => response.end('ok'))
    const one = bed(port)
    await get(one)
    one.cluster.host.turnUnhealthy()
    await expect.poll(() => one.stat('upstream_cx_active')).toBe(0)
    await get(one)
    await get(one)
    expect(one.stat('upstream_cx_total')).toBe(2)
  })

  it.each([true, false])('has its raw connections closed where the cluster says so: %s', async (closes) => {
    const port = await raw((socket) => socket.pipe(socket))
    const one = bed(port, { close_connections_on_host_health_failure: closes })
    const { socket } = await one.connections.connect(one.cluster, one.cluster.host)
    one.cluster.host.turnUnhealthy()
    expect(socket.destroyed).toBe(closes)
    socket.destroy()
  })
})

describe('HTTP/2', () => {
  async function http2(
    onStream: (stream: ServerHttp2Stream, headers: Record<string, unknown>) => void,
    settings: object = {},
  ): Promise<{ port: number; sessions: ServerHttp2Session[] }> {
    const server = createHttp2({ settings })
    const sessions: ServerHttp2Session[] = []
    server.on('session', (session) => {
      sessions.push(session)
      session.on('error', () => undefined)
    })
    server.on('stream', (stream, headers) => {
      stream.on('error', () => undefined)
      onStream(stream, headers)
    })
    return { port: await listen(server), sessions }
  }

  it('carries many requests at a time on one connection, with trailers both ways', async () => {
    const { port } = await http2((stream, headers) => {
      let trailers: unknown
      stream.on('trailers', (all: Record<string, unknown>) => {
        trailers = all['x-end']
      })
      stream.respond({ ':status': 200, 'x-path': String(headers[':path']) }, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': `sum ${String(trailers)}` }))
      stream.pipe(stream)
    })
    const one = bed(port, speaksHttp2)
    const echo = async (index: number): Promise<unknown> => {
      const request = requestOf({ ':method': 'POST', ':path': `/${index}`, connection: 'close' }, { isEnd: false })
      const stream = await one.connections.openStream(one.cluster, one.cluster.host, request)
      stream.body.write(`body ${index}`)
      stream.endWith(Headers.of({ 'x-end': String(index) }))
      const response = await stream.response
      const body = await text(response.body)
      return [response.headers.get('x-path'), body, response.trailers()?.flat]
    }
    const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => echo(index)))
    expect(answers).toEqual(answers.map((_, index) => [`/${index}`, `body ${index}`, ['x-sum', `sum ${index}`]]))
    expect(one.stat('upstream_cx_http2_total')).toBe(1)
    expect(one.stat('upstream_cx_total')).toBe(1)
    expect(one.stat('upstream_rq_total')).toBe(20)
    await expect.poll(() => one.stat('upstream_rq_active')).toBe(0)
  })

  it('says of a response that it ended with its headers', async () => {
    const { port } = await http2((stream) => stream.respond({ ':status': 204 }, { endStream: true }))
    const one = bed(port, speaksHttp2)
    const stream = await one.connections.openStream(one.cluster, one.cluster.host, requestOf())
    expect(await stream.response).toMatchObject({ isEnd: true })
  })

  it('opens another connection where the host allows no more streams', async () => {
    const waiting: (() => void)[] = []
    const { port } = await http2(
      (stream) =>
        waiting.push(() => {
          stream.respond()
          stream.end('ok')
        }),
      { maxConcurrentStreams: 2 },
    )
    const one = bed(port, speaksHttp2)
    const stream = await one.connections.openStream(one.cluster, one.cluster.host, requestOf())
    await expect.poll(() => waiting.length).toBe(1)
    const rest = [get(one), get(one), get(one)]
    await expect.poll(() => waiting.length).toBe(4)
    expect(one.stat('upstream_cx_total')).toBe(2)
    for (const answer of waiting) answer()
    await Promise.all(rest)
    expect((await stream.response).headers.get(':status')).toBe('200')
  })

  it.each([
    ['NGHTTP2_REFUSED_STREAM', 7, { flag: 'UR', isRefused: true, detail: 'reset reason: remote refused stream reset' }],
    ['NGHTTP2_INTERNAL_ERROR', 2, { flag: 'UR', isRefused: false, detail: 'reset reason: remote reset' }],
    ['NGHTTP2_CANCEL', 8, { flag: 'UR', isRefused: false, detail: 'reset reason: remote reset' }],
  ])('tells of a stream that is reset with %s', async (_, code, expected) => {
    const { port } = await http2((stream) => stream.close(code))
    const one = bed(port, speaksHttp2)
    expect(await failureOf(get(one))).toMatchObject(expected)
    expect(one.stat('upstream_rq_rx_reset')).toBe(1)
    expect(one.stat('upstream_cx_active')).toBe(1)
  })

  it.each([2, 8])('destroys the body of a stream that is reset with %s within it', async (code) => {
    const frame = (type: number, flags: number, stream: number, payload: Buffer): Buffer =>
      Buffer.concat([Buffer.from([0, 0, payload.length, type, flags, 0, 0, 0, stream]), payload])
    const port = await raw((socket) => {
      socket.write(frame(4, 0, 0, Buffer.alloc(0)))
      socket.on('data', (data) => {
        // HEADERS come behind the preface: `:status: 200`, a piece of the body, and no end.
        if (!data.includes(Buffer.from('cart')) && data.length < 60) return
        socket.write(frame(1, 4, 1, Buffer.from([0x88])))
        socket.write(frame(0, 0, 1, Buffer.from('abc')))
        socket.write(frame(3, 0, 1, Buffer.from([0, 0, 0, code])))
      })
    })
    expect(await failureOf(get(bed(port, speaksHttp2)))).toMatchObject({ name: 'UpstreamFailure', flag: 'UR' })
  })

  it('tells of a connection that breaks', async () => {
    const { port, sessions } = await http2((stream) => {
      stream.respond()
      stream.write('abc', () => sessions[0]?.destroy())
    })
    expect(await failureOf(get(bed(port, speaksHttp2)))).toMatchObject({ flag: 'UC' })
  })

  it('takes another connection after GOAWAY, and ends what is under way on the first', async () => {
    const waiting: (() => void)[] = []
    const { port, sessions } = await http2((stream) =>
      waiting.push(() => {
        stream.respond()
        stream.end('ok')
      }),
    )
    const one = bed(port, speaksHttp2)
    const first = get(one)
    await expect.poll(() => waiting.length).toBe(1)
    sessions[0]?.goaway()
    await expect.poll(() => one.stat('upstream_cx_close_notify')).toBe(1)
    const second = get(one)
    await expect.poll(() => waiting.length).toBe(2)
    for (const answer of waiting) answer()
    expect([(await first).body, (await second).body]).toEqual(['ok', 'ok'])
    await expect.poll(() => one.stat('upstream_cx_active')).toBe(1)
    expect(one.stat('upstream_cx_total')).toBe(2)
  })

  it('closes a connection that does not answer pings', async () => {
    // A host that reads everything and says nothing.
    const port = await raw((socket) => socket.on('data', () => undefined))
    const keepalive = { connection_keepalive: { interval: '0.05s', timeout: '0.05s' } }
    const one = bed(port, protocolOptions({ explicit_http_config: { http2_protocol_options: keepalive } }))
    expect(await failureOf(get(one))).toMatchObject({ flag: 'UC' })
    expect(one.stat('http2.keepalive_timeout')).toBe(1)
  })

  it('asks a connection that was idle for long whether it is still there', async () => {
    const { port, sessions } = await http2((stream) => {
      stream.respond()
      stream.end('ok')
    })
    const keepalive = { connection_keepalive: { timeout: '1s', connection_idle_interval: '100s' } }
    let passedMs = 0
    const clock: Clock = { ...systemClock, now: () => systemClock.now() + passedMs }
    const one = bed(port, protocolOptions({ explicit_http_config: { http2_protocol_options: keepalive } }), { clock })
    await get(one)
    let pings = 0
    sessions[0]?.on('ping', () => pings++)
    await get(one)
    expect(pings).toBe(0)
    await expect.poll(() => one.stat('upstream_rq_active')).toBe(0)
    passedMs = 100_000
    await get(one)
    await expect.poll(() => pings).toBe(1)
    expect(one.stat('upstream_cx_total')).toBe(1)
  })

  it('carries an upgrade as an extended CONNECT', async () => {
    const { port } = await http2(
      (stream, headers) => {
        expect(headers).toMatchObject({ ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/chat' })
        stream.respond({ ':status': 200 })
        stream.pipe(stream)
      },
      { enableConnectProtocol: true },
    )
    const one = bed(port, speaksHttp2)
    const upgrade = { connection: 'Upgrade', upgrade: 'websocket' }
    const request = requestOf({ ':path': '/chat', ...upgrade }, { upgrade: 'websocket', isEnd: false })
    const stream = await one.connections.openStream(one.cluster, one.cluster.host, request)
    const response = await stream.response
    expect(response.headers.get(':status')).toBe('101')
    stream.body.end('ping')
    expect(await text(response.body)).toBe('ping')
  })
})

describe('raw connections', () => {
  it('are counted while they last, and limited', async () => {
    const port = await raw((socket) => socket.pipe(socket))
    const one = bed(port, { circuit_breakers: { thresholds: [{ max_connections: 1 }] } })
    const connection = await one.connections.connect(one.cluster, one.cluster.host)
    expect(connection.localAddress).toMatch(/^127\.0\.0\.1:\d+$/)
    expect(one.stat('upstream_cx_active')).toBe(1)
    expect(await failureOf(one.connections.connect(one.cluster, one.cluster.host))).toMatchObject({ flag: 'UO' })
    connection.socket.end('abc')
    expect(await text(connection.socket)).toBe('abc')
    connection.close()
    await expect.poll(() => one.stat('upstream_cx_active')).toBe(0)
    expect(one.stat('upstream_cx_tx_bytes_total')).toBe(3)
  })

  it('give up when nobody answers in time', async () => {
    const port = await raw((socket) => socket.on('data', () => undefined))
    const type = 'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext'
    const one = bed(port, {
      connect_timeout: '0.05s',
      transport_socket: { name: 'tls', typed_config: { '@type': `type.googleapis.com/${type}` } },
    })
    expect(await failureOf(one.connections.connect(one.cluster, one.cluster.host))).toMatchObject({
      flag: 'UF',
      detail: 'reset reason: connection timeout',
    })
    expect(one.stat('upstream_cx_connect_timeout')).toBe(1)
    expect(one.stat('upstream_cx_active')).toBe(0)
  })
})
