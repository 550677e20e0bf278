import type { DiscoveredResource, Discovery } from '../discovery/discovery.ts'
import type { ProxyContext } from '../proxy-context.ts'
import type { Connections } from '../upstream/upstream.ts'
import type { Cluster, Clusters } from './cluster.ts'
import type { ClusterConfig } from './cluster-config.ts'
import type { DnsResolverConfig } from './dns-config.ts'

/** What a cluster waits for beside its hosts: the secrets of its transport socket. */
export interface Warming {
  readonly ready: Promise<void>
  cancel(): void
}

export interface ClusterManagerOptions {
  readonly context: ProxyContext
  readonly discovery: Discovery
  /** Which health checks are made by; they cannot be made without. */
  readonly connections?: Connections
  readonly warmTransport?: (config: ClusterConfig) => Warming
  /** `cluster_manager.local_cluster_name` of the bootstrap: the proxy's peers, for zone aware routing. */
  readonly localCluster?: string
  /** The bootstrap's `typed_dns_resolver_config`; the machine's name servers where it has none. */
  readonly dns?: DnsResolverConfig
}

export declare function createClusterManager(options: ClusterManagerOptions): ClusterManager

/** All clusters of one proxy: those of its bootstrap, and those that its control plane sends. */
export interface ClusterManager extends Clusters {
  /**
   * Those of the bootstrap, called once and first; they begin to warm at once.
   * @throws ConfigRejection
   */
  applyStatic(clusters: readonly DiscoveredResource['content'][]): void
  /** Asks for clusters by CDS. */
  startDynamic(): void
  /** All static clusters are warm and, where CDS is asked, its first answer's too (or it has none in time). */
  readonly initialized: Promise<void>
  /** Called after a cluster came, went, or was replaced by a changed one. */
  onChanged(act: (name: string, cluster: Cluster | undefined) => void): void
  /** For `/config_dump`. */
  readonly dump: ClusterDump
  close(): void
}

export interface ClusterDump {
  readonly version: string
  readonly static: readonly DumpedCluster[]
  readonly active: readonly DumpedCluster[]
  readonly warming: readonly DumpedCluster[]
}

export interface DumpedCluster {
  readonly name: string
  readonly version: string
  readonly content: DiscoveredResource['content']
  readonly lastUpdated: Date
}
