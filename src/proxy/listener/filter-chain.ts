import type { Socket } from 'node:net'
import type { Clusters } from '../cluster/cluster.ts'
import type { Discovery } from '../discovery/discovery.ts'
import type { DownstreamConnection, NetworkFilter, NetworkFilterOwner } from '../network/network-filter.ts'
import type { ProxyContext } from '../proxy-context.ts'
import type { Secrets } from '../secret/secrets.ts'
import type { StatScope } from '../stats/stat-store.ts'
import type { Connections } from '../upstream/upstream.ts'
import { ClientConnection } from './client-connection.ts'
import { DownstreamTls, type SecuredConnection } from './downstream-tls.ts'
import type { FilterChainConfig, ListenerConfig } from './listener-config.ts'
import type { InspectedConnection } from './listener-filter.ts'

/** What filter chains are made with. */
export interface ChainOwner {
  readonly context: ProxyContext
  readonly clusters: Clusters
  readonly connections: Connections
  readonly discovery: Discovery
  readonly secrets: Secrets
  /** `listener.ADDRESS.` */
  readonly stats: StatScope
}

/** A filter chain at work: its TLS, its network filters and the connections that they have. */
export class FilterChain {
  readonly config: FilterChainConfig
  /** When nothing is waited for any longer: its secrets have come and its filters are ready. */
  readonly ready: Promise<void>
  /** Whether it was ready as soon as it was made. */
  readonly isReadyAtOnce: boolean
  readonly #listener: ListenerConfig
  readonly #owner: ChainOwner
  readonly #tls: DownstreamTls | undefined
  readonly #filters: readonly NetworkFilter[]
  readonly #open = new Set<ClientConnection>()
  /** Of which TLS has not come about yet. */
  readonly #handshakes = new Set<Socket>()
  readonly #ends: (() => void)[] = []
  #isDraining = false
  #isClosed = false

  /** @throws ConfigRejection where a certificate or a filter cannot be used. */
  constructor(config: FilterChainConfig, listener: ListenerConfig, owner: ChainOwner) {
    this.config = config
    this.#listener = listener
    this.#owner = owner
    const waits: Promise<void>[] = []
    if (config.tls !== undefined) {
      const tls = new DownstreamTls(config.tls, owner.secrets, owner.stats)
      this.#tls = tls
      this.#ends.push(() => tls.close())
      const { certificateSecrets, validationSecret } = config.tls.tls
      if (certificateSecrets.length > 0 || validationSecret !== undefined) waits.push(tls.ready)
    }
    const filterOwner: NetworkFilterOwner = {
      context: owner.context,
      clusters: owner.clusters,
      connections: owner.connections,
      discovery: owner.discovery,
      listenerStats: owner.stats,
      direction: listener.direction,
      bufferLimit: listener.bufferLimit,
      waitFor: (_, done) => waits.push(done),
      onClosed: (act) => this.#ends.push(act),
    }
    try {
      this.#filters = config.filters.map(({ kind, config: of }) => kind.create(of, filterOwner))
    } catch (error) {
      this.#end()
      throw error
    }
    this.isReadyAtOnce = waits.length === 0
    this.ready = Promise.all(waits).then(() => undefined)
  }

  /** Takes a connection that was found to be its own. */
  async accept(socket: Socket, inspected: InspectedConnection): Promise<void> {
    let secured: SecuredConnection | undefined
    if (this.#tls !== undefined) {
      this.#handshakes.add(socket)
      secured = await this.#secure(this.#tls, socket, inspected)
      this.#handshakes.delete(socket)
      if (secured === undefined) return
    }
    const connection = new ClientConnection({
      socket: secured?.socket ?? socket,
      inspected,
      secured,
      listener: this.#listener.name,
      filterChain: this.config.name,
    })
    if (this.#isClosed || connection.stream.destroyed) {
      connection.stream.destroy()
      return
    }
    this.#open.add(connection)
    connection.stream.once('close', () => this.#open.delete(connection))
    if (this.#isDraining) connection.drain()
    await this.#giveToFilters(connection)
  }

  /**
   * Its connections are told to go; those that are left in the end are closed. It stays for all of the time, also without
   * connections: as in Envoy it keeps its routes until then.
   */
  drain(timeMs: number): void {
    if (this.#isDraining) return
    this.#isDraining = true
    for (const connection of this.#open) connection.drain()
    const timer = this.#owner.context.clock.after(timeMs, () => this.close())
    this.#ends.push(() => timer.cancel())
  }

  /** Calls back when it has drained. */
  onEnded(act: () => void): void {
    if (this.#isClosed) act()
    else this.#ends.push(act)
  }

  /** At once. */
  close(): void {
    if (this.#isClosed) return
    this.#isDraining = true
    this.#isClosed = true
    for (const socket of this.#handshakes) socket.destroy()
    for (const connection of this.#open) connection.stream.destroy()
    this.#open.clear()
    this.#end()
  }

  async #secure(
    tls: DownstreamTls,
    socket: Socket,
    inspected: InspectedConnection,
  ): Promise<SecuredConnection | undefined> {
    const { transportTimeoutMs } = this.config
    if (transportTimeoutMs === undefined) return tls.secure(socket, inspected)
    const timer = this.#owner.context.clock.after(transportTimeoutMs, () => {
      this.#owner.stats.counter('downstream_cx_transport_socket_connect_timeout').add()
      socket.destroy()
    })
    try {
      return await tls.secure(socket, inspected)
    } finally {
      timer.cancel()
    }
  }

  async #giveToFilters(connection: DownstreamConnection): Promise<void> {
    if (this.#filters.length === 0) connection.stream.destroy()
    for (const filter of this.#filters) {
      const answer = filter.onConnection(connection)
      const goesOn = typeof answer === 'boolean' ? answer : await answer
      if (!goesOn) return
    }
  }

  #end(): void {
    for (const act of this.#ends.splice(0)) act()
  }
}
