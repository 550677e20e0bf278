import type { Clock, Timer } from '../../clock.ts'
import type { Circuit, Cluster, RoutingPriority } from '../cluster/cluster.ts'
import type { Host } from '../cluster/host.ts'
import { type ClusterTraffic, countBegun, countEnder, countOver } from './cluster-traffic.ts'
import { Http1Connection } from './http1-connection.ts'
import { Http2Connection } from './http2-connection.ts'
import type { OpeningTransport, Transport } from './open-transport.ts'
import type { ConnectionKeeper, PooledConnection } from './pooled-connection.ts'
import { UpstreamFailure, type UpstreamRequest, type UpstreamStream } from './upstream.ts'

export interface HttpPoolOptions {
  readonly clock: Clock
  readonly random: () => number
  readonly cluster: Cluster
  readonly host: Host
  readonly priority: RoutingPriority
  /** `auto`: as ALPN agrees. */
  readonly protocol: 'http1' | 'http2' | 'auto'
  readonly traffic: ClusterTraffic
  readonly maxConnectionsPerHost: number | undefined
  open(): OpeningTransport
  /** Nothing is left of it; a request may make it grow again. */
  onEmpty(): void
}

/** A request that waits for a connection. */
interface PendingRequest {
  readonly request: UpstreamRequest
  readonly accept: (stream: UpstreamStream) => void
  readonly refuse: (failure: UpstreamFailure) => void
}

/** A connection that is being made, and how many requests it is expected to take. */
interface Connecting {
  readonly opening: OpeningTransport
  readonly capacity: number
  readonly hasTaken: boolean
}

/** What is known of a connection beside what it carries. */
interface Held {
  readonly hasTaken: boolean
  readonly sinceMs: number
  idleSinceMs: number | undefined
  idleTimer: Timer | undefined
  durationTimer: Timer | undefined
}

/**
 * The connections to one host for one protocol and routing priority. A request takes the connection that was free last;
 * where none is, one is opened if the circuit breakers allow it, and the request waits.
 */
export class HttpPool implements ConnectionKeeper {
  readonly #options: HttpPoolOptions
  readonly #circuit: Circuit
  /** With room for more; the last is taken first. */
  readonly #ready: PooledConnection[] = []
  readonly #held = new Map<PooledConnection, Held>()
  readonly #connecting = new Set<Connecting>()
  #pending: PendingRequest[] = []
  #isDraining = false
  /** What ALPN agreed on last. */
  #lastProtocol: 'http1' | 'http2'

  constructor(options: HttpPoolOptions) {
    this.#options = options
    this.#circuit = options.cluster.circuit(options.priority)
    this.#lastProtocol = options.protocol === 'http2' ? 'http2' : 'http1'
  }

  /** Rejects with an `UpstreamFailure`. */
  newStream(request: UpstreamRequest): UpstreamStream | Promise<UpstreamStream> {
    const ready = this.#findReady()
    if (ready !== undefined) return this.#attach(ready, request)
    const { traffic } = this.#options
    if (!this.#circuit.pending.take()) {
      traffic.rqPendingOverflow.add()
      throw new UpstreamFailure('UO', 'overflow')
    }
    traffic.rqPendingTotal.add()
    traffic.rqPendingActive.add(1)
    const stream = new Promise<UpstreamStream>((accept, refuse) => {
      this.#pending.push({ request, accept, refuse })
    })
    this.#connectAsNeeded()
    return stream
  }

  get isEmpty(): boolean {
    return this.#held.size === 0 && this.#connecting.size === 0 && this.#pending.length === 0
  }

  /** Idle connections close, others when their requests are done; requests are still taken. */
  drain(): void {
    this.#isDraining = true
    for (const connection of this.#held.keys()) connection.drain()
  }

  /** Ends everything now. */
  close(): void {
    this.#isDraining = true
    this.#failPending(new UpstreamFailure('UF', 'local connection failure'))
    for (const { opening } of this.#connecting) opening.abort()
    for (const connection of this.#held.keys()) connection.close()
  }

  onFree(connection: PooledConnection): void {
    if (connection.free > 0 && !this.#ready.includes(connection)) this.#ready.push(connection)
    this.#servePending()
    if (connection.active > 0) return
    if (this.#isDraining) connection.drain()
    else this.#startIdle(connection)
  }

  onDraining(connection: PooledConnection): void {
    this.#removeReady(connection)
  }

  onStreamEnd(): void {
    const { traffic, host } = this.#options
    this.#circuit.requests.give()
    traffic.rqActive.add(-1)
    host.stats.rqActive--
  }

  onClosed(connection: PooledConnection, isLocal: boolean): void {
    const held = this.#held.get(connection)
    if (held === undefined) return
    const { traffic, host, clock } = this.#options
    this.#held.delete(connection)
    this.#removeReady(connection)
    held.idleTimer?.cancel()
    held.durationTimer?.cancel()
    if (held.hasTaken) this.#circuit.connections.give()
    countOver(traffic, host)
    countEnder(traffic, isLocal)
    traffic.cxLengthMs.record(clock.now() - held.sinceMs)
    this.#connectAsNeeded()
    if (this.isEmpty) this.#options.onEmpty()
  }

  #findReady(): PooledConnection | undefined {
    while (this.#ready.length > 0) {
      const last = this.#ready.at(-1) as PooledConnection
      if (last.free > 0) return last
      this.#ready.pop()
    }
    return undefined
  }

  /** @throws UpstreamFailure where there are too many requests under way. */
  #attach(connection: PooledConnection, request: UpstreamRequest): UpstreamStream {
    const { traffic, host } = this.#options
    if (!this.#circuit.requests.take()) {
      traffic.rqPendingOverflow.add()
      throw new UpstreamFailure('UO', 'overflow')
    }
    traffic.rqTotal.add()
    traffic.rqActive.add(1)
    host.stats.rqTotal++
    host.stats.rqActive++
    const held = this.#held.get(connection)
    if (held !== undefined) held.idleSinceMs = undefined
    const stream = connection.open(request)
    if (connection.free === 0) this.#removeReady(connection)
    return stream
  }

  #servePending(): void {
    while (this.#pending.length > 0) {
      const ready = this.#findReady()
      if (ready === undefined) return
      const { request, accept, refuse } = this.#takePending()
      if (request.isWanted?.() === false) {
        refuse(new UpstreamFailure('UR', 'local reset'))
        continue
      }
      try {
        accept(this.#attach(ready, request))
      } catch (error) {
        refuse(asFailure(error))
      }
    }
  }

  #takePending(): PendingRequest {
    this.#circuit.pending.give()
    this.#options.traffic.rqPendingActive.add(-1)
    return this.#pending.shift() as PendingRequest
  }

  #connectAsNeeded(): void {
    let expected = 0
    for (const { capacity } of this.#connecting) expected += capacity
    while (this.#pending.length > expected) {
      const opened = this.#connect()
      if (opened === undefined) return
      expected += opened.capacity
    }
  }

  #connect(): Connecting | undefined {
    const { traffic, host, cluster, protocol, maxConnectionsPerHost } = this.#options
    const isHostFull = maxConnectionsPerHost !== undefined && host.stats.cxActive >= maxConnectionsPerHost
    const hasTaken = !isHostFull && this.#circuit.connections.take()
    if (!hasTaken) {
      traffic.cxOverflow.add()
      // With none at all, those who wait would wait for ever.
      if (this.#held.size > 0 || this.#connecting.size > 0) return undefined
    }
    const isMany = (protocol === 'auto' ? this.#lastProtocol : protocol) === 'http2'
    const opening = this.#options.open()
    const capacity = isMany ? cluster.config.http.http2.maxConcurrentStreams : 1
    const connecting: Connecting = { opening, capacity, hasTaken }
    this.#connecting.add(connecting)
    countBegun(traffic, host)
    const startMs = this.#options.clock.now()
    opening.done.then(
      (transport) => this.#onConnected(connecting, transport, startMs),
      (error: unknown) => this.#onConnectFailed(connecting, asFailure(error)),
    )
    return connecting
  }

  #onConnected(connecting: Connecting, transport: Transport, startMs: number): void {
    const { traffic, clock, cluster } = this.#options
    this.#connecting.delete(connecting)
    const nowMs = clock.now()
    traffic.cxConnectMs.record(nowMs - startMs)
    const connection = this.#createConnection(transport)
    const { maxConnectionDurationMs } = cluster.config.http
    this.#held.set(connection, {
      hasTaken: connecting.hasTaken,
      sinceMs: nowMs,
      idleSinceMs: undefined,
      idleTimer: undefined,
      durationTimer:
        maxConnectionDurationMs === undefined
          ? undefined
          : clock.after(maxConnectionDurationMs, () => {
              traffic.cxMaxDurationReached.add()
              connection.drain()
            }),
    })
    this.onFree(connection)
    this.#connectAsNeeded()
  }

  #createConnection({ socket, localAddress, alpn }: Transport): PooledConnection {
    const { traffic, cluster, host, protocol, clock, random } = this.#options
    const isHttp2 = protocol === 'http2' || (protocol === 'auto' && alpn === 'h2')
    this.#lastProtocol = isHttp2 ? 'http2' : 'http1'
    const options = { socket, host, localAddress, http: cluster.config.http, traffic, keeper: this }
    if (isHttp2) {
      traffic.cxHttp2Total.add()
      return new Http2Connection({ ...options, clock, random })
    }
    traffic.cxHttp1Total.add()
    return new Http1Connection(options)
  }

  #onConnectFailed(connecting: Connecting, failure: UpstreamFailure): void {
    const { traffic, host } = this.#options
    this.#connecting.delete(connecting)
    if (connecting.hasTaken) this.#circuit.connections.give()
    countOver(traffic, host)
    traffic.cxConnectFail.add()
    host.stats.cxConnectFail++
    const isTimeout = failure.reason === 'connection timeout'
    if (isTimeout) traffic.cxConnectTimeout.add()
    countEnder(traffic, isTimeout)
    // All who wait, as Envoy does: whoever wants to tries elsewhere.
    this.#failPending(failure)
    if (this.isEmpty) this.#options.onEmpty()
  }

  #failPending(failure: UpstreamFailure): void {
    const failed = this.#pending
    this.#pending = []
    for (const { refuse } of failed) {
      this.#circuit.pending.give()
      this.#options.traffic.rqPendingActive.add(-1)
      this.#options.traffic.rqPendingFailureEject.add()
      refuse(failure)
    }
  }

  #removeReady(connection: PooledConnection): void {
    const at = this.#ready.lastIndexOf(connection)
    if (at !== -1) this.#ready.splice(at, 1)
  }

  #startIdle(connection: PooledConnection): void {
    const held = this.#held.get(connection)
    const { idleTimeoutMs } = this.#options.cluster.config.http
    if (held === undefined || idleTimeoutMs === undefined) return
    held.idleSinceMs = this.#options.clock.now()
    // One timer for many short waits: it looks when it fires how long this one has lasted.
    if (held.idleTimer === undefined) this.#armIdle(connection, held, idleTimeoutMs)
  }

  #armIdle(connection: PooledConnection, held: Held, afterMs: number): void {
    const { clock, cluster, traffic } = this.#options
    held.idleTimer = clock.after(afterMs, () => {
      held.idleTimer = undefined
      const { idleTimeoutMs } = cluster.config.http
      if (held.idleSinceMs === undefined || idleTimeoutMs === undefined) return
      const leftMs = held.idleSinceMs + idleTimeoutMs - clock.now()
      if (leftMs > 0) {
        this.#armIdle(connection, held, leftMs)
        return
      }
      traffic.cxIdleTimeout.add()
      connection.close()
    })
  }
}

function asFailure(error: unknown): UpstreamFailure {
  return error instanceof UpstreamFailure ? error : new UpstreamFailure('UF', 'local connection failure', String(error))
}
