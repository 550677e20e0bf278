import { messageOf } from '../../errors.ts'
import type { Clusters } from '../cluster/cluster.ts'
import { ConfigRejection } from '../config/config-rejection.ts'
import type { JsonObject } from '../config/field-reader.ts'
import type { Discovery, Watching } from '../discovery/discovery.ts'
import type { NetworkFilterKind, SocketAddress } from '../network/network-filter.ts'
import type { ProxyContext } from '../proxy-context.ts'
import type { Secrets } from '../secret/secrets.ts'
import type { Counter, Gauge, StatScope } from '../stats/stat-store.ts'
import type { Connections } from '../upstream/upstream.ts'
import type { FilterChain } from './filter-chain.ts'
import { ListenSocket } from './listen-socket.ts'
import { type ListenerConfig, listenerReader, type ReadListener } from './listener-config.ts'
import { ListenerVersion } from './running-listener.ts'

export interface ListenerManagerOptions {
  readonly context: ProxyContext
  readonly clusters: Clusters
  readonly connections: Connections
  readonly discovery: Discovery
  readonly secrets: Secrets
  /** What may stand in a filter chain. */
  readonly networkFilters: readonly NetworkFilterKind[]
  /** How long a listener that goes waits for its connections to end; Envoy's is 600 s. */
  readonly drainTimeMs?: number
}

/** All listeners of one proxy. */
export interface ListenerManager {
  /**
   * Those of the bootstrap, in the JSON form of `envoy.config.listener.v3.Listener`.
   * @throws ConfigRejection for the first that is not taken.
   */
  applyStatic(listeners: readonly JsonObject[]): void
  /** Asks the control plane for listeners: when clusters are there. */
  startDynamic(): void
  /** When the static ones listen, and all of the first answer do. */
  readonly initialized: Promise<void>
  /** By name: those that listen, and where. */
  readonly listeners: ReadonlyMap<string, RunningListener>
  close(): Promise<void>
}

export interface RunningListener {
  readonly name: string
  /** With the port that was had where 0 was asked for. */
  readonly address: SocketAddress
  /** Empty for one of the bootstrap. */
  readonly version: string
  readonly config: JsonObject
}

export function createListenerManager(options: ListenerManagerOptions): ListenerManager {
  return new Manager(options)
}

const envoysDrainTimeMs = 600_000

class Manager implements ListenerManager {
  readonly #options: ListenerManagerOptions
  readonly #read: ReadListener
  readonly #drainTimeMs: number
  readonly #active = new Map<string, ListenerVersion>()
  /** Those that have not taken over yet, for they wait for their routes or secrets. */
  readonly #warming = new Map<string, ListenerVersion>()
  /** Of versions that went: what still has connections. */
  readonly #draining = new Set<ListenerVersion>()
  readonly #scopes = new Map<ListenerVersion, StatScope>()
  readonly #stats: ManagerStats
  #watching: Watching | undefined
  #isDynamic = false
  #hasAnswer = false
  #isClosed = false
  #isInitialized = false
  #resolveInitialized: () => void = () => undefined
  readonly initialized: Promise<void>

  constructor(options: ListenerManagerOptions) {
    this.#options = options
    this.#read = listenerReader(options.networkFilters)
    this.#drainTimeMs = options.drainTimeMs ?? envoysDrainTimeMs
    this.#stats = statsOf(options.context.stats.scope('listener_manager.'))
    this.initialized = new Promise((resolve) => {
      this.#resolveInitialized = resolve
    })
  }

  get listeners(): ReadonlyMap<string, RunningListener> {
    return this.#active
  }

  applyStatic(listeners: readonly JsonObject[]): void {
    for (const json of listeners) this.#put(json, '')
    // Told a turn later, so that who starts the dynamic ones at once waits for them, too.
    queueMicrotask(() => this.#settle())
  }

  startDynamic(): void {
    this.#isDynamic = true
    this.#watching = this.#options.discovery.watchAll('listener', {
      onUpdate: (changed, removed) => {
        const refused = new Map<string, string>()
        // What goes first leaves its address to what comes.
        const sockets = removed.map((name) => this.#remove(name))
        for (const { name, version, content } of changed) {
          try {
            this.#put(content, version)
          } catch (error) {
            if (!(error instanceof ConfigRejection)) {
              this.#options.context.log.error({ err: error, listener: name }, 'a listener could not be taken')
            }
            this.#stats.createFailure.add()
            refused.set(name, messageOf(error))
          }
        }
        for (const letGo of sockets) letGo()
        this.#hasAnswer = true
        this.#settle()
        return refused
      },
      onMissing: () => {
        this.#hasAnswer = true
        this.#settle()
      },
    })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#watching?.cancel()
    for (const version of [...this.#active.values(), ...this.#warming.values()]) {
      version.close()
      version.socket.letGo()
    }
    for (const version of this.#draining) version.close()
    this.#active.clear()
    this.#warming.clear()
    this.#settle()
  }

  /** @throws ConfigRejection */
  #put(json: JsonObject, version: string): void {
    const config = this.#read(json)
    const { name } = config
    const active = this.#active.get(name)
    const warming = this.#warming.get(name)
    const current = warming ?? active
    if (current !== undefined && isSame(current.config, json)) return
    this.#checkAddress(config)
    const inPlace = warming === undefined && active?.settings.frame === config.frame ? active : undefined
    const socket = this.#socketFor(config, current)
    const known = inPlace === undefined ? undefined : this.#scopes.get(inPlace)
    const scope = known ?? this.#options.context.stats.scope(`listener.${config.statName}.`)
    let created: ListenerVersion
    try {
      created = new ListenerVersion(
        config,
        { config: json, version },
        socket,
        { ...this.#options, stats: scope },
        inPlace,
      )
    } catch (error) {
      socket.letGo()
      if (known === undefined) scope.close()
      throw error
    }
    this.#scopes.set(created, scope)
    this.#stats.createSuccess.add()
    if (current === undefined) this.#stats.added.add()
    else this.#stats.modified.add()
    if (inPlace !== undefined) this.#stats.inPlaceUpdated.add()
    if (warming !== undefined) this.#discard(warming)
    this.#warming.set(name, created)
    if (created.isReadyAtOnce) {
      this.#activate(created)
    } else {
      socket.rest()
      void created.ready.then(() => this.#activate(created))
    }
    this.#count()
  }

  /** Takes over from the version before: the socket is the same, so that nobody is refused. */
  #activate(version: ListenerVersion): void {
    const { name } = version
    if (this.#isClosed || this.#warming.get(name) !== version) return
    this.#warming.delete(name)
    try {
      version.listen()
    } catch (error) {
      this.#options.context.log.error({ err: error, listener: name }, 'a listener cannot be bound any more')
      this.#stats.createFailure.add()
      this.#discard(version)
      this.#settle()
      return
    }
    const before = this.#active.get(name)
    this.#active.set(name, version)
    if (before !== undefined) this.#retire(before, version)
    this.#count()
    this.#settle()
  }

  /** Returns what lets its socket go. */
  #remove(name: string): () => void {
    const warming = this.#warming.get(name)
    const active = this.#active.get(name)
    this.#warming.delete(name)
    this.#active.delete(name)
    if (warming !== undefined) this.#discard(warming)
    if (active === undefined) {
      this.#count()
      return () => undefined
    }
    this.#stats.removed.add()
    // Held a little longer by who removes, so that another listener may have it.
    active.socket.hold()
    this.#leaving.set(addressKey(active.settings), active.socket)
    this.#retire(active, undefined)
    this.#count()
    return () => {
      this.#leaving.delete(addressKey(active.settings))
      active.socket.letGo()
    }
  }

  /** Sockets of listeners that go in the answer that is being applied. */
  readonly #leaving = new Map<string, ListenSocket>()

  /** Its connections go on until they end, or until the drain time is over. */
  #retire(version: ListenerVersion, successor: ListenerVersion | undefined): void {
    version.socket.letGo()
    const chains = version.chainsNotOf(successor)
    const left = new Set<FilterChain>(chains)
    if (left.size > 0) this.#draining.add(version)
    else this.#forget(version)
    for (const chain of chains) {
      this.#stats.chainsDraining.add(1)
      chain.onEnded(() => {
        this.#stats.chainsDraining.add(-1)
        left.delete(chain)
        if (left.size > 0) return
        this.#draining.delete(version)
        this.#forget(version)
        this.#count()
      })
      // Before the proxy has begun its work nobody is connected.
      if (this.#isInitialized) chain.drain(this.#drainTimeMs)
      else chain.close()
    }
  }

  /** One that never listened. */
  #discard(version: ListenerVersion): void {
    const active = this.#active.get(version.name)
    for (const chain of version.chainsNotOf(active)) chain.close()
    version.socket.letGo()
    this.#forget(version)
  }

  #forget(version: ListenerVersion): void {
    const scope = this.#scopes.get(version)
    this.#scopes.delete(version)
    // Versions that were put in place of one another count together.
    if (scope !== undefined && ![...this.#scopes.values()].includes(scope)) scope.close()
  }

  /** @throws ConfigRejection where it cannot be bound */
  #socketFor(config: ListenerConfig, current: ListenerVersion | undefined): ListenSocket {
    const key = addressKey(config)
    const known =
      current !== undefined && addressKey(current.settings) === key
        ? current.socket
        : config.address.port === 0
          ? undefined
          : this.#leaving.get(key)
    const socket = known ?? new ListenSocket(config.address, config.backlog)
    socket.hold()
    return socket
  }

  /** @throws ConfigRejection in Envoy's words where another listener has the address */
  #checkAddress(config: ListenerConfig): void {
    const key = addressKey(config)
    if (config.address.port === 0) return
    for (const other of [...this.#active.values(), ...this.#warming.values()]) {
      if (other.name === config.name || addressKey(other.settings) !== key) continue
      throw new ConfigRejection(
        `error adding listener: '${config.name}' has duplicate address '${key}' as existing listener. To check if the listener has duplicated addresses with other listeners or 'enable_reuse_port' is set to 'false' for the listener`,
      )
    }
  }

  #count(): void {
    this.#stats.active.set(this.#active.size)
    this.#stats.warming.set(this.#warming.size)
    this.#stats.draining.set(this.#draining.size)
  }

  #settle(): void {
    if (this.#isClosed || (this.#warming.size === 0 && (!this.#isDynamic || this.#hasAnswer))) {
      this.#isInitialized = true
      this.#resolveInitialized()
    }
  }
}

interface ManagerStats {
  readonly added: Counter
  readonly modified: Counter
  readonly removed: Counter
  readonly inPlaceUpdated: Counter
  readonly createSuccess: Counter
  readonly createFailure: Counter
  readonly active: Gauge
  readonly warming: Gauge
  readonly draining: Gauge
  readonly chainsDraining: Gauge
}

function statsOf(scope: StatScope): ManagerStats {
  return {
    added: scope.counter('listener_added'),
    modified: scope.counter('listener_modified'),
    removed: scope.counter('listener_removed'),
    inPlaceUpdated: scope.counter('listener_in_place_updated'),
    createSuccess: scope.counter('listener_create_success'),
    createFailure: scope.counter('listener_create_failure'),
    active: scope.gauge('total_listeners_active'),
    warming: scope.gauge('total_listeners_warming'),
    draining: scope.gauge('total_listeners_draining'),
    chainsDraining: scope.gauge('total_filter_chains_draining'),
  }
}

function addressKey({ address: { address, port } }: ListenerConfig): string {
  return `${address}:${port}`
}

/** Contents are shared by all who were sent the same bytes; those of the bootstrap may be equal only. */
function isSame(one: JsonObject, other: JsonObject): boolean {
  return one === other || JSON.stringify(one) === JSON.stringify(other)
}
