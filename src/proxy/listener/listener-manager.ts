import type { Clusters } from '../cluster/cluster.ts'
import type { JsonObject } from '../config/field-reader.ts'
import type { Discovery } from '../discovery/discovery.ts'
import type { NetworkFilterKind, SocketAddress } from '../network/network-filter.ts'
import type { ProxyContext } from '../proxy-context.ts'
import type { Secrets } from '../secret/secrets.ts'
import type { Connections } from '../upstream/upstream.ts'

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
  /** Tells all connections to go, and closes those that are left when the drain time is over. */
  drain(): void
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

export declare function createListenerManager(options: ListenerManagerOptions): ListenerManager
