import type { ClusterHost } from '../cluster/cluster-host.ts'
import { valueOf } from '../config/runtime-double.ts'
import type { ProxyContext } from '../proxy-context.ts'
import type { SlowStartConfig } from './balance-config.ts'
import type { HostSet } from './host-set.ts'

/** Lets new hosts, and those that have become healthy, have their load by and by. */
export class SlowStart {
  readonly #context: Pick<ProxyContext, 'clock' | 'runtime'>
  readonly #config: SlowStartConfig
  /** Of the host that started last. */
  #latestStartMs = Number.NEGATIVE_INFINITY

  constructor(context: Pick<ProxyContext, 'clock' | 'runtime'>, config: SlowStartConfig) {
    this.#context = context
    this.#config = config
  }

  /** Hosts that are healthy for the first time start now. */
  onUpdate(sets: readonly HostSet[]): void {
    const now = this.#context.clock.now()
    for (const { healthy } of sets) {
      for (const host of healthy.hosts) {
        host.healthySinceMs ??= now
        this.#latestStartMs = Math.max(this.#latestStartMs, host.healthySinceMs)
      }
    }
  }

  isAnyStarting(): boolean {
    return this.#context.clock.now() - this.#latestStartMs <= this.#config.windowMs
  }

  /** What of the host's weight counts now, from 0 to 1. */
  factorOf({ healthySinceMs, health }: ClusterHost): number {
    if (healthySinceMs === undefined || health !== 'healthy') return 1
    const { windowMs, minWeight, aggression } = this.#config
    const forMs = this.#context.clock.now() - healthySinceMs
    if (forMs >= windowMs) return 1
    return Math.max(
      slowStartShare(Math.max(1, forMs) / windowMs, valueOf(aggression, this.#context.runtime)),
      minWeight,
    )
  }
}

/** Above 1 the aggression lets the weight grow fast at first, below 1 late. */
export function slowStartShare(time: number, aggression: number): number {
  return aggression > 0 && aggression !== 1 ? time ** (1 / aggression) : time
}
