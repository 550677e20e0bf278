import type { Clock } from '../../clock.ts'
import { resourceTypes, type TypeUrl } from '../../resource/type-url.ts'
import type { ResourceSet } from '../../snapshot/resource-set.ts'
import type { Protocol } from '../stream-event.ts'
import { isTrueTo, type Remembered, type Stated } from './client-memory.ts'
import { noDrains } from './drain.ts'
import type { View } from './view.ts'

/** For how long a client may still be at what its group had, in milliseconds. */
const maxAgeMs = 10 * 60_000

/** Of one group. */
const maxViews = 8

const maxGroups = 1000

const clusterType = resourceTypes.cluster.typeUrl

/**
 * What groups of nodes had lately. A client that comes from another replica, which had not taken the newest change yet, or
 * whose stream ended just before, is where all of its group were: from there it is led on as if it had been here (rule 69).
 */
export class PastViews {
  /** The group last noted comes last, and so does its newest view. */
  readonly #groups = new Map<string, { readonly view: View; readonly atMs: number }[]>()
  readonly #clock: Pick<Clock, 'now'>
  #last: { readonly group: string; readonly view: View } | undefined

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock
  }

  /** The group has something newer than `view`. */
  note(group: string, view: View): void {
    // Each stream of the group says so, one after the other.
    if (this.#last?.view === view && this.#last.group === group) return
    this.#last = { group, view }
    const nowMs = this.#clock.now()
    const views = this.#groups.get(group) ?? []
    const kept = views.filter((past) => past.view !== view && nowMs - past.atMs < maxAgeMs)
    this.#groups.delete(group)
    this.#groups.set(group, [...kept, { view, atMs: nowMs }].slice(-maxViews))
    const [oldest] = this.#groups.keys()
    if (this.#groups.size > maxGroups && oldest !== undefined) this.#groups.delete(oldest)
  }

  /** What a client has by what it says, if that is what its group had before and not what it has now. */
  recall(group: string, protocol: Protocol, stated: Stated, now: View): Remembered | undefined {
    const views = this.#groups.get(group)
    if (views === undefined || isTrueTo(clientAt(now, protocol), stated)) return undefined
    const nowMs = this.#clock.now()
    for (const { view, atMs } of views.toReversed()) {
      if (nowMs - atMs >= maxAgeMs) break
      const client = clientAt(view, protocol)
      if (isTrueTo(client, stated)) return client
    }
    return undefined
  }
}

/** A client that has accepted all of a view. */
function clientAt(view: View, protocol: Protocol): Remembered {
  const mayHold = new Map<TypeUrl, readonly ResourceSet[]>()
  const accepted = new Map<TypeUrl, string>()
  for (const [typeUrl, set] of view.sets) {
    mayHold.set(typeUrl, [set])
    accepted.set(typeUrl, set.version)
  }
  return { protocol, view, mayHold, accepted, clusters: view.sets.get(clusterType), drains: noDrains }
}
