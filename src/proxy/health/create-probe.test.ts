import { EventEmitter, once } from 'node:events'
import { createServer as createHttp1Server, type RequestListener } from 'node:http'
import { createServer as createHttp2Server, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { atTestEnd } from '../../../test/support/at-test-end.ts'
import { freePorts } from '../../../test/support/free-ports.ts'
import { ClusterHost } from '../cluster/cluster-host.ts'
import { FieldReader, type JsonObject } from '../config/field-reader.ts'
import { noLocality } from '../config/locality.ts'
import { createProbe } from './create-probe.ts'
import { readHealthCheck } from './health-check-config.ts'
import { failed, type Probe, type ProbeResult, passed, unreachable } from './probe.ts'

async function listen(server: Server): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => sockets.add(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  atTestEnd(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

interface Bed {
  readonly probe: Probe
  /** How many connections were opened. */
  readonly opened: () => number
}

function createBed(port: number, check: JsonObject, hostname = ''): Bed {
  const timing = { timeout: '1s', interval: '10s', unhealthy_threshold: 1, healthy_threshold: 1 }
  const config = FieldReader.read({ ...timing, ...check }, readHealthCheck)
  const healthCheck = { port: undefined, address: undefined, hostname, isDisabled: false }
  const endpoint = { hostname: '', weight: 1, metadata: {}, health: 'UNKNOWN', healthCheck } as const
  const host = new ClusterHost({ ip: '127.0.0.1', port, locality: noLocality }, endpoint, 0)
  let opened = 0
  const probe = createProbe(host, config, {
    clusterName: 'cart',
    async connect({ ip, port: at }) {
      opened++
      const socket = connect(at, ip)
      await once(socket, 'connect')
      return socket
    },
  })
  atTestEnd(() => probe.close())
  return { probe, opened: () => opened }
}

const checkOnce = ({ probe }: Bed): Promise<ProbeResult> => probe.check(new AbortController().signal)

const retriable: ProbeResult = { kind: 'failed', isRetriable: true }
const degraded: ProbeResult = { kind: 'passed', isDegraded: true }

interface HttpAnswer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

const httpCases: readonly (readonly [name: string, check: JsonObject, answer: HttpAnswer, result: ProbeResult])[] = [
  ['200', {}, {}, passed],
  ['204, which is not expected', {}, { status: 204 }, failed],
  ['204, which is', { expected_statuses: [{ start: '200', end: '300' }] }, { status: 204 }, passed],
  ['500', {}, { status: 500 }, failed],
  ['500, which is retriable', { retriable_statuses: [{ start: '500', end: '501' }] }, { status: 500 }, retriable],
  ['that it is degraded', {}, { headers: { 'x-envoy-degraded': 'yes' } }, degraded],
  ['what it was to answer', { receive: [{ text: '6f6b' }] }, { body: 'all ok' }, passed],
  ['something else than it was to', { receive: [{ text: '6f6b' }] }, { body: 'all well' }, failed],
  [
    'that it is of another service',
    { service_name_matcher: { prefix: 'cart' } },
    { headers: { 'x-envoy-upstream-healthchecked-cluster': 'shop' } },
    failed,
  ],
  [
    'that it is of the service',
    { service_name_matcher: { prefix: 'cart' } },
    { headers: { 'x-envoy-upstream-healthchecked-cluster': 'cart-1' } },
    passed,
  ],
]

describe.each([
  ['HTTP/1.1', {}, (answer: RequestListener) => createHttp1Server(answer)],
  [
    'HTTP/2',
    { codec_client_type: 'HTTP2' },
    (answer: RequestListener) => createHttp2Server(answer as never) as unknown as Server,
  ],
] as const)('a check over %s', (_protocol, codec, createHttpServer) => {
  it.each(httpCases)('of a host that answers %s', async (_, check, { status = 200, headers = {}, body }, result) => {
    const server = createHttpServer((_request, response) => {
      response.writeHead(status, headers)
      response.end(body)
    })
    const bed = createBed(await listen(server), { http_health_check: { path: '/', ...codec, ...check } })
    expect(await checkOnce(bed)).toEqual(result)
  })

  it('asks as it is told to', async () => {
    const seen: unknown[] = []
    const server = createHttpServer((request, response) => {
      const { method, url, headers } = request
      seen.push([method, url, headers[':authority'] ?? headers.host, headers['user-agent'], headers['x-check']])
      response.end()
    })
    const check = {
      path: '/ready?full',
      method: 'HEAD',
      host: 'ready.test',
      request_headers_to_add: [{ header: { key: 'X-Check', value: 'yes' } }],
      ...codec,
    }
    const port = await listen(server)
    await checkOnce(createBed(port, { http_health_check: check }))
    await checkOnce(
      createBed(port, { http_health_check: { ...check, request_headers_to_remove: ['User-Agent'] } }, 'own.test'),
    )
    await checkOnce(createBed(port, { http_health_check: { path: '/', ...codec } }))
    expect(seen).toEqual([
      ['HEAD', '/ready?full', 'ready.test', 'Envoy/HC', 'yes'],
      ['HEAD', '/ready?full', 'own.test', undefined, 'yes'],
      ['GET', '/', 'cart', 'Envoy/HC', undefined],
    ])
  })

  it.each([
    [true, 1],
    [false, 3],
  ])('where connections are used again: %s, has %i for three checks', async (reuse, connections) => {
    const server = createHttpServer((_request, response) => void response.end())
    const check = { reuse_connection: reuse, http_health_check: { path: '/', ...codec } }
    const bed = createBed(await listen(server), check)
    for (let time = 0; time < 3; time++) expect(await checkOnce(bed)).toEqual(passed)
    expect(bed.opened()).toBe(connections)
  })

  it('finds nobody where nobody listens', async () => {
    expect(
      await checkOnce(createBed((await freePorts(1))[0] as number, { http_health_check: { path: '/', ...codec } })),
    ).toEqual(unreachable)
  })

  it('finds nobody where the connection is closed before the answer, and tries with another', async () => {
    let requests = 0
    const server = createHttpServer((request, response) => {
      if (++requests > 1) response.end()
      else if ('stream' in request) (request.stream as { session: ServerHttp2Session }).session.destroy()
      else request.socket.destroy()
    })
    const bed = createBed(await listen(server), { http_health_check: { path: '/', ...codec } })
    expect([await checkOnce(bed), await checkOnce(bed)]).toEqual([unreachable, passed])
  })

  it('ends when it is told that it takes too long', async () => {
    const asked = new EventEmitter()
    const server = createHttpServer(() => void asked.emit('request'))
    const { probe } = createBed(await listen(server), { http_health_check: { path: '/', ...codec } })
    const ending = new AbortController()
    const requested = once(asked, 'request')
    const checking = probe.check(ending.signal)
    await requested
    ending.abort()
    expect(await checking).toEqual(unreachable)
  })
})

describe('a check over TCP', () => {
  const check = { send: { text: '50494e47' }, receive: [{ text: '50' }, { text: '4f4e47' }] }

  it.each<readonly [string, JsonObject, readonly string[], ProbeResult]>([
    ['that it can be connected', {}, [], passed],
    ['what it was to answer, in parts', check, ['P', 'O', 'NG'], passed],
    ['something else, and the end', check, ['NGPO'], unreachable],
  ])('of a host that shows %s', async (_, tcp_health_check, parts, result) => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined)
      const write = (index: number): void => {
        const part = parts[index]
        if (part === undefined) socket.end()
        else socket.write(part, () => write(index + 1))
      }
      socket.once('data', (content) => {
        if (content.toString() === 'PING') write(0)
      })
    })
    expect(await checkOnce(createBed(await listen(server), { tcp_health_check }))).toEqual(result)
  })

  it('finds nobody where nobody listens', async () => {
    expect(await checkOnce(createBed((await freePorts(1))[0] as number, { tcp_health_check: {} }))).toEqual(unreachable)
  })
})

describe('a check over gRPC', () => {
  it.each<readonly [string, answer: readonly number[], grpcStatus: string, result: ProbeResult]>([
    ['that it serves', [8, 1], '0', passed],
    ['that it does not serve', [8, 2], '0', failed],
    ['nothing that is known', [], '0', failed],
    ['that it knows no such method', [], '12', failed],
  ])('of a host that says %s', async (_, answer, grpcStatus, result) => {
    const seen: string[] = []
    const server = createHttp2Server()
    server.on('stream', (stream: ServerHttp2Stream, headers) => {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.once('end', () => {
        seen.push(`${headers[':path']} ${headers[':authority']} ${Buffer.concat(chunks).toString('hex')}`)
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
        stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': grpcStatus }))
        stream.end(Buffer.from([0, 0, 0, 0, answer.length, ...answer]))
      })
    })
    const bed = createBed(await listen(server as unknown as Server), {
      grpc_health_check: { service_name: 'a', authority: 'b' },
    })
    expect(await checkOnce(bed)).toEqual(result)
    expect(seen).toEqual(['/grpc.health.v1.Health/Check b 00000000030a0161'])
  })
})
