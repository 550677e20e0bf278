import { existsSync, readFileSync } from 'node:fs'
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { connect as connectHttp2, createServer as createHttp2Server, type ServerHttp2Session } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { atTestEnd } from '../../support/at-test-end.ts'
import type { Json } from '../../support/documents.ts'
import { eventually } from '../../support/poll.ts'
import { tempDir } from '../../support/temp.ts'
import { type AgreementCase, type Ask, listeners } from './agreement-cases.ts'

/** A proxy that was given a static configuration. */
export interface StaticProxy {
  readonly name: string
  port(listener: string): Promise<number>
}

/** What a client sees of an answer, and what the proxy writes of it, without what differs from one second to the next. */
export interface Outcome {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: unknown
  readonly trailers: Readonly<Record<string, string>>
  readonly log: Readonly<Record<string, unknown>>
}

interface Orders {
  /** The first so many requests of this question are answered otherwise. */
  readonly times?: number
  readonly status?: number
  readonly delayMs?: number
  readonly headers?: Readonly<Record<string, string>>
  /** The connection is closed in place of an answer. */
  readonly breaks?: true
  readonly body?: string
  readonly trailers?: Readonly<Record<string, string>>
}

/** Answers 200 with what it was sent, unless `x-do` orders otherwise. */
export async function startEcho(): Promise<number> {
  const seen = new Map<string, number>()
  const answer = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk as Buffer)
    const { headers } = incoming
    const id = String(headers['x-ask'])
    const count = (seen.get(id) ?? 0) + 1
    seen.set(id, count)
    const orders = JSON.parse(String(headers['x-do'] ?? '{}')) as Orders
    const applies = count <= (orders.times ?? Number.POSITIVE_INFINITY)
    if (applies && orders.breaks) {
      incoming.socket.destroy()
      return
    }
    if (applies && orders.delayMs !== undefined) await new Promise((resolve) => setTimeout(resolve, orders.delayMs))
    const { method, url } = incoming
    const body = orders.body ?? JSON.stringify({ method, url, headers, bytes: Buffer.concat(chunks).length, count })
    response.writeHead(applies ? (orders.status ?? 200) : 200, {
      'content-type': orders.body === undefined ? 'application/json' : 'text/plain',
      ...(applies && orders.headers),
    })
    response.end(method === 'HEAD' ? undefined : body)
  }
  const server = createServer((incoming, response) => void answer(incoming, response).catch(() => response.destroy()))
  server.keepAliveTimeout = 0
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  atTestEnd(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

/** The same over HTTP/2; behind the body of each answer are trailers that tell which came with the request. */
export async function startHttp2Echo(): Promise<number> {
  const server = createHttp2Server()
  const sessions = new Set<ServerHttp2Session>()
  server.on('session', (session) => sessions.add(session))
  server.on('stream', (stream, headers) => {
    const orders = JSON.parse(String(headers['x-do'] ?? '{}')) as Orders
    let bytes = 0
    let came: object = {}
    stream.on('error', () => {})
    stream.on('trailers', (trailers: object) => {
      came = { ...trailers }
    })
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length
    })
    stream.on('end', () => {
      const { ':method': method, ':path': url } = headers
      stream.respond(
        { ':status': orders.status ?? 200, 'content-type': 'application/json', ...orders.headers },
        { waitForTrailers: true },
      )
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-came': JSON.stringify(came), ...orders.trailers }))
      stream.end(JSON.stringify({ method, url, headers, bytes }))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  atTestEnd(() => {
    for (const session of sessions) session.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

/** The bootstrap that both proxies get; `log` is where this one writes. */
export function staticBootstrap(cases: readonly AgreementCase[], ports: Ports, log: string): object {
  return {
    node: { id: 'agreement', cluster: 'agreement' },
    admin: { address: address(0) },
    static_resources: {
      clusters: clusters(ports),
      listeners: Object.entries(listeners).map(([name, settings]) =>
        listener(
          name,
          settings,
          cases.filter((one) => (one.listener ?? 'plain') === name),
          log,
        ),
      ),
    },
  }
}

export interface Ports {
  readonly app: number
  readonly http2App: number
  readonly down: number
}

const address = (port: number): object => ({ socket_address: { address: '127.0.0.1', port_value: port } })

const endpoint = (port: number, rest: object = {}): object => ({ endpoint: { address: address(port) }, ...rest })

function cluster(name: string, endpoints: readonly object[], rest: object = {}): object {
  return {
    name,
    connect_timeout: '1s',
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: endpoints }] },
    ...rest,
  }
}

function clusters({ app, http2App, down }: Ports): object[] {
  return [
    cluster('app', [endpoint(app)]),
    cluster('other', [endpoint(app)]),
    cluster('http2', [endpoint(http2App)], {
      typed_extension_protocol_options: {
        'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
          '@type': type('envoy.extensions.upstreams.http.v3.HttpProtocolOptions'),
          explicit_http_config: { http2_protocol_options: {} },
        },
      },
    }),
    cluster('ring', [endpoint(app)], { lb_policy: 'RING_HASH' }),
    cluster('down', [endpoint(down)]),
    cluster('empty', []),
    // Round robin begins anywhere: one of two requests meets the one that is down.
    cluster('half', [endpoint(down), endpoint(app)]),
    cluster('full', [endpoint(app)], {
      circuit_breakers: { thresholds: [{ max_requests: 0, max_pending_requests: 0, max_connections: 0 }] },
    }),
  ]
}

const type = (name: string): string => `type.googleapis.com/${name}`

function listener(name: string, settings: object, cases: readonly AgreementCase[], log: string): object {
  return {
    name,
    address: address(0),
    filter_chains: [
      {
        filters: [
          {
            name: 'http',
            typed_config: {
              '@type': type('envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'),
              stat_prefix: name,
              access_log: [accessLog(log)],
              route_config: {
                name,
                virtual_hosts: cases.map((one) => ({ name: one.host, domains: [one.host], ...one.virtualHost })),
              },
              http_filters: [
                {
                  name: 'envoy.filters.http.cors',
                  typed_config: { '@type': type('envoy.extensions.filters.http.cors.v3.Cors') },
                },
                {
                  name: 'envoy.filters.http.fault',
                  typed_config: { '@type': type('envoy.extensions.filters.http.fault.v3.HTTPFault') },
                },
                {
                  name: 'envoy.filters.http.rbac',
                  typed_config: { '@type': type('envoy.extensions.filters.http.rbac.v3.RBAC') },
                },
                {
                  name: 'envoy.filters.http.local_ratelimit',
                  typed_config: {
                    '@type': type('envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit'),
                    stat_prefix: 'limit',
                  },
                },
                {
                  name: 'envoy.filters.http.header_mutation',
                  typed_config: { '@type': type('envoy.extensions.filters.http.header_mutation.v3.HeaderMutation') },
                },
                {
                  name: 'envoy.filters.http.buffer',
                  disabled: true,
                  typed_config: {
                    '@type': type('envoy.extensions.filters.http.buffer.v3.Buffer'),
                    max_request_bytes: 100,
                  },
                },
                {
                  name: 'envoy.filters.http.compressor',
                  disabled: true,
                  typed_config: {
                    '@type': type('envoy.extensions.filters.http.compressor.v3.Compressor'),
                    compressor_library: {
                      name: 'gzip',
                      typed_config: { '@type': type('envoy.extensions.compression.gzip.compressor.v3.Gzip') },
                    },
                  },
                },
                {
                  name: 'envoy.filters.http.router',
                  typed_config: { '@type': type('envoy.extensions.filters.http.router.v3.Router') },
                },
              ],
              ...settings,
            },
          },
        ],
      },
    ],
  }
}

function accessLog(path: string): object {
  return {
    name: 'file',
    typed_config: {
      '@type': type('envoy.extensions.access_loggers.file.v3.FileAccessLog'),
      path,
      log_format: {
        json_format: {
          ask: '%REQ(X-ASK)%',
          method: '%REQ(:METHOD)%',
          path: '%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%',
          authority: '%REQ(:AUTHORITY)%',
          protocol: '%PROTOCOL%',
          code: '%RESPONSE_CODE%',
          details: '%RESPONSE_CODE_DETAILS%',
          flags: '%RESPONSE_FLAGS%',
          received: '%BYTES_RECEIVED%',
          sent: '%BYTES_SENT%',
          route: '%ROUTE_NAME%',
          cluster: '%UPSTREAM_CLUSTER%',
          attempts: '%UPSTREAM_REQUEST_ATTEMPT_COUNT%',
          client: '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%',
        },
      },
    },
  }
}

export const protocols = ['HTTP/1.1', 'HTTP/2'] as const
export type AskProtocol = (typeof protocols)[number]

export interface Asker {
  ask(protocol: AskProtocol, listener: string, host: string, index: number, ask: Ask): Promise<Outcome>
}

type Answer = Omit<Outcome, 'log'>

/** Asks a proxy whose log is in `log`. */
export function createAsker(proxy: StaticProxy, log: string): Asker {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  atTestEnd(() => agent.destroy())
  const byProtocol = {
    'HTTP/1.1': (port: number, host: string, id: string, ask: Ask): Promise<Answer> =>
      new Promise((resolve, reject) => {
        const { method = 'GET', path = '/', headers = {}, body } = ask
        const sent = request(
          {
            agent,
            host: '127.0.0.1',
            port,
            method,
            path,
            headers: {
              host,
              'x-ask': id,
              ...(ask.do && { 'x-do': JSON.stringify(ask.do) }),
              ...(body !== undefined && { 'content-length': `${body.length}` }),
              ...headers,
            },
          },
          (response) => {
            const chunks: Buffer[] = []
            response.on('data', (chunk: Buffer) => chunks.push(chunk))
            response.once('error', reject)
            response.once('end', () =>
              resolve({
                status: response.statusCode ?? 0,
                headers: steady(response.rawHeaders),
                body: readBody(Buffer.concat(chunks)),
                trailers: steady(response.rawTrailers),
              }),
            )
          },
        )
        sent.once('error', reject)
        if (ask.trailers) sent.addTrailers(ask.trailers)
        sent.end(body)
      }),
    'HTTP/2': askByHttp2,
  }
  return {
    async ask(protocol, listenerName, host, index, ask) {
      const id = `${host}-${index}-${protocol}`
      const answer = await byProtocol[protocol](await proxy.port(listenerName), host, id, ask)
      const line = ask.isUnlogged ? {} : await eventually(() => lineOf(log, id), { intervalMs: 5 })
      return { ...answer, log: ask.hasAnyAttempts ? { ...line, attempts: 'any' } : line }
    },
  }
}

const perConnection = new Set(['connection', 'host', 'transfer-encoding'])

/** On a connection of its own. What HTTP/2 has no place for is left out. */
async function askByHttp2(port: number, host: string, id: string, ask: Ask): Promise<Answer> {
  const session = connectHttp2(`http://127.0.0.1:${port}`)
  try {
    return await new Promise<Answer>((resolve, reject) => {
      session.once('error', reject)
      const { method = 'GET', path = '/', headers = {}, body, trailers } = ask
      const own = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value] as const)
      const stream = session.request(
        {
          ':method': method,
          ':path': path,
          ':authority': host,
          'x-ask': id,
          ...(ask.do && { 'x-do': JSON.stringify(ask.do) }),
          ...Object.fromEntries(own.filter(([name]) => !perConnection.has(name))),
        },
        { endStream: body === undefined && trailers === undefined, waitForTrailers: trailers !== undefined },
      )
      const answer: { status: number; headers: Record<string, string>; trailers: Record<string, string> } = {
        status: 0,
        headers: {},
        trailers: {},
      }
      const chunks: Buffer[] = []
      stream.on('wantTrailers', () => stream.sendTrailers(trailers ?? {}))
      stream.once('response', (came, _flags, raw?: string[]) => {
        answer.status = Number(came[':status'])
        answer.headers = steady(raw ?? Object.entries(came).flatMap(([name, value]) => [name, String(value)]))
      })
      stream.on('trailers', (came, _flags, raw?: string[]) => {
        answer.trailers = steady(raw ?? Object.entries(came).flatMap(([name, value]) => [name, String(value)]))
      })
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      // A reset is an outcome.
      stream.once('error', (error) => chunks.push(Buffer.from(error.message)))
      stream.once('close', () => resolve({ ...answer, body: readBody(Buffer.concat(chunks)) }))
      if (!stream.writableEnded) stream.end(body)
    })
  } finally {
    session.close()
  }
}

function lineOf(log: string, id: string): Readonly<Record<string, unknown>> {
  const lines = existsSync(log) ? readFileSync(log, 'utf8').split('\n') : []
  const found = lines.filter((line) => line.includes(`"${id}"`))
  if (found.length !== 1) throw new Error(`${found.length} lines of ${id}`)
  return JSON.parse(found[0] ?? '') as Record<string, unknown>
}

/** By name, what changes by the clock or by chance replaced. */
function steady(raw: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {}
  for (let at = 0; at < raw.length; at += 2) {
    const name = (raw[at] as string).toLowerCase()
    const value = raw[at + 1] as string
    const shown = changing.has(name) ? 'any' : value.replace(/="[\da-f]{8,}"/, '="HASH"')
    headers[name] = headers[name] === undefined ? shown : `${headers[name]} | ${shown}`
  }
  return headers
}

const changing = new Set(['date', 'x-request-id', 'x-envoy-upstream-service-time', 'x-envoy-expected-rq-timeout-ms'])

/** What the app says that it was sent, or the text of the proxy itself. */
function readBody(bytes: Buffer): unknown {
  const text = bytes.toString('latin1')
  if (!text.startsWith('{')) return text
  const seen = JSON.parse(text) as { headers: Record<string, string> }
  for (const name of changing) if (seen.headers[name] !== undefined) seen.headers[name] = 'any'
  return seen
}

export const logFile = (name: string): string => join(tempDir(), `${name}.log`)

export type { Json }
