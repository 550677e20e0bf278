import type { Meaning } from './meaning.ts'

/** One configuration of a cluster, as Envoy instantiates it: an updated cluster is a new one that warms beside the old. */
export interface LiveCluster {
  readonly meaning: Meaning
  /** What it was given since it was made. */
  endpoints: Meaning | undefined
  /** It waits for its assignment no more. */
  hasEndpoints: boolean
  /** When its wait began; with every connection it begins again. */
  sinceMs: number
}

interface Slot {
  active: LiveCluster | undefined
  warming: LiveCluster | undefined
}

/** Envoy's cluster manager: clusters warm until they have their endpoints and secrets, and only then take traffic. */
export class Clusters {
  readonly #slots = new Map<string, Slot>()
  #warming = 0

  get isWarming(): boolean {
    return this.#warming > 0
  }

  active(name: string): LiveCluster | undefined {
    return this.#slots.get(name)?.active
  }

  /** Active, or on the way to be. */
  has(name: string): boolean {
    return this.#slots.has(name)
  }

  get names(): Iterable<string> {
    return this.#slots.keys()
  }

  /** True if it must warm: a cluster of equal content is left alone. */
  put(meaning: Meaning, nowMs: number): boolean {
    const slot = this.#slots.get(meaning.name) ?? { active: undefined, warming: undefined }
    this.#slots.set(meaning.name, slot)
    if ((slot.warming ?? slot.active)?.meaning === meaning) return false
    if (slot.warming === undefined) this.#warming++
    slot.warming = { meaning, endpoints: undefined, hasEndpoints: meaning.assignment === undefined, sinceMs: nowMs }
    return true
  }

  remove(name: string): void {
    if (this.#slots.get(name)?.warming !== undefined) this.#warming--
    this.#slots.delete(name)
  }

  /** An assignment reaches every cluster that wants it, be it active or warming. */
  assign(endpoints: Meaning): void {
    for (const cluster of this.live()) {
      if (cluster.meaning.assignment !== endpoints.name) continue
      cluster.endpoints = endpoints
      cluster.hasEndpoints = true
    }
  }

  /** There is no such assignment: the wait is over; hosts that are there stay. */
  endWait(assignment: string): void {
    for (const cluster of this.live()) if (cluster.meaning.assignment === assignment) cluster.hasEndpoints = true
  }

  /** Takes into service what is ready. True if anything was. */
  warm(isReady: (cluster: LiveCluster) => boolean): boolean {
    if (this.#warming === 0) return false
    let isAny = false
    for (const slot of this.#slots.values()) {
      const { warming } = slot
      if (warming === undefined || !isReady(warming)) continue
      slot.active = warming
      slot.warming = undefined
      this.#warming--
      isAny = true
    }
    return isAny
  }

  *live(): Generator<LiveCluster> {
    for (const { active, warming } of this.#slots.values()) {
      if (active !== undefined) yield active
      if (warming !== undefined) yield warming
    }
  }

  *warming(): Generator<LiveCluster> {
    if (this.#warming === 0) return
    for (const { warming } of this.#slots.values()) if (warming !== undefined) yield warming
  }
}
