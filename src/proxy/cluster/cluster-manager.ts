import type { Peers } from '../balance/balancer.ts'
import { ConfigRejection } from '../config/config-rejection.ts'
import type { JsonObject } from '../config/field-reader.ts'
import type { CollectionWatcher, DiscoveredResource, Discovery, Watching } from '../discovery/discovery.ts'
import type { ProxyContext } from '../proxy-context.ts'
import type { Connections } from '../upstream/upstream.ts'
import type { Cluster, Clusters } from './cluster.ts'
import { type ClusterConfig, parseClusterConfig } from './cluster-config.ts'
import type { DnsResolverConfig } from './dns-config.ts'
import { type ClusterOwner, RunningCluster } from './running-cluster.ts'

export interface ClusterManagerOptions {
  readonly context: ProxyContext
  readonly discovery: Discovery
  /** Whose secrets clusters wait for, and which health checks are made by; they cannot be made without. */
  readonly connections?: Connections
  /** `cluster_manager.local_cluster_name` of the bootstrap: the proxy's peers, for zone aware routing. */
  readonly localCluster?: string
  /** The bootstrap's `typed_dns_resolver_config`; the machine's name servers where it has none. */
  readonly dns?: DnsResolverConfig
}

/** All clusters of one proxy: those of its bootstrap, and those that its control plane sends. */
export interface ClusterManager extends Clusters {
  get(name: string): RunningCluster | undefined
  readonly all: ReadonlyMap<string, RunningCluster>
  /**
   * Those of the bootstrap, called once and first; they begin to warm at once.
   * @throws ConfigRejection
   */
  applyStatic(clusters: readonly JsonObject[]): void
  /** Asks for clusters by CDS, once those of the bootstrap are warm. Called in the same turn as `applyStatic`, or never. */
  startDynamic(): void
  /** All static clusters are warm and, where CDS is asked, its first answer's too (or it has none in time). */
  readonly initialized: Promise<void>
  /** Called after a cluster came, went, or was replaced by a changed one. */
  onChanged(act: (name: string, cluster: Cluster | undefined) => void): { cancel(): void }
  /** For `/config_dump`. */
  readonly dump: ClusterDump
  close(): void
}

export interface ClusterDump {
  /** Of the last answer by CDS of which anything was taken. */
  readonly version: string
  readonly static: readonly DumpedCluster[]
  readonly active: readonly DumpedCluster[]
  readonly warming: readonly DumpedCluster[]
}

export interface DumpedCluster {
  readonly name: string
  readonly version: string
  readonly content: JsonObject
  readonly lastUpdated: Date
}

export function createClusterManager(options: ClusterManagerOptions): ClusterManager {
  return new Manager(options)
}

/** A cluster, and what it was made of. */
interface Entry extends DumpedCluster {
  readonly cluster: RunningCluster
  readonly isStatic: boolean
}

class Manager implements ClusterManager, CollectionWatcher {
  readonly all = new Map<string, RunningCluster>()
  readonly initialized: Promise<void>
  readonly #options: ClusterManagerOptions
  readonly #active = new Map<string, Entry>()
  readonly #warming = new Map<string, Entry>()
  readonly #listeners = new Set<(name: string, cluster: Cluster | undefined) => void>()
  readonly #peers: Peers | undefined
  readonly #peersChanged = new Set<() => void>()
  /** What the start of the proxy still waits for. */
  readonly #awaited = new Set<Entry>()
  #phase: 'static' | 'dynamic' | 'done' = 'static'
  #isDynamic = false
  #isCdsSettled = false
  #version = ''
  #watching: Watching | undefined
  #resume: (() => void) | undefined
  #finish: () => void = () => {}
  #isClosed = false

  constructor(options: ClusterManagerOptions) {
    this.#options = options
    this.#peers = options.localCluster === undefined ? undefined : this.#watchPeers(options.localCluster)
    this.initialized = new Promise((resolve) => {
      this.#finish = resolve
    })
  }

  get(name: string): RunningCluster | undefined {
    return this.all.get(name)
  }

  applyStatic(clusters: readonly JsonObject[]): void {
    for (const content of clusters) {
      const config = parseClusterConfig(content)
      if (this.#active.has(config.name)) {
        throw new ConfigRejection(`cluster manager: duplicate cluster '${config.name}'`)
      }
      this.#add(config, { name: config.name, version: '', content }, true)
    }
    this.#advance()
  }

  startDynamic(): void {
    this.#isDynamic = true
    this.#advance()
  }

  onUpdate(changed: readonly DiscoveredResource[], removed: readonly string[]): ReadonlyMap<string, string> {
    // What the new clusters ask for goes out in one request.
    const resume = this.#options.discovery.pause('endpoint')
    const refused = new Map<string, string>()
    let isAnyTaken = false
    const names = new Set<string>()
    for (const resource of changed) {
      try {
        if (names.has(resource.name)) throw new ConfigRejection(`duplicate cluster ${resource.name} found`)
        names.add(resource.name)
        if (!this.#put(resource)) continue
        isAnyTaken = true
        this.#version = resource.version
      } catch (error) {
        if (!(error instanceof ConfigRejection)) throw error
        refused.set(resource.name, error.message)
      }
    }
    for (const name of removed) isAnyTaken = this.#remove(name) || isAnyTaken
    this.#isCdsSettled = true
    this.#count()
    this.#advance()
    resume()
    return refused
  }

  onMissing(): void {
    this.#isCdsSettled = true
    this.#advance()
  }

  onChanged(act: (name: string, cluster: Cluster | undefined) => void): { cancel(): void } {
    this.#listeners.add(act)
    return { cancel: () => void this.#listeners.delete(act) }
  }

  get dump(): ClusterDump {
    const active = [...this.#active.values()]
    return {
      version: this.#version,
      static: active.filter(({ isStatic }) => isStatic),
      active: active.filter(({ isStatic }) => !isStatic),
      warming: [...this.#warming.values()],
    }
  }

  close(): void {
    this.#isClosed = true
    this.#watching?.cancel()
    this.#resume?.()
    for (const { cluster } of [...this.#warming.values(), ...this.#active.values()]) cluster.close()
    this.#warming.clear()
    this.#active.clear()
    this.all.clear()
  }

  /** @returns whether anything is other than before */
  #put({ name, version, content }: DiscoveredResource): boolean {
    const warming = this.#warming.get(name)
    const active = this.#active.get(name)
    if (active?.isStatic === true) return false
    // Equal to the one in use counts only where none is about to take its place.
    if (isSame((warming ?? active)?.content, content)) return false
    const config = parseClusterConfig(content)
    const { stats } = this.#options.context
    stats.counter(`cluster_manager.cluster_${(active ?? warming) ? 'modified' : 'added'}`).add()
    this.#add(config, { name, version, content }, false)
    return true
  }

  #add(config: ClusterConfig, source: DiscoveredResource, isStatic: boolean): void {
    const cluster = new RunningCluster(config, this.#clusterOwner(config))
    const { name, version, content } = source
    const entry: Entry = { name, version, content, lastUpdated: new Date(), cluster, isStatic }
    if (isStatic) this.#options.context.stats.counter('cluster_manager.cluster_added').add()
    this.#end(this.#warming, config.name)
    if (this.#phase === 'done') this.#warming.set(config.name, entry)
    else this.#activate(entry)
    if (this.#phase !== 'done' && config.isWaitedForOnInit) this.#awaited.add(entry)
    void cluster.warm.then(
      () => this.#onWarm(entry),
      () => this.#onWarm(entry),
    )
  }

  /** It takes over, and what it takes the place of ends. */
  #activate(entry: Entry): void {
    const { name, cluster } = entry
    const before = this.#active.get(name)
    this.#active.set(name, entry)
    this.all.set(name, cluster)
    if (before !== undefined) this.#awaited.delete(before)
    before?.cluster.close()
    for (const act of this.#listeners) act(name, cluster)
  }

  #onWarm(entry: Entry): void {
    if (this.#isClosed) return
    if (this.#warming.get(entry.name) === entry) {
      this.#warming.delete(entry.name)
      this.#activate(entry)
      this.#count()
    }
    if (this.#awaited.delete(entry)) this.#advance()
  }

  #remove(name: string): boolean {
    const active = this.#active.get(name)
    const isActive = active !== undefined && !active.isStatic && this.#end(this.#active, name)
    const isWarming = this.#end(this.#warming, name)
    if (!isActive && !isWarming) return false
    this.#options.context.stats.counter('cluster_manager.cluster_removed').add()
    if (isActive) for (const act of this.#listeners) act(name, undefined)
    return true
  }

  #end(entries: Map<string, Entry>, name: string): boolean {
    const entry = entries.get(name)
    if (entry === undefined) return false
    entries.delete(name)
    this.#awaited.delete(entry)
    if (entries === this.#active) this.all.delete(name)
    entry.cluster.close()
    return true
  }

  /** The static clusters first, then what CDS says, and then the proxy may begin. */
  #advance(): void {
    this.#count()
    if (this.#isClosed || this.#awaited.size > 0) return
    if (this.#phase === 'static' && this.#isDynamic) {
      this.#phase = 'dynamic'
      this.#watching = this.#options.discovery.watchAll('cluster', this)
      return
    }
    if (this.#phase === 'done' || (this.#isDynamic && !this.#isCdsSettled)) return
    if (this.#isDynamic) this.#phase = 'done'
    this.#finish()
  }

  #count(): void {
    const { stats } = this.#options.context
    stats.gauge('cluster_manager.active_clusters').set(this.#active.size)
    stats.gauge('cluster_manager.warming_clusters').set(this.#warming.size)
    if (this.#phase !== 'done') return
    // A server that waits for the answer sends routes only to what is warm.
    if (this.#warming.size > 0) this.#resume ??= this.#options.discovery.pause('cluster')
    else {
      this.#resume?.()
      this.#resume = undefined
    }
  }

  #clusterOwner({ name }: ClusterConfig): ClusterOwner {
    const { context, discovery, connections, localCluster, dns } = this.#options
    // The peers' own cluster compares itself with nothing.
    const peers = name === localCluster ? undefined : this.#peers
    return { context, discovery, connections, peers, dns, clusters: this }
  }

  #watchPeers(name: string): Peers {
    const changed = this.#peersChanged
    const hosts = (): Peers['hosts'] => this.all.get(name)?.firstSet
    const tell = (): void => {
      for (const act of changed) act()
    }
    this.#listeners.add((other, cluster) => {
      if (other !== name || cluster === undefined) return
      this.all.get(name)?.onHostsChanged(tell)
      tell()
    })
    return {
      get hosts() {
        return hosts()
      },
      onChanged(act) {
        changed.add(act)
        return { cancel: () => void changed.delete(act) }
      },
    }
  }
}

/** What was sent again is often the same object; the text settles the rest. */
function isSame(one: JsonObject | undefined, other: JsonObject): boolean {
  return one === other || (one !== undefined && JSON.stringify(one) === JSON.stringify(other))
}
