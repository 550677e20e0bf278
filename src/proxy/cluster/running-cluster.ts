import type { Timer } from '../../clock.ts'
import type { Balancer, Peers } from '../balance/balancer.ts'
import { createBalancer } from '../balance/create-balancer.ts'
import type { HostSet } from '../balance/host-set.ts'
import type { ChosenPriority } from '../balance/priority-load.ts'
import { ConfigRejection } from '../config/config-rejection.ts'
import type { Discovery } from '../discovery/discovery.ts'
import { createProbe } from '../health/create-probe.ts'
import { HealthChecker } from '../health/health-checker.ts'
import { OutlierDetector } from '../health/outlier-detector.ts'
import type { ProbeOwner } from '../health/probe.ts'
import type { ProxyContext } from '../proxy-context.ts'
import type { Counter, StatScope } from '../stats/stat-store.ts'
import type { Connections } from '../upstream/upstream.ts'
import { Aggregate } from './aggregate.ts'
import type { Assignment, DropOverload } from './assignment.ts'
import { createCircuit } from './circuits.ts'
import type { BalanceQuestion, Circuit, Cluster, RoutingPriority } from './cluster.ts'
import type { ClusterConfig } from './cluster-config.ts'
import type { ClusterHost } from './cluster-host.ts'
import type { DnsResolverConfig } from './dns-config.ts'
import { watchDns } from './dns-members.ts'
import { DynamicHosts } from './dynamic-hosts.ts'
import { watchEds } from './eds-members.ts'
import type { Host } from './host.ts'
import type { MemberOwner, MemberSource } from './member-source.ts'
import { Members } from './members.ts'

export interface ClusterOwner {
  readonly context: ProxyContext
  readonly discovery: Discovery
  readonly connections: Connections | undefined
  readonly peers: Peers | undefined
  /** Of the bootstrap. */
  readonly dns: DnsResolverConfig | undefined
  /** All there are: an aggregate cluster asks others. */
  readonly clusters: ClusterDirectory
}

/** Where clusters find one another. */
export interface ClusterDirectory {
  get(name: string): RunningCluster | undefined
  onChanged(act: (name: string) => void): { cancel(): void }
}

/** A cluster at work: it warms, has hosts, and chooses among them until it is closed. */
export class RunningCluster implements Cluster {
  readonly name: string
  readonly config: ClusterConfig
  readonly stats: StatScope
  /** Its hosts are known, their secrets are there, and each was checked once where hosts are checked. */
  readonly warm: Promise<void>
  readonly #owner: ClusterOwner
  readonly #members: Members
  /** Undefined where the kind of the cluster has a way of its own. */
  readonly #balancer: Balancer | undefined
  #aggregate: Aggregate | undefined
  #dynamic: DynamicHosts | undefined
  readonly #outliers: OutlierDetector | undefined
  readonly #checker: HealthChecker | undefined
  readonly #noneHealthy: Counter
  readonly #source: MemberSource | undefined
  readonly #onClosed: (() => void)[] = []
  #onHostsChanged: Set<() => void> | undefined
  #drops: readonly DropOverload[] = []
  #sets: readonly HostSet[] = []
  #circuits: Partial<Record<RoutingPriority, Circuit>> = {}
  #publishedMs = Number.NEGATIVE_INFINITY
  #merging: Timer | undefined
  #settled: () => void = () => {}
  #isClosed = false

  /** @throws ConfigRejection where its own certificate is of no use */
  constructor(config: ClusterConfig, owner: ClusterOwner) {
    const secrets = owner.connections?.warm(config)
    if (secrets !== undefined) this.onClosed(() => secrets.cancel())
    this.name = config.name
    this.config = config
    this.stats = owner.context.stats.scope(`cluster.${config.statName}.`)
    this.#owner = owner
    this.#noneHealthy = this.stats.counter('upstream_cx_none_healthy')
    this.#members = new Members({
      ownLocality: owner.context.node.locality,
      isChecked: config.healthChecks.length > 0,
      ignoresHealthOnRemoval: config.ignoresHealthOnRemoval,
      ignoresNewUntilChecked: config.common.ignoresNewHostsUntilFirstCheck,
      isLogical: config.members.by === 'logical dns' || config.members.by === 'dynamic forward proxy',
    })
    this.#balancer = createBalancer(config.balance, {
      context: owner.context,
      stats: this.stats,
      panicThreshold: config.common.panicThreshold,
      peers: owner.peers,
    })
    const { outlier } = config
    if (outlier !== undefined) {
      this.#outliers = new OutlierDetector(outlier, {
        context: owner.context,
        stats: this.stats,
        onChange: (host) => this.#onHealthChanged(host),
      })
    }
    this.#checker = this.#createChecker()
    const settled = new Promise<void>((resolve) => {
      this.#settled = resolve
    })
    this.#sets = this.#members.sets()
    this.#balancer?.update(this.#sets)
    this.#source = this.#openSource()
    this.warm = this.#warmUp(settled, secrets?.ready)
  }

  get hosts(): Iterable<ClusterHost> {
    return this.#members.hosts
  }

  /** Of the first priority, for those to whom this cluster says who their peers are. */
  get firstSet(): HostSet | undefined {
    return this.#sets[0]
  }

  /** As they are balanced over now. */
  get sets(): readonly HostSet[] {
    return this.#sets
  }

  chooseHost(question: BalanceQuestion): ClusterHost | undefined | Promise<ClusterHost | undefined> {
    const host =
      this.#balancer?.choose(question) ?? this.#aggregate?.choose(question) ?? this.#dynamic?.choose(question)
    if (host instanceof Promise) return this.#countNone(host)
    if (host === undefined) this.#noneHealthy.add()
    return host
  }

  async #countNone(choosing: Promise<ClusterHost | undefined>): Promise<ClusterHost | undefined> {
    const host = await choosing
    if (host === undefined) this.#noneHealthy.add()
    return host
  }

  /** For an aggregate cluster that this is one of. */
  chooseAt(question: BalanceQuestion, at: ChosenPriority): ClusterHost | undefined {
    return this.#balancer?.choose(question, at)
  }

  ownerOf(host: Host): Cluster {
    const owner = this.#aggregate?.ownerOf(host as ClusterHost)
    return owner instanceof RunningCluster ? owner : this
  }

  circuit(priority: RoutingPriority): Circuit {
    const { context } = this.#owner
    this.#circuits[priority] ??= createCircuit(this.config.breakers.circuits[priority], priority, {
      stats: this.stats,
      runtime: context.runtime,
      cluster: this.name,
    })
    return this.#circuits[priority]
  }

  dropsOverload(): boolean {
    const { random } = this.#owner.context
    const drop = this.#drops.find(({ share }) => random() * share.denominator < share.numerator)
    return drop !== undefined
  }

  onClosed(act: () => void): void {
    if (this.#isClosed) act()
    else this.#onClosed.push(act)
  }

  onHostsChanged(act: () => void): { cancel(): void } {
    this.#onHostsChanged ??= new Set()
    this.#onHostsChanged.add(act)
    return { cancel: () => void this.#onHostsChanged?.delete(act) }
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#merging?.cancel()
    this.#source?.close()
    this.#checker?.close()
    this.#outliers?.close()
    this.#balancer?.close()
    for (const host of this.#members.hosts) host.remove()
    for (const act of this.#onClosed.splice(0)) act()
    this.stats.close()
  }

  async #warmUp(settled: Promise<void>, secrets: Promise<void> | undefined): Promise<void> {
    await settled
    await secrets
    if (!this.#isClosed) await this.#checker?.start()
    if (this.#isClosed) return
    // It begins with its hosts as they are now.
    if (this.#merging !== undefined) this.#publish()
    // The one that it takes the place of has counted its own until now.
    this.#countMembers()
  }

  #createChecker(): HealthChecker | undefined {
    const [check] = this.config.healthChecks
    if (check === undefined) return undefined
    const { context, connections } = this.#owner
    if (connections === undefined) throw new ConfigRejection('health_checks: nothing is there to connect by')
    const used = this.stats.counter('upstream_cx_total')
    const probes: ProbeOwner = {
      clusterName: this.name,
      connect: async (host, alpn) => {
        const { address, port } = host.healthCheck
        const probe = { ip: address?.address ?? host.ip, port: port ?? address?.port ?? host.port }
        const { socket } = await connections.connect(this, host, { probe: { ...probe, ...(alpn && { alpn }) } })
        return socket
      },
    }
    return new HealthChecker(check, {
      context,
      stats: this.stats,
      createProbe: (host) => createProbe(host, check, probes),
      hasTraffic: () => used.value > 0,
      onChange: (host) => this.#onChecked(host),
      onPassed: (host) => this.#outliers?.onCheckPassed(host),
    })
  }

  #onChecked(host: ClusterHost): void {
    if (host.isLeaving && host.isFailing) {
      this.#members.drop(host)
      this.stats.counter('membership_change').add()
      this.#follow()
      this.#publish()
      host.remove()
      return
    }
    this.#onHealthChanged(host)
  }

  #follow(): void {
    this.#outliers?.update(this.#members.hosts)
    this.#checker?.update(this.#members.hosts)
  }

  #openSource(): MemberSource | undefined {
    const { members } = this.config
    const { context, discovery } = this.#owner
    const owner: MemberOwner = {
      context,
      discovery,
      stats: this.stats,
      sink: { assign: (assignment) => this.#assign(assignment), settle: () => this.#settled() },
    }
    switch (members.by) {
      case 'static':
        this.#assign(members.assignment)
        this.#settled()
        return undefined
      case 'eds':
        return watchEds(members, owner)
      case 'strict dns':
      case 'logical dns':
        return watchDns(members, { ...owner, dns: this.#owner.dns })
      case 'dynamic forward proxy':
        this.#dynamic = new DynamicHosts(members.cache, {
          context,
          dns: this.#owner.dns,
          defaultPort: this.config.transport.kind === 'raw' ? 80 : 443,
          assign: (assignment) => void this.#assign(assignment),
          hosts: () => this.#members.hosts,
        })
        this.#settled()
        return this.#dynamic
      case 'aggregate':
        this.#aggregate = new Aggregate(members.clusters, {
          context,
          panicThreshold: this.config.common.panicThreshold,
          find: (name) => this.#owner.clusters.get(name),
          onChanged: (act) => this.#owner.clusters.onChanged(act),
        })
        this.#settled()
        return this.#aggregate
    }
  }

  #assign(assignment: Assignment): boolean {
    this.#drops = assignment.dropOverloads
    const { added, removed, isChange } = this.#members.apply(assignment)
    if (!isChange) return false
    this.#follow()
    if (added.length > 0 || removed.length > 0) {
      this.stats.counter('membership_change').add()
      this.#publish()
    } else this.#publishSoon()
    for (const host of removed) host.remove()
    return true
  }

  #onHealthChanged(host: ClusterHost): void {
    this.#publishSoon()
    if (host.health === 'unhealthy') host.turnUnhealthy()
  }

  /** What changes nothing but health, weight and metadata is taken in once in a while, for each time costs some work. */
  #publishSoon(): void {
    const { clock } = this.#owner.context
    const windowMs = this.config.common.updateMergeWindowMs
    this.#countMembers()
    if (windowMs === 0 || clock.now() - this.#publishedMs > windowMs) this.#publish()
    else this.#merging ??= clock.after(windowMs, () => this.#publish())
  }

  #publish(): void {
    this.#merging?.cancel()
    this.#merging = undefined
    this.#publishedMs = this.#owner.context.clock.now()
    this.#sets = this.#members.sets()
    this.#balancer?.update(this.#sets)
    this.#countMembers()
    for (const act of this.#onHostsChanged ?? []) act()
  }

  #countMembers(): void {
    const counts = { healthy: 0, degraded: 0, unhealthy: 0, excluded: 0 }
    for (const host of this.#members.hosts) {
      counts[host.health]++
      if (host.isUnchecked) counts.excluded++
    }
    this.stats.gauge('membership_total').set(this.#members.hosts.length)
    this.stats.gauge('membership_healthy').set(counts.healthy)
    this.stats.gauge('membership_degraded').set(counts.degraded)
    this.stats.gauge('membership_excluded').set(counts.excluded)
  }
}
