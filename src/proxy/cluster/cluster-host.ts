import { hostPort } from '../../resource/host-port.ts'
import type { Metadata } from '../config/metadata.ts'
import type { Locality } from '../proxy-context.ts'
import type { Endpoint, EndpointHealth, EndpointHealthCheck } from './assignment.ts'
import { type Host, type HostHealth, type HostStats, noHostStats, type TryOutcome } from './host.ts'

/** An endpoint as its cluster sees it: what several sources say of its health, and who wants to hear of it. */
export class ClusterHost implements Host {
  address: string
  ip: string
  port: number
  readonly hostname: string
  readonly locality: Locality
  readonly healthCheck: EndpointHealthCheck
  readonly stats: HostStats = noHostStats()
  priority: number
  weight: number
  metadata: Metadata
  /** What the control plane says of it. */
  said: EndpointHealth
  /** Active checks fail, or the first has not passed yet. */
  isFailing = false
  /** It is left out of the reckoning of a priority's health until its first check. */
  isUnchecked = false
  /** A check that it passed says that it is degraded. */
  isDegradedByCheck = false
  /** Outlier detection has let it out. */
  isEjected = false
  /** The control plane has it no longer, but checks say that it is well: it stays until they fail. */
  isLeaving = false
  /** When it became healthy, by the clock: slow start counts from there. */
  healthySinceMs: number | undefined
  /** How outlier detection counts what becomes of tries. */
  judge: ((outcome: TryOutcome) => void) | undefined
  /** Of balancers that go by what hosts say of their load; there are several where it is in several subsets. */
  loadTakers: Set<(header: string) => void> | undefined
  /** Set where the balancer goes by how long hosts take. */
  takeLatency: ((ms: number) => void) | undefined
  #onRemoved: (() => void)[] | undefined
  #onUnhealthy: Set<() => void> | undefined

  constructor(place: HostPlace, endpoint: Omit<Endpoint, 'address'>, priority: number) {
    this.ip = place.ip
    this.port = place.port
    this.address = hostPort(place.ip, place.port)
    this.hostname = endpoint.hostname
    this.locality = place.locality
    this.healthCheck = endpoint.healthCheck
    this.priority = priority
    this.weight = endpoint.weight
    this.metadata = endpoint.metadata
    this.said = endpoint.health
  }

  get health(): HostHealth {
    if (this.isFailing || this.isEjected) return 'unhealthy'
    if (isSaidUnhealthy(this.said)) return 'unhealthy'
    return this.said === 'DEGRADED' || this.isDegradedByCheck ? 'degraded' : 'healthy'
  }

  /** Its name leads elsewhere now: new connections go there. */
  moveTo({ ip, port }: Pick<HostPlace, 'ip' | 'port'>): void {
    this.ip = ip
    this.port = port
    this.address = hostPort(ip, port)
  }

  report(outcome: TryOutcome): void {
    this.judge?.(outcome)
  }

  reportLoad(header: string): void {
    for (const take of this.loadTakers ?? []) take(header)
  }

  reportLatency(ms: number): void {
    this.takeLatency?.(ms)
  }

  onRemoved(act: () => void): void {
    this.#onRemoved ??= []
    this.#onRemoved.push(act)
  }

  onUnhealthy(act: () => void): void {
    this.#onUnhealthy ??= new Set()
    this.#onUnhealthy.add(act)
  }

  /** Tells those who wait for its end; once. */
  remove(): void {
    const acts = this.#onRemoved
    this.#onRemoved = undefined
    this.#onUnhealthy = undefined
    for (const act of acts ?? []) act()
  }

  turnUnhealthy(): void {
    for (const act of this.#onUnhealthy ?? []) act()
  }
}

export interface HostPlace {
  readonly ip: string
  readonly port: number
  readonly locality: Locality
}

export function isSaidUnhealthy(said: EndpointHealth): boolean {
  return said === 'UNHEALTHY' || said === 'DRAINING' || said === 'TIMEOUT'
}
