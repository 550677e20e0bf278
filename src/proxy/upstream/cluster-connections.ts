import type { Cluster } from '../cluster/cluster.ts'
import type { Host } from '../cluster/host.ts'
import type { ProxyContext } from '../proxy-context.ts'
import type { StatScope } from '../stats/stat-store.ts'
import { type ClusterTraffic, trafficOf } from './cluster-traffic.ts'
import { HttpPool } from './http-pool.ts'
import { type OpeningTransport, openTransport } from './open-transport.ts'
import { openRawConnection } from './raw-connection.ts'
import type { UpstreamTransportConfig } from './transport-socket-config.ts'
import type {
  ClientAddresses,
  ConnectOptions,
  UpstreamConnection,
  UpstreamRequest,
  UpstreamStream,
} from './upstream.ts'
import type { UpstreamTls } from './upstream-tls.ts'

/** The connections to the hosts of one cluster, for as long as the cluster is in use. */
export class ClusterConnections {
  readonly #context: ProxyContext
  readonly #cluster: Cluster
  readonly #tls: UpstreamTls
  readonly #traffic: ClusterTraffic
  readonly #sslStats: StatScope
  readonly #hosts = new Map<Host, HostConnections>()
  #isDraining = false

  constructor(context: ProxyContext, cluster: Cluster, tls: UpstreamTls) {
    this.#context = context
    this.#cluster = cluster
    this.#tls = tls
    this.#traffic = trafficOf(cluster)
    this.#sslStats = cluster.stats.scope('ssl.')
  }

  openStream(host: Host, request: UpstreamRequest): UpstreamStream | Promise<UpstreamStream> {
    return this.#poolOf(this.#of(host), host, request).newStream(request)
  }

  connect(host: Host, options: ConnectOptions): Promise<UpstreamConnection> {
    const { transport } = this.#of(host)
    return openRawConnection({
      clock: this.#context.clock,
      circuit: this.#cluster.circuit('default'),
      traffic: this.#traffic,
      host,
      isProbe: options.probe !== undefined,
      open: () =>
        openTransport({
          clock: this.#context.clock,
          cluster: this.#cluster,
          transport,
          tls: this.#tls,
          ip: options.probe?.ip ?? host.ip,
          port: options.probe?.port ?? host.port,
          serverName: options.serverName,
          isServerNameChecked: options.serverName !== undefined,
          alpn: options.probe?.alpn ?? [],
          client: options.client,
          isHalfOpenAllowed: true,
          sslStats: options.probe === undefined ? this.#sslStats : undefined,
        }),
      onOpened: (close) => this.#of(host).track(close),
    })
  }

  drain(): void {
    this.#isDraining = true
    for (const host of this.#hosts.values()) host.drain()
    this.#tls.close()
  }

  /** Ends everything now. */
  close(): void {
    this.drain()
    for (const host of this.#hosts.values()) host.close()
  }

  #of(host: Host): HostConnections {
    const known = this.#hosts.get(host)
    if (known !== undefined) return known
    const created = new HostConnections(transportFor(this.#cluster, host))
    this.#hosts.set(host, created)
    host.onRemoved(() => {
      this.#hosts.delete(host)
      created.isGone = true
      created.drain()
    })
    host.onUnhealthy(() => {
      created.drain()
      if (this.#cluster.config.closesConnectionsOnUnhealthy) created.closeRaw()
    })
    return created
  }

  #poolOf(connections: HostConnections, host: Host, request: UpstreamRequest): HttpPool {
    const { http } = this.#cluster.config
    const protocol = http.protocol === 'downstream' ? likeDownstream(request) : http.protocol
    const names = connections.isTls ? serverNameOf(request, http) : undefined
    const client = connections.tellsClient ? request.client : undefined
    const key = `${request.priority} ${protocol} ${names ?? ''}${client === undefined ? '' : keyOf(client)}`
    const known = connections.pools.get(key)
    if (known !== undefined) return known
    const created = new HttpPool({
      clock: this.#context.clock,
      random: this.#context.random,
      cluster: this.#cluster,
      host,
      priority: request.priority,
      protocol,
      traffic: this.#traffic,
      maxConnectionsPerHost: this.#cluster.config.breakers.maxConnectionsPerHost,
      onEmpty: () => {
        if (connections.pools.get(key) === created) connections.pools.delete(key)
        connections.forget(created)
      },
      open: (): OpeningTransport =>
        openTransport({
          clock: this.#context.clock,
          cluster: this.#cluster,
          transport: connections.transport,
          tls: this.#tls,
          ip: host.ip,
          port: host.port,
          serverName: names,
          isServerNameChecked: names !== undefined && http.isSanValidationAutomatic,
          alpn: alpnOf(protocol),
          client,
          isHalfOpenAllowed: false,
          sslStats: this.#sslStats,
        }),
    })
    connections.pools.set(key, created)
    if (this.#isDraining || connections.isGone) created.drain()
    return created
  }
}

/** What there is of connections to one host. */
class HostConnections {
  readonly transport: UpstreamTransportConfig
  readonly isTls: boolean
  /** The connections of one client are not another's: a PROXY protocol header said whose they are. */
  readonly tellsClient: boolean
  /** The host is no member any more: no connection outlives its request. */
  isGone = false
  readonly pools = new Map<string, HttpPool>()
  readonly #draining = new Set<HttpPool>()
  readonly #raw = new Set<() => void>()

  constructor(transport: UpstreamTransportConfig) {
    this.transport = transport
    this.isTls = innermost(transport).kind === 'tls'
    this.tellsClient = transport.kind === 'proxy_protocol'
  }

  /** Returns what forgets it. */
  track(close: () => void): () => void {
    this.#raw.add(close)
    return () => this.#raw.delete(close)
  }

  /** Requests to come open connections of their own. */
  drain(): void {
    for (const pool of this.pools.values()) {
      pool.drain()
      if (!pool.isEmpty) this.#draining.add(pool)
    }
    this.pools.clear()
  }

  /** A pool that took no new requests has nothing left. */
  forget(pool: HttpPool): void {
    this.#draining.delete(pool)
  }

  close(): void {
    this.drain()
    for (const pool of this.#draining) pool.close()
    this.closeRaw()
  }

  closeRaw(): void {
    for (const close of this.#raw) close()
  }
}

/** The first transport socket that the host's metadata asks for; the cluster's own where it asks for none. */
function transportFor({ config }: Cluster, host: Host): UpstreamTransportConfig {
  const metadata = host.metadata['envoy.transport_socket_match'] ?? {}
  const found = config.transportMatches.find(({ match }) =>
    Object.entries(match).every(([key, value]) => JSON.stringify(metadata[key]) === JSON.stringify(value)),
  )
  return found?.transport ?? config.transport
}

function innermost(transport: UpstreamTransportConfig): UpstreamTransportConfig {
  return transport.kind === 'proxy_protocol' ? innermost(transport.inner) : transport
}

function likeDownstream({ downstreamProtocol }: UpstreamRequest): 'http1' | 'http2' {
  return downstreamProtocol === 'HTTP/2' ? 'http2' : 'http1'
}

function alpnOf(protocol: 'http1' | 'http2' | 'auto'): readonly string[] {
  if (protocol === 'auto') return ['h2', 'http/1.1']
  return protocol === 'http2' ? ['h2'] : ['http/1.1']
}

/** The name that TLS asks for on account of the request: the one given, or that of its `:authority` without the port. */
function serverNameOf(
  request: UpstreamRequest,
  { isSniAutomatic, isSanValidationAutomatic, sniHeader }: Cluster['config']['http'],
): string | undefined {
  if (request.serverName !== undefined) return request.serverName
  if (!isSniAutomatic && !isSanValidationAutomatic) return undefined
  return request.headers
    .get(sniHeader)
    ?.replace(/:\d+$/, '')
    .replace(/^\[(.*)\]$/, '$1')
}

function keyOf({ remoteAddress, localAddress }: ClientAddresses): string {
  return ` ${remoteAddress.ip} ${remoteAddress.port} ${localAddress.ip} ${localAddress.port}`
}
