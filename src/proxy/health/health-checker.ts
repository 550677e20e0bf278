import type { Timer } from '../../clock.ts'
import type { ClusterHost } from '../cluster/cluster-host.ts'
import type { ProxyContext } from '../proxy-context.ts'
import type { StatScope } from '../stats/stat-store.ts'
import { type Edge, intervalOf } from './check-interval.ts'
import type { HealthCheckConfig } from './health-check-config.ts'
import type { Probe, ProbeResult } from './probe.ts'

export interface HealthCheckerOwner {
  readonly context: Pick<ProxyContext, 'clock' | 'random' | 'runtime'>
  /** `cluster.NAME.` */
  readonly stats: StatScope
  createProbe(host: ClusterHost): Probe
  /** Whether the cluster has ever been used: hosts that nobody asks for are checked less often. */
  hasTraffic(): boolean
  /** What is known of its health has changed. */
  onChange(host: ClusterHost): void
  onPassed(host: ClusterHost): void
}

/** Checks all hosts of a cluster, each at its own times. */
export class HealthChecker {
  readonly #config: HealthCheckConfig
  readonly #owner: HealthCheckerOwner
  readonly #stats: StatScope
  readonly #sessions = new Map<ClusterHost, Session>()
  #isStarted = false
  #members: readonly ClusterHost[] = []

  constructor(config: HealthCheckConfig, owner: HealthCheckerOwner) {
    this.#config = config
    this.#owner = owner
    this.#stats = owner.stats.scope('health_check.')
    this.#stats.gauge('healthy').add(0)
  }

  /** Who the hosts are from now on. */
  update(hosts: Iterable<ClusterHost>): void {
    this.#members = [...hosts].filter(({ healthCheck }) => !healthCheck.isDisabled)
    if (this.#isStarted) this.#follow()
  }

  /** Begins; resolves when each host that is there now was checked once, or is gone. */
  async start(): Promise<void> {
    this.#isStarted = true
    this.#follow()
    await Promise.all([...this.#sessions.values()].map(({ first }) => first))
  }

  close(): void {
    this.#isStarted = false
    for (const session of this.#sessions.values()) session.close()
    this.#sessions.clear()
    this.#stats.close()
  }

  #follow(): void {
    const members = new Set(this.#members)
    for (const [host, session] of this.#sessions) {
      if (members.has(host)) continue
      this.#sessions.delete(host)
      session.close()
    }
    for (const host of members) {
      if (this.#sessions.has(host)) continue
      this.#sessions.set(host, new Session(host, this.#config, this.#owner, this.#stats, () => this.#countHealthy()))
    }
    this.#countHealthy()
  }

  #countHealthy(): void {
    const hosts = [...this.#sessions.keys()]
    this.#stats.gauge('healthy').set(hosts.filter(({ isFailing }) => !isFailing).length)
    this.#stats.gauge('degraded').set(hosts.filter(({ isDegradedByCheck }) => isDegradedByCheck).length)
  }
}

/** The checks of one host. */
class Session {
  /** Its first check is done. */
  readonly first: Promise<void>
  readonly #host: ClusterHost
  readonly #config: HealthCheckConfig
  readonly #owner: HealthCheckerOwner
  readonly #stats: StatScope
  readonly #onJudged: () => void
  readonly #probe: Probe
  #timer: Timer | undefined
  #ending: AbortController | undefined
  #isFirst = true
  #successes = 0
  #failures = 0
  #isClosed = false
  #endFirst: () => void = () => {}

  constructor(
    host: ClusterHost,
    config: HealthCheckConfig,
    owner: HealthCheckerOwner,
    stats: StatScope,
    onJudged: () => void,
  ) {
    this.#host = host
    this.#config = config
    this.#owner = owner
    this.#stats = stats
    this.#onJudged = onJudged
    this.#probe = owner.createProbe(host)
    this.first = new Promise((resolve) => {
      this.#endFirst = resolve
    })
    const { clock, random } = owner.context
    if (config.initialJitterMs === 0) void this.#check()
    else this.#timer = clock.after(Math.max(1, random() * config.initialJitterMs), () => void this.#check())
  }

  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
    this.#ending?.abort()
    this.#probe.close()
    this.#endFirst()
  }

  async #check(): Promise<void> {
    this.#stats.counter('attempt').add()
    const ending = new AbortController()
    this.#ending = ending
    const result = await this.#withinTime(this.#probe.check(ending.signal), ending)
    if (this.#isClosed) return
    const edge = result.kind === 'passed' ? this.#pass(result.isDegraded) : this.#fail(result)
    this.#isFirst = false
    this.#endFirst()
    this.#onJudged()
    if (edge === 'changed') this.#owner.onChange(this.#host)
    if (result.kind === 'passed') this.#owner.onPassed(this.#host)
    // Whoever was told may have ended it.
    if (this.#hasEnded()) return
    const { clock } = this.#owner.context
    const waitMs = intervalOf(this.#config, this.#owner.context, {
      hasPassed: result.kind === 'passed',
      edge,
      hasTraffic: this.#owner.hasTraffic(),
    })
    this.#timer = clock.after(waitMs, () => void this.#check())
  }

  #hasEnded(): boolean {
    return this.#isClosed
  }

  #withinTime(checking: Promise<ProbeResult>, ending: AbortController): Promise<ProbeResult> {
    return new Promise((resolve) => {
      const timer = this.#owner.context.clock.after(this.#config.timeoutMs, () => {
        resolve({ kind: 'network' })
        ending.abort()
      })
      void checking.then((result) => {
        timer.cancel()
        resolve(result)
      })
    })
  }

  #pass(isDegraded: boolean): Edge {
    const host = this.#host
    this.#failures = 0
    this.#stats.counter('success').add()
    let edge: Edge = 'unchanged'
    if (host.isFailing) {
      // The first success of all is enough, so that a start takes no longer than it must.
      const isEnough = this.#isFirst || ++this.#successes >= this.#config.healthyThreshold
      host.isFailing = !isEnough
      if (isEnough) host.healthySinceMs = this.#owner.context.clock.now()
      edge = isEnough ? 'changed' : 'pending'
    }
    if (this.#endPending()) edge = 'changed'
    if (host.isDegradedByCheck !== isDegraded) {
      host.isDegradedByCheck = isDegraded
      if (edge === 'unchanged') edge = 'changed'
    }
    return edge
  }

  #fail(result: Exclude<ProbeResult, { kind: 'passed' }>): Edge {
    const host = this.#host
    this.#successes = 0
    this.#stats.counter('failure').add()
    if (result.kind === 'network') this.#stats.counter('network_failure').add()
    let edge: Edge = 'unchanged'
    if (!host.isFailing) {
      const isFinal = result.kind === 'failed' && !result.isRetriable
      host.isFailing = isFinal || ++this.#failures >= this.#config.unhealthyThreshold
      edge = host.isFailing ? 'changed' : 'pending'
    }
    return this.#endPending() ? 'changed' : edge
  }

  /** It counts in the reckoning of health from its first check on. */
  #endPending(): boolean {
    const wasPending = this.#host.isUnchecked
    this.#host.isUnchecked = false
    return wasPending
  }
}
