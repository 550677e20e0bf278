import type { Socket } from 'node:net'
import { createAccessLogger } from '../access-log/access-log.ts'
import { ConfigRejection } from '../config/config-rejection.ts'
import type { JsonObject } from '../config/field-reader.ts'
import { createStreamInfo } from '../http/create-stream-info.ts'
import type { AccessLogger, SocketAddress } from '../network/network-filter.ts'
import type { Counter, Gauge, Histogram } from '../stats/stat-store.ts'
import { ClientConnection } from './client-connection.ts'
import { type ChainOwner, FilterChain } from './filter-chain.ts'
import { FilterChainIndex } from './filter-chain-index.ts'
import { FirstBytes } from './first-bytes.ts'
import type { ListenSocket } from './listen-socket.ts'
import type { FilterChainConfig, ListenerConfig } from './listener-config.ts'
import type { InspectedConnection, ListenerFilter } from './listener-filter.ts'

/** One version of a listener: it takes connections, looks at them, and gives them to their filter chains. */
export class ListenerVersion {
  readonly settings: ListenerConfig
  readonly config: JsonObject
  readonly version: string
  readonly socket: ListenSocket
  readonly ready: Promise<void>
  readonly isReadyAtOnce: boolean
  readonly #owner: ChainOwner
  readonly #chains: ReadonlyMap<string, FilterChain>
  readonly #defaultChain: FilterChain | undefined
  readonly #index = new FilterChainIndex<FilterChain>()
  readonly #filters: readonly ListenerFilter[]
  readonly #stats: ListenerStats
  readonly #accessLogger: AccessLogger | undefined
  /** Before they have a filter chain. */
  readonly #early = new Set<Socket>()

  /**
   * @param before whose filter chains go on where they are the same: it is replaced in place
   * @throws ConfigRejection where a filter chain cannot be made.
   */
  constructor(
    settings: ListenerConfig,
    resource: { readonly config: JsonObject; readonly version: string },
    socket: ListenSocket,
    owner: ChainOwner,
    before?: ListenerVersion,
  ) {
    this.settings = settings
    this.config = resource.config
    this.version = resource.version
    this.socket = socket
    this.#owner = owner
    const chains = new Map<string, FilterChain>()
    const created: FilterChain[] = []
    const create = (chain: FilterChainConfig): FilterChain => {
      const known = before?.chainOf(chain.text)
      if (known !== undefined) return known
      const fresh = new FilterChain(chain, settings, owner)
      created.push(fresh)
      return fresh
    }
    try {
      this.#checkMatches()
      for (const chain of settings.chains) {
        const made = create(chain)
        chains.set(chain.text, made)
        if (!this.#index.add(chain.match, made)) {
          throw new ConfigRejection(
            `error adding listener '${addressOf(settings)}': multiple filter chains with overlapping matching rules are defined`,
          )
        }
      }
      this.#defaultChain = settings.defaultChain === undefined ? undefined : create(settings.defaultChain)
    } catch (error) {
      for (const chain of created) chain.close()
      throw error
    }
    this.#chains = chains
    this.#filters = settings.listenerFilters.map((filter) => filter(owner.context.stats))
    this.#stats = statsOf(owner)
    this.#accessLogger =
      settings.accessLogs.length === 0 ? undefined : createAccessLogger(settings.accessLogs, owner.context)
    this.isReadyAtOnce = created.every(({ isReadyAtOnce }) => isReadyAtOnce)
    this.ready = Promise.all(created.map(({ ready }) => ready)).then(() => undefined)
  }

  get name(): string {
    return this.settings.name
  }

  get address(): SocketAddress {
    return this.socket.address
  }

  chainOf(text: string): FilterChain | undefined {
    return this.#chains.get(text) ?? (this.#defaultChain?.config.text === text ? this.#defaultChain : undefined)
  }

  get chains(): readonly FilterChain[] {
    return [...this.#chains.values(), ...(this.#defaultChain === undefined ? [] : [this.#defaultChain])]
  }

  /** From now on connections to its address are its own. */
  listen(): void {
    this.socket.giveTo((socket) => this.#accept(socket))
  }

  /** Those of the filter chains that `other` does not have. */
  chainsNotOf(other: ListenerVersion | undefined): readonly FilterChain[] {
    const kept = new Set(other?.chains)
    return this.chains.filter((chain) => !kept.has(chain))
  }

  close(): void {
    for (const socket of this.#early) socket.destroy()
    for (const chain of this.chains) chain.close()
  }

  #accept(socket: Socket): void {
    const { clock } = this.#owner.context
    const startMs = clock.now()
    this.#stats.total.add()
    this.#stats.active.add(1)
    socket.on('error', () => undefined)
    socket.once('close', () => {
      this.#early.delete(socket)
      this.#stats.active.add(-1)
      this.#stats.destroyed.add()
      this.#stats.lengthMs.record(clock.now() - startMs)
    })
    const { remoteAddress, remotePort, localAddress, localPort } = socket
    if (remoteAddress === undefined || localAddress === undefined) {
      // Gone before anybody looked.
      socket.destroy()
      return
    }
    const remote = { ip: plainAddress(remoteAddress), port: remotePort ?? 0 }
    const connection: InspectedConnection = {
      localAddress: { ip: plainAddress(localAddress), port: localPort ?? 0 },
      remoteAddress: remote,
      directRemoteAddress: remote,
      serverName: '',
      transportProtocol: '',
      applicationProtocols: [],
    }
    this.#early.add(socket)
    this.#take(socket, connection).catch((error: unknown) => {
      this.#owner.context.log.error({ err: error, listener: this.name }, 'a connection could not be taken')
      socket.destroy()
    })
  }

  async #take(socket: Socket, connection: InspectedConnection): Promise<void> {
    if (this.#filters.length > 0 && !(await this.#inspect(socket, connection))) return
    if (connection.transportProtocol === '') connection.transportProtocol = 'raw_buffer'
    const chain = this.#index.find(connection) ?? this.#defaultChain
    if (chain === undefined) {
      this.#stats.noFilterChainMatch.add()
      this.#logEarlyEnd(socket, connection)
      socket.destroy()
      return
    }
    this.#early.delete(socket)
    if (this.#accessLogger !== undefined) this.#logAtEnd(this.#accessLogger, socket, connection, chain.config.name)
    await chain.accept(socket, connection)
  }

  /** Whether the connection may go on. */
  async #inspect(socket: Socket, connection: InspectedConnection): Promise<boolean> {
    const { listenerFiltersTimeoutMs, continuesOnTimeout } = this.settings
    const first = new FirstBytes(socket)
    let isTimedOut = false
    const timer =
      listenerFiltersTimeoutMs === undefined
        ? undefined
        : this.#owner.context.clock.after(listenerFiltersTimeoutMs, () => {
            isTimedOut = true
            this.#stats.earlyTimeout.add()
            first.giveUp()
          })
    this.#stats.earlyActive.add(1)
    let goesOn = true
    for (const filter of this.#filters) {
      goesOn = await filter.inspect(connection, first)
      if (!goesOn || isTimedOut) break
    }
    this.#stats.earlyActive.add(-1)
    timer?.cancel()
    first.release()
    if (isTimedOut ? continuesOnTimeout : goesOn) return !socket.destroyed
    socket.destroy()
    return false
  }

  #checkMatches(): void {
    const known = new Map<string, string>()
    for (const { matchText, name } of this.settings.chains) {
      const before = known.get(matchText)
      if (before !== undefined) {
        throw new ConfigRejection(
          `error adding listener '${addressOf(this.settings)}': filter chain '${name}' has the same matching rules defined as '${before}'. duplicate matcher is: ${matchText}`,
        )
      }
      known.set(matchText, name)
    }
  }

  #logEarlyEnd(socket: Socket, inspected: InspectedConnection): void {
    if (this.#accessLogger !== undefined) this.#logAtEnd(this.#accessLogger, socket, inspected, '', 'NR')
  }

  #logAtEnd(
    logger: AccessLogger,
    socket: Socket,
    inspected: InspectedConnection,
    filterChain: string,
    flag?: string,
  ): void {
    const info = createStreamInfo(this.#owner.context.clock)
    if (flag !== undefined) info.flags.add(flag)
    const connection = new ClientConnection({ socket, inspected, secured: undefined, listener: this.name, filterChain })
    socket.once('close', () => {
      info.bytesReceived = socket.bytesRead
      info.bytesSent = socket.bytesWritten
      logger.log(info, connection)
    })
  }
}

interface ListenerStats {
  readonly total: Counter
  readonly active: Gauge
  readonly destroyed: Counter
  readonly lengthMs: Histogram
  readonly noFilterChainMatch: Counter
  readonly earlyActive: Gauge
  readonly earlyTimeout: Counter
}

function statsOf({ stats }: ChainOwner): ListenerStats {
  return {
    total: stats.counter('downstream_cx_total'),
    active: stats.gauge('downstream_cx_active'),
    destroyed: stats.counter('downstream_cx_destroy'),
    lengthMs: stats.histogram('downstream_cx_length_ms'),
    noFilterChainMatch: stats.counter('no_filter_chain_match'),
    earlyActive: stats.gauge('downstream_pre_cx_active'),
    earlyTimeout: stats.counter('downstream_pre_cx_timeout'),
  }
}

/** Of a listener of both families an IPv4 client is seen as IPv6. */
function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address
}

function addressOf({ address }: ListenerConfig): string {
  return `${address.address}:${address.port}`
}
