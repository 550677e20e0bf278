/** Proxies between clients and upstreams of which either does whatever it likes. */
import { existsSync, readFileSync } from 'node:fs'
import {
  connect as connectHttp2,
  constants,
  createServer as createHttp2Server,
  type ServerHttp2Stream,
} from 'node:http2'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { guardClientSession, guardServerSession } from '../../../src/http2-guard.ts'
import { atTestEnd } from '../../support/at-test-end.ts'
import type { Certificate } from '../../support/certificates.ts'
import { eventually } from '../../support/poll.ts'
import { tempDir } from '../../support/temp.ts'

/** What an upstream does with a request over HTTP/1.1, by its path; it has been read up to the end of its headers. */
export type Http1Deed = (socket: Socket, bodyBegun: string) => void

const head = (rest = 'content-length: 2\r\n'): string => `HTTP/1.1 200 OK\r\n${rest}\r\n`
const whole = `${head()}ok`
const says =
  (text: string): Http1Deed =>
  (socket) =>
    void socket.write(text, 'latin1')
const saysLast =
  (text: string): Http1Deed =>
  (socket) =>
    void socket.end(text, 'latin1')

export const http1Deeds: Readonly<Record<string, Http1Deed>> = {
  ok: says(whole),
  slowly(socket) {
    let at = 0
    const next = (): void => {
      if (at < whole.length && !socket.destroyed) socket.write(whole.slice(at, (at += 7)), () => setTimeout(next, 5))
    }
    next()
  },
  silent: () => undefined,
  reset: (socket) => void socket.resetAndDestroy(),
  close: (socket) => void socket.end(),
  'cut head': saysLast('HTTP/1.1 200 O'),
  'cut head by a reset': (socket) => void socket.write('HTTP/1.1 200 O', () => socket.resetAndDestroy()),
  'cut length': saysLast(`${head('content-length: 10\r\n')}abc`),
  'cut length by a reset': (socket) =>
    void socket.write(`${head('content-length: 10\r\n')}abc`, () => setTimeout(() => socket.resetAndDestroy(), 30)),
  'cut chunk': saysLast(`${head('transfer-encoding: chunked\r\n')}5\r\nab`),
  'no last chunk': saysLast(`${head('transfer-encoding: chunked\r\n')}2\r\nab\r\n`),
  'until close': saysLast(`${head('')}ok`),
  'more than said': says(`${head()}okokok`),
  'a second response': says(`${whole}${whole}`),
  'broken chunk': says(`${head('transfer-encoding: chunked\r\n')}zz\r\n`),
  'broken length': says(`${head('content-length: abc\r\n')}ok`),
  'two lengths': says(`${head('content-length: 2\r\ncontent-length: 3\r\n')}ok`),
  'length and chunks': says(`${head('content-length: 2\r\ntransfer-encoding: chunked\r\n')}2\r\nok\r\n0\r\n\r\n`),
  'no HTTP': says('hello\r\n\r\n'),
  'an alert of TLS': saysLast('\x15\x03\x01\x00\x02\x02\x16'),
  'a broken status': says('HTTP/1.1 2x0 OK\r\n\r\n'),
  'an unknown status': says('HTTP/1.1 799 Odd\r\ncontent-length: 2\r\n\r\nok'),
  'a flood of interim responses': says(`${'HTTP/1.1 100 Continue\r\n\r\n'.repeat(1000)}${whole}`),
  'nothing but interim responses': saysLast('HTTP/1.1 100 Continue\r\n\r\n'.repeat(10)),
  'odd early hints': says(`HTTP/1.1 103 Early Hints\r\nlink: none\r\nage: 1\r\nage: 2\r\n\r\n${whole}`),
  'a leave nobody asked for': says(`HTTP/1.1 100 Continue\r\n\r\n${whole}`),
  'processing first': says(`HTTP/1.1 102 Processing\r\n\r\n${whole}`),
  'an upgrade nobody asked for': says('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n'),
  trailers: says(`${head('transfer-encoding: chunked\r\n')}2\r\nok\r\n0\r\nx-a: 1\r\n\r\n`),
  'odd trailers': says(
    `${head('transfer-encoding: chunked\r\n')}2\r\nok\r\n0\r\nte: gzip\r\nage: 1\r\nage: 2\r\nconnection: x\r\n\r\n`,
  ),
  'no content with content': says('HTTP/1.1 204 No Content\r\ncontent-length: 2\r\n\r\nok'),
  'not modified with content': says('HTTP/1.1 304 Not Modified\r\ncontent-length: 2\r\n\r\nok'),
  'headers twice': says(
    head('content-type: a\r\ncontent-type: b\r\nage: 1\r\nage: 2\r\ncontent-length: 2\r\n').concat('ok'),
  ),
  'headers that only one connection has': says(
    `${head('keep-alive: timeout=5\r\nproxy-connection: close\r\nupgrade: h2c\r\nte: trailers\r\ncontent-length: 2\r\n')}ok`,
  ),
  'bytes beyond ASCII': says(`${head('x-a: \xe9\xff\r\ncontent-length: 2\r\n')}ok`),
  'too long a header': says(`${head(`x-a: ${'a'.repeat(70_000)}\r\ncontent-length: 2\r\n`)}ok`),
  'too many headers': says(`${head(`${'x: y\r\n'.repeat(200)}content-length: 2\r\n`)}ok`),
  'far too long a header': says(`${head(`x-a: ${'a'.repeat(90_000)}\r\ncontent-length: 2\r\n`)}ok`),
  'a folded header': says(`${head('x-a: b\r\n c\r\ncontent-length: 2\r\n')}ok`),
  'an old version': saysLast('HTTP/1.0 200 OK\r\n\r\nok'),
  'answered, then closed': saysLast(whole),
  'answered, then reset': (socket) => void socket.write(whole, () => setTimeout(() => socket.resetAndDestroy(), 20)),
  endless(socket) {
    socket.write(head('transfer-encoding: chunked\r\n'))
    const chunk = `1000\r\n${'x'.repeat(4096)}\r\n`
    const go = (): void => {
      while (!socket.destroyed && socket.write(chunk));
    }
    socket.on('drain', go)
    go()
  },
  'begun, then silent': says(`${head('transfer-encoding: chunked\r\n')}2\r\nok\r\n`),
}

/** A body is read if nobody says otherwise. */
export async function startRoughHttp1(): Promise<number> {
  return listen(
    createServer((socket) => {
      let read = ''
      socket.on('error', () => undefined)
      socket.on('data', (chunk: Buffer) => {
        read += chunk.toString('latin1')
        const end = read.indexOf('\r\n\r\n')
        if (end === -1 || !/^[A-Z]+ \//.test(read)) return
        const [, path = ''] = /^[A-Z]+ (\S+)/.exec(read) ?? []
        const rest = read.slice(end + 4)
        const chunked = /\r\ntransfer-encoding: chunked/i.test(read.slice(0, end + 2))
        const length = Number(/\r\ncontent-length: (\d+)/i.exec(read.slice(0, end + 2))?.[1] ?? 0)
        const isEarly = path.endsWith('?early')
        if (!isEarly && (chunked ? !rest.endsWith('0\r\n\r\n') : rest.length < length)) return
        read = isEarly ? '' : rest.slice(chunked ? rest.length : length)
        http1Deeds[nameOf(path)]?.(socket, rest)
      })
    }),
  )
}

export type Http2Deed = (stream: ServerHttp2Stream) => void

export const http2Deeds: Readonly<Record<string, Http2Deed>> = {
  ok(stream) {
    stream.respond({ ':status': 200 })
    stream.end('ok')
  },
  silent: () => undefined,
  reset: (stream) => stream.close(constants.NGHTTP2_INTERNAL_ERROR),
  refused: (stream) => stream.close(constants.NGHTTP2_REFUSED_STREAM),
  'a broken protocol': (stream) => stream.close(constants.NGHTTP2_PROTOCOL_ERROR),
  'cut by a reset'(stream) {
    stream.respond({ ':status': 200 })
    stream.write('ab', () => setTimeout(() => stream.close(constants.NGHTTP2_INTERNAL_ERROR), 20))
  },
  'cut by the end of the connection'(stream) {
    stream.respond({ ':status': 200 })
    stream.write('ab', () => setTimeout(() => stream.session?.destroy(), 20))
  },
  'end of the connection': (stream) => stream.session?.destroy(),
  'answered while it goes away'(stream) {
    stream.session?.close()
    stream.respond({ ':status': 200 })
    stream.end('ok')
  },
  'gone away, then answered'(stream) {
    stream.session?.goaway(constants.NGHTTP2_NO_ERROR, stream.id as number)
    setTimeout(() => {
      if (stream.destroyed) return
      stream.respond({ ':status': 200 })
      stream.end('ok')
    }, 20)
  },
  'gone away in anger': (stream) => stream.session?.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM, 0),
  trailers(stream) {
    stream.respond({ ':status': 200 }, { waitForTrailers: true })
    stream.once('wantTrailers', () => stream.sendTrailers({ 'x-a': '1', 'grpc-status': '0' }))
    stream.end('ok')
  },
  'early hints'(stream) {
    stream.additionalHeaders({ ':status': 103, link: 'none' })
    stream.respond({ ':status': 200 })
    stream.end('ok')
  },
  'wrong length'(stream) {
    stream.respond({ ':status': 200, 'content-length': '10' })
    stream.end('ok')
  },
  'no content'(stream) {
    stream.respond({ ':status': 204 }, { endStream: true })
  },
  'begun, then silent'(stream) {
    stream.respond({ ':status': 200 })
    stream.write('ok')
  },
  endless(stream) {
    stream.respond({ ':status': 200 })
    const chunk = 'x'.repeat(4096)
    const go = (): void => {
      while (!stream.destroyed && stream.write(chunk));
    }
    stream.on('drain', go)
    go()
  },
}

export function startRoughHttp2(maxConcurrentStreams = 100): Promise<number> {
  const server = createHttp2Server({ settings: { maxConcurrentStreams } })
  server.on('sessionError', () => undefined)
  server.on('session', (session) => {
    guardServerSession(session)
    session.on('error', () => undefined)
  })
  server.on('stream', (stream, headers) => {
    stream.on('error', () => undefined)
    const path = String(headers[':path'])
    const act = (): void => {
      if (!stream.destroyed) http2Deeds[nameOf(path)]?.(stream)
    }
    stream.resume()
    if (path.endsWith('?early')) act()
    else stream.on('end', act)
  })
  return listen(server)
}

const nameOf = (path: string): string => decodeURIComponent(path.slice(1).replace(/\?.*$/, ''))

/** Closed at the end with all its connections. */
export async function listen(server: Server): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  atTestEnd(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return (server.address() as AddressInfo).port
}

/** Which port each host name leads to, and how it is spoken to. */
export interface Upstreams {
  readonly http1: number
  readonly http2: number
  /** Speaks HTTP/2 and takes one request at a time. */
  readonly narrow: number
  /** Of those to whom nothing bad is done. */
  readonly well1: number
  readonly well2: number
}

export const address = (port: number): object => ({ socket_address: { address: '127.0.0.1', port_value: port } })

export const typed = (name: string, config: object = {}): object => ({
  '@type': `type.googleapis.com/${name}`,
  ...config,
})

export function cluster(name: string, port: number, isHttp2: boolean, rest: object = {}): object {
  return {
    name,
    connect_timeout: '2s',
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address: address(port) } }] }] },
    ...(isHttp2 && {
      typed_extension_protocol_options: {
        'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': typed(
          'envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
          { explicit_http_config: { http2_protocol_options: {} } },
        ),
      },
    }),
    ...rest,
  }
}

export interface ManagerParts {
  readonly virtualHosts: readonly object[]
  /** Laid over the connection manager. */
  readonly rest?: object
}

export function httpFilter({ virtualHosts, rest = {} }: ManagerParts): object {
  return {
    name: 'http',
    typed_config: typed('envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', {
      stat_prefix: 'rough',
      route_config: { name: 'r', virtual_hosts: virtualHosts },
      http_filters: [{ name: 'router', typed_config: typed('envoy.extensions.filters.http.router.v3.Router') }],
      ...rest,
    }),
  }
}

export const toCluster = (name: string, route: object = {}): object => ({
  name,
  domains: [name],
  routes: [{ match: { prefix: '/' }, route: { cluster: name, ...route } }],
})

export function tcpFilter(name: string): object {
  return {
    name: 'tcp',
    typed_config: typed('envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', {
      stat_prefix: 'tcp',
      cluster: name,
    }),
  }
}

export function bootstrapOf(listeners: readonly object[], clusters: readonly object[]): object {
  return {
    node: { id: 'rough', cluster: 'rough' },
    admin: { address: address(0) },
    static_resources: { listeners, clusters },
  }
}

export function downstreamTls({ certificate, key }: Certificate): object {
  return {
    name: 'tls',
    typed_config: typed('envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext', {
      common_tls_context: {
        alpn_protocols: ['h2', 'http/1.1'],
        tls_certificates: [{ certificate_chain: { inline_string: certificate }, private_key: { inline_string: key } }],
      },
    }),
  }
}

/** `plain`, `tls` and `tcp`; requests for the host `http1` or `http2` go there. */
export function roughBootstrap(ports: Upstreams, certificate: Certificate, log: string): object {
  const filters = [
    httpFilter({
      virtualHosts: [
        ...['http1', 'http2', 'narrow', 'deaf', 'well1', 'well2'].map((name) => toCluster(name, { timeout: '0.4s' })),
        {
          name: 'again',
          domains: ['again'],
          routes: [
            {
              match: { prefix: '/' },
              route: {
                cluster: 'http1',
                timeout: '1s',
                retry_policy: { retry_on: '5xx,reset', num_retries: 2, retry_back_off: { base_interval: '0.005s' } },
              },
            },
          ],
        },
      ],
      rest: {
        request_headers_timeout: '0.5s',
        stream_idle_timeout: '1s',
        access_log: [
          {
            name: 'file',
            typed_config: typed('envoy.extensions.access_loggers.file.v3.FileAccessLog', {
              path: log,
              log_format: {
                json_format: {
                  scene: '%REQ(X-SCENE)%',
                  code: '%RESPONSE_CODE%',
                  flags: '%RESPONSE_FLAGS%',
                  details: '%RESPONSE_CODE_DETAILS%',
                },
              },
            }),
          },
        ],
      },
    }),
  ]
  return bootstrapOf(
    [
      { name: 'plain', address: address(0), filter_chains: [{ filters }] },
      {
        name: 'tls',
        address: address(0),
        filter_chains: [{ filters, transport_socket: downstreamTls(certificate) }],
      },
      { name: 'tcp', address: address(0), filter_chains: [{ filters: [tcpFilter('http1')] }] },
    ],
    [
      cluster('http1', ports.http1, false),
      cluster('http2', ports.http2, true),
      cluster('narrow', ports.narrow, true),
      cluster('well1', ports.well1, false),
      cluster('well2', ports.well2, true),
      // Those who are spoken to in the wrong way.
      cluster('deaf', ports.http1, true),
    ],
  )
}

/** What is logged of a scene: `503 UF`. */
export async function loggedOf(file: string, scene: string): Promise<string> {
  const mark = `"scene":"${scene}"`
  const find = (): string | undefined =>
    existsSync(file)
      ? readFileSync(file, 'utf8')
          .split('\n')
          .find((one) => one.includes(mark))
      : undefined
  const line = (await eventually(() => find() ?? false, { timeoutMs: 10_000 })) as string
  const { code, flags } = JSON.parse(line) as { readonly code: number | null; readonly flags: string | null }
  return `${code ?? 0} ${flags ?? '-'}`
}

export const logPath = (name: string): string => join(tempDir(), `${name}.log`)

/** What a client by hand is told: the status, and how it ended. */
export interface Told {
  readonly status: number
  readonly text: string
  readonly end: 'closed' | 'reset' | 'still open'
}

export interface ClientOptions {
  /** Resolves as soon as that much was told; by default when the connection is closed, or nothing came for a while. */
  readonly until?: (text: string) => boolean
  /** Called when the connection is there, in place of writing. */
  readonly act?: (socket: Socket) => void
  readonly quietMs?: number
}

/** Writes bytes, and listens. */
export function tell(port: number, bytes: string, options: ClientOptions = {}): Promise<Told> {
  const { until = () => false, act, quietMs = 1500 } = options
  return new Promise((resolve) => {
    let text = ''
    const socket = connect(port, '127.0.0.1', () => {
      if (bytes !== '') socket.write(bytes, 'latin1')
      act?.(socket)
    })
    const end = (how: Told['end']): void => {
      clearTimeout(quiet)
      socket.destroy()
      resolve({ status: statusOf(text), text, end: how })
    }
    let quiet = setTimeout(() => end('still open'), quietMs)
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
      clearTimeout(quiet)
      if (until(text)) end('still open')
      else quiet = setTimeout(() => end('still open'), quietMs)
    })
    socket.on('end', () => end('closed'))
    socket.on('close', () => end('closed'))
    socket.on('error', () => end('reset'))
  })
}

/** Of the last response, behind interim ones. */
function statusOf(text: string): number {
  const statuses = [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, code]) => Number(code))
  return statuses.find((code) => code >= 200) ?? 0
}

export const request = (host: string, path: string, scene: string, rest = '', method = 'GET'): string =>
  `${method} /${encodeURIComponent(path)} HTTP/1.1\r\nhost: ${host}\r\nx-scene: ${scene}\r\n${rest}\r\n`

export interface Http2Told {
  readonly status: number
  readonly bytes: number
  readonly end: 'done' | 'reset'
}

/** One request over a connection of its own. */
export function askHttp2(
  port: number,
  headers: Readonly<Record<string, string>>,
  options: { readonly body?: string; readonly abortAfter?: number } = {},
): Promise<Http2Told> {
  return new Promise((resolve) => {
    const session = connectHttp2(`http://127.0.0.1:${port}`)
    guardClientSession(session)
    let status = 0
    let bytes = 0
    const end = (how: Http2Told['end']): void => {
      clearTimeout(timer)
      // Who gives up a stream stays a moment, so that it is that which is seen.
      if (options.abortAfter === undefined) session.destroy()
      else setTimeout(() => session.destroy(), 100)
      resolve({ status, bytes, end: how })
    }
    const timer = setTimeout(() => end('reset'), 5_000)
    session.on('error', () => undefined)
    const stream = session.request({ ':path': '/ok', ...headers }, { endStream: options.body === undefined })
    stream.on('response', (of) => {
      status = Number(of[':status'])
    })
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (options.abortAfter !== undefined && bytes > options.abortAfter) stream.close(constants.NGHTTP2_CANCEL)
    })
    stream.on('error', () => undefined)
    stream.on('close', () => end(stream.rstCode === 0 && stream.readableEnded ? 'done' : 'reset'))
    if (options.body !== undefined) stream.end(options.body)
  })
}
