import { type AddressInfo, createServer, type Socket } from 'node:net'
import type { Cluster, Clusters } from '../../src/proxy/cluster/cluster.ts'
import { FieldReader, type JsonObject } from '../../src/proxy/config/field-reader.ts'
import type { DownstreamConnection, NetworkFilterKind } from '../../src/proxy/network/network-filter.ts'
import { networkFilterKinds } from '../../src/proxy/network-filter-kinds.ts'
import type { ProxyContext } from '../../src/proxy/proxy-context.ts'
import { createConnections } from '../../src/proxy/upstream/connections.ts'
import type { Connections } from '../../src/proxy/upstream/upstream.ts'
import { atTestEnd } from './at-test-end.ts'
import { createManualDiscovery } from './manual-discovery.ts'
import { createBedSecrets, createProxyContext } from './proxy-bed.ts'

export interface ManagerBed {
  readonly port: number
  readonly context: ProxyContext
  /** What its access log wrote to stdout, if it has one. */
  readonly logged: string[]
  stat(name: string): number | undefined
  /** The listener drains. */
  drain(): void
}

export interface ManagerBedOptions {
  /** Of the connection manager, beside `stat_prefix` and a router; by default all goes to the cluster `cart`. */
  readonly config?: JsonObject
  /** Made with the context. */
  readonly clusters?: (context: ProxyContext) => readonly Cluster[]
  readonly context?: Partial<ProxyContext>
  readonly connection?: Partial<DownstreamConnection>
  readonly bufferLimit?: number
}

const router: JsonObject = {
  name: 'router',
  typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
}

export const routesTo = (route: JsonObject): JsonObject => ({
  name: 'r',
  validate_clusters: false,
  virtual_hosts: [{ name: 'all', domains: ['*'], routes: [{ name: 'one', match: { prefix: '/' }, route }] }],
})

/** A connection manager behind a socket of its own, with no listener around it. */
export async function startManagerBed(options: ManagerBedOptions = {}): Promise<ManagerBed> {
  const logged: string[] = []
  const stdout = { write: (text: string) => logged.push(text) > 0 } as unknown as NodeJS.WritableStream
  const context = createProxyContext({ stdout, ...options.context })
  const clusters = new Map((options.clusters?.(context) ?? []).map((cluster) => [cluster.name, cluster]))
  const connections: Connections = createConnections(context, createBedSecrets())
  const kind = networkFilterKinds.find(({ type }) => type.endsWith('HttpConnectionManager')) as NetworkFilterKind
  const config = FieldReader.read(
    {
      stat_prefix: 'test',
      http_filters: [router],
      route_config: routesTo({ cluster: 'cart' }),
      ...options.config,
    },
    (fields) => kind.read(fields),
  )
  const closed: (() => void)[] = []
  const filter = kind.create(config, {
    context,
    clusters: { get: (name) => clusters.get(name), all: clusters } satisfies Clusters,
    connections,
    discovery: createManualDiscovery(),
    listenerStats: context.stats.scope('listener.test.'),
    direction: 'UNSPECIFIED',
    ...(options.bufferLimit !== undefined && { bufferLimit: options.bufferLimit }),
    waitFor: () => undefined,
    onClosed: (act) => closed.push(act),
  })
  let id = 0
  let isDraining = false
  const drains: (() => void)[] = []
  const sockets = new Set<Socket>()
  const server = createServer({ pauseOnConnect: true, noDelay: true }, (stream) => {
    sockets.add(stream)
    stream.once('close', () => sockets.delete(stream))
    const remoteAddress = { ip: stream.remoteAddress as string, port: stream.remotePort as number }
    void filter.onConnection({
      id: id++,
      stream,
      remoteAddress,
      directRemoteAddress: remoteAddress,
      localAddress: { ip: stream.localAddress as string, port: stream.localPort as number },
      serverName: '',
      alpn: undefined,
      tls: undefined,
      listener: 'test',
      filterChain: '',
      onDrain: (act) => drains.push(act),
      get isDraining() {
        return isDraining
      },
      ...options.connection,
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  atTestEnd(
    () =>
      new Promise<void>((resolve) => {
        for (const act of closed) act()
        connections.close()
        for (const socket of sockets) socket.destroy()
        server.close(() => resolve())
      }),
  )
  return {
    port: (server.address() as AddressInfo).port,
    context,
    logged,
    stat: (name) => (context.stats.counters.get(name) ?? context.stats.gauges.get(name))?.value,
    drain() {
      isDraining = true
      for (const act of drains) act()
    },
  }
}
