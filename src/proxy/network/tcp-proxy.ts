import type { Duplex } from 'node:stream'
import { createAccessLogger } from '../access-log/access-log.ts'
import { xxHash64 } from '../balance/xx-hash.ts'
import type { Cluster } from '../cluster/cluster.ts'
import type { Host } from '../cluster/host.ts'
import { createStreamInfo } from '../http/create-stream-info.ts'
import type { StreamInfo } from '../http/stream-info.ts'
import type { Counter, Gauge } from '../stats/stat-store.ts'
import { type UpstreamConnection, UpstreamFailure } from '../upstream/upstream.ts'
import { stateOf } from './connection-state.ts'
import { joinStreams } from './join-streams.ts'
import type {
  AccessLogger,
  DownstreamConnection,
  NetworkFilter,
  NetworkFilterKind,
  NetworkFilterOwner,
} from './network-filter.ts'
import { readTcpProxy, type TcpProxyConfig, type WeightedCluster } from './tcp-proxy-config.ts'

/** Hands the bytes of a connection to a host of a cluster, and its bytes back. */
export const tcpProxy: NetworkFilterKind<TcpProxyConfig> = {
  type: 'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy',
  read: readTcpProxy,
  create: (config, owner) => new TcpProxy(config, owner),
}

class TcpProxy implements NetworkFilter {
  readonly #config: TcpProxyConfig
  readonly #owner: NetworkFilterOwner
  readonly #stats: TcpStats
  readonly #accessLogger: AccessLogger | undefined
  readonly #totalWeight: number

  constructor(config: TcpProxyConfig, owner: NetworkFilterOwner) {
    this.#config = config
    this.#owner = owner
    const scope = owner.context.stats.scope(`tcp.${config.statPrefix}.`)
    owner.onClosed(() => scope.close())
    this.#stats = {
      total: scope.counter('downstream_cx_total'),
      noRoute: scope.counter('downstream_cx_no_route'),
      received: scope.counter('downstream_cx_rx_bytes_total'),
      sent: scope.counter('downstream_cx_tx_bytes_total'),
      idleTimeout: scope.counter('idle_timeout'),
      maxDuration: scope.counter('max_downstream_connection_duration'),
      active: scope.gauge('downstream_cx_active'),
    }
    this.#accessLogger =
      config.accessLogs.length === 0 ? undefined : createAccessLogger(config.accessLogs, owner.context)
    this.#totalWeight = config.clusters.reduce((sum, { weight }) => sum + weight, 0)
  }

  async onConnection(connection: DownstreamConnection): Promise<boolean> {
    const { clock } = this.#owner.context
    const info = createStreamInfo(clock)
    this.#stats.total.add()
    this.#stats.active.add(1)
    const { stream } = connection
    stream.on('error', () => undefined)
    stream.once('close', () => {
      this.#stats.active.add(-1)
      this.#stats.received.add(info.bytesReceived)
      this.#stats.sent.add(info.bytesSent)
      this.#accessLogger?.log(info, connection)
    })
    const upstream = await this.#connect(connection, info)
    if (upstream === undefined) {
      stream.destroy()
    } else if (stream.destroyed) {
      upstream.close()
    } else {
      this.#join(stream, upstream, info)
    }
    return true
  }

  /** Undefined where it cannot; the flags say why. */
  async #connect(connection: DownstreamConnection, info: StreamInfo): Promise<UpstreamConnection | undefined> {
    const { name, metadataMatch } = this.#chooseCluster(connection)
    info.upstreamCluster = name
    const cluster = this.#owner.clusters.get(name)
    if (cluster === undefined) {
      this.#stats.noRoute.add()
      info.flags.add('NR')
      return undefined
    }
    for (let attempt = 1; attempt <= this.#config.maxConnectAttempts; attempt++) {
      if (connection.stream.destroyed) return undefined
      const host = await this.#chooseHost(cluster, connection, metadataMatch)
      if (host === undefined) {
        info.flags.add('UH')
        return undefined
      }
      const opened = await this.#tryHost(cluster, host, connection, info)
      if (opened !== 'failed') return opened
    }
    info.flags.add('URX')
    cluster.stats.counter('upstream_cx_connect_attempts_exceeded').add()
    return undefined
  }

  async #tryHost(
    cluster: Cluster,
    host: Host,
    connection: DownstreamConnection,
    info: StreamInfo,
  ): Promise<UpstreamConnection | 'failed' | undefined> {
    info.attempts++
    info.upstreamHost = host
    const { remoteAddress, localAddress } = connection
    try {
      const upstream = await this.#owner.connections.connect(cluster, host, { client: { remoteAddress, localAddress } })
      host.report({ connected: true })
      info.upstreamLocalAddress = upstream.localAddress
      return upstream
    } catch (error) {
      if (!(error instanceof UpstreamFailure)) throw error
      info.flags.add(error.flag)
      // Envoy logs it without blanks.
      if (error.transportFailure !== '') info.upstreamTransportFailure = error.transportFailure.replaceAll(' ', '_')
      if (error.flag === 'UO') return undefined
      host.report({ failure: error.reason === 'connection timeout' ? 'timeout' : 'connect' })
      return 'failed'
    }
  }

  #chooseCluster(connection: DownstreamConnection): WeightedCluster {
    const { cluster } = stateOf(connection)
    const [first] = this.#config.clusters as readonly [WeightedCluster]
    if (cluster !== undefined) return { name: cluster, weight: 1, metadataMatch: first.metadataMatch }
    if (this.#config.clusters.length === 1) return first
    let left = this.#owner.context.random() * this.#totalWeight
    for (const one of this.#config.clusters) {
      left -= one.weight
      if (left < 0) return one
    }
    return first
  }

  async #chooseHost(
    cluster: Cluster,
    connection: DownstreamConnection,
    metadataMatch: WeightedCluster['metadataMatch'],
  ): Promise<Host | undefined> {
    const { serverName, remoteAddress } = connection
    const { port } = stateOf(connection)
    return cluster.chooseHost({
      ...(this.#config.hashesSourceIp && { hash: xxHash64(remoteAddress.ip) }),
      ...(serverName !== '' && { serverName }),
      ...(port !== undefined && { port }),
      ...(metadataMatch !== undefined && { metadataMatch }),
    })
  }

  #join(stream: Duplex, upstream: UpstreamConnection, info: StreamInfo): void {
    const { clock } = this.#owner.context
    const { idleTimeoutMs, maxDurationMs } = this.#config
    const joined = joinStreams(stream, upstream.socket, clock, info)
    const close = (): void => {
      stream.destroy()
      upstream.close()
    }
    const duration =
      maxDurationMs === undefined
        ? undefined
        : clock.after(maxDurationMs, () => {
            this.#stats.maxDuration.add()
            info.flags.add('DT')
            close()
          })
    const stopIdle =
      idleTimeoutMs === undefined
        ? undefined
        : joined.onIdle(idleTimeoutMs, () => {
            this.#stats.idleTimeout.add()
            close()
          })
    stream.once('close', () => {
      duration?.cancel()
      stopIdle?.()
      upstream.close()
    })
  }
}

interface TcpStats {
  readonly total: Counter
  readonly noRoute: Counter
  readonly received: Counter
  readonly sent: Counter
  readonly idleTimeout: Counter
  readonly maxDuration: Counter
  readonly active: Gauge
}
