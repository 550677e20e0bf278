import type { Readable } from 'node:stream'
import type { Clusters } from '../../src/proxy/cluster/cluster.ts'
import { FieldReader, type JsonObject } from '../../src/proxy/config/field-reader.ts'
import { createStreamInfo } from '../../src/proxy/http/create-stream-info.ts'
import { Headers } from '../../src/proxy/http/headers.ts'
import type {
  HttpFilter,
  HttpFilterKind,
  HttpResponse,
  HttpStream,
  LocalReply,
} from '../../src/proxy/http/http-filter.ts'
import type { DownstreamConnection } from '../../src/proxy/network/network-filter.ts'
import type { ProxyContext } from '../../src/proxy/proxy-context.ts'

export interface FilterRequest {
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Readable
  /** What `typed_per_filter_config` of the route says, in the order of the levels. */
  readonly perRoute?: readonly unknown[]
  readonly connection?: Partial<DownstreamConnection>
}

/** One request of one filter: what it did to it. */
export interface FilteredRequest {
  /** Whether the request goes on. */
  readonly goesOn: Promise<boolean>
  readonly stream: HttpStream
  /** What the filter answered. */
  readonly reply: LocalReply | undefined
  /** The response on its way back. */
  respond(headers: Readonly<Record<string, string>>, body?: Readable): HttpResponse
  /** The client goes. */
  close(): void
}

/** One filter of a connection manager, alone. */
export function createFilter<Config>(
  kind: HttpFilterKind<Config>,
  json: JsonObject,
  context: ProxyContext,
): (request?: FilterRequest) => FilteredRequest {
  const owner = {
    context,
    clusters: { get: () => undefined, all: new Map() } satisfies Clusters,
    connections: unused,
    bufferLimit: 1 << 20,
    stats: context.stats.scope('http.test.'),
  }
  const create = kind.create(
    FieldReader.read(json, (fields) => kind.read(fields)),
    'filter',
    owner,
  )
  return (request = {}) => startRequest(create(), request, context)
}

/** What a filter takes of a route, read as its kind reads it. */
export function perRouteOf(kind: HttpFilterKind, type: string, json: JsonObject): unknown {
  const read = kind.perRoute?.[type]
  if (read === undefined) throw new Error(`it takes no ${type}`)
  return FieldReader.read(json, read)
}

const unused = new Proxy({}, { get: () => undefined }) as never

function startRequest(filter: HttpFilter, request: FilterRequest, context: ProxyContext): FilteredRequest {
  const { headers = {}, body, perRoute = [], connection } = request
  const address = { ip: '127.0.0.1', port: 1234 }
  const closers: (() => void)[] = []
  let reply: LocalReply | undefined
  const stream: HttpStream = {
    context,
    clusters: { get: () => undefined, all: new Map() },
    connection: {
      remoteAddress: address,
      directRemoteAddress: address,
      localAddress: { ip: '127.0.0.2', port: 80 },
      serverName: '',
      tls: undefined,
      ...connection,
    } as DownstreamConnection,
    info: createStreamInfo(context.clock),
    request: Headers.of({ ':method': 'GET', ':path': '/', ':authority': 'cart', ':scheme': 'http', ...headers }),
    body,
    requestTrailers: () => undefined,
    route: () => ({ name: 'route', virtualHost: 'host', cluster: 'cart', perFilter: () => perRoute }),
    reply: (own) => (reply = own),
    onClosed: (act) => closers.push(act),
  }
  return {
    goesOn: Promise.resolve(filter.onRequest?.(stream) ?? true),
    stream,
    get reply() {
      return reply
    },
    respond(response, responseBody) {
      const message: HttpResponse = { headers: Headers.of(response), body: responseBody }
      filter.onResponse?.(stream, message)
      return message
    },
    close: () => {
      for (const act of closers) act()
    },
  }
}
