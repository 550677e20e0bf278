import type { StatScope } from '../stats/stat-store.ts'
import type { CollectionWatcher, DiscoveredResource, Watching } from './discovery.ts'
import { Lifetimes } from './lifetimes.ts'
import type { Talk } from './talk.ts'
import type { Arrival, Delivery, Topic, TopicOwner } from './topic.ts'
import { UpdateStats } from './update-stats.ts'
import { Wait } from './wait.ts'

export interface CollectionOptions {
  /** Envoy's word: `cluster`, `listener`. */
  readonly word: string
  readonly stats: StatScope
  readonly initialFetchTimeoutMs: number | undefined
  /** Between two of what is refused. */
  readonly separator: string
  /** Behind each of what is refused. */
  readonly end: string
}

/** All clusters, or all listeners. */
export class CollectionTopic implements Topic {
  readonly talk: Talk
  readonly #owner: TopicOwner
  readonly #options: CollectionOptions
  readonly #stats: UpdateStats
  readonly #lifetimes: Lifetimes
  /** What was taken. */
  readonly #held = new Map<string, DiscoveredResource>()
  #watcher: CollectionWatcher | undefined
  #wait: Wait | undefined

  constructor(owner: TopicOwner, talk: Talk, options: CollectionOptions) {
    this.talk = talk
    this.#owner = owner
    this.#options = options
    this.#stats = new UpdateStats(options.stats)
    this.#lifetimes = new Lifetimes(owner.clock, (name) => this.#expire(name))
  }

  get isWatched(): boolean {
    return this.#watcher !== undefined
  }

  get held(): readonly DiscoveredResource[] {
    return [...this.#held.values()]
  }

  watch(watcher: CollectionWatcher): Watching {
    if (this.#watcher !== undefined) throw new Error(`all of ${this.#options.word} are watched already`)
    this.#watcher = watcher
    this.#wait = new Wait(this.#owner.clock, this.#options.initialFetchTimeoutMs, () => {
      this.#stats.timedOut()
      watcher.onMissing()
    })
    this.#stats.begun()
    this.talk.wantAll()
    this.#owner.onDue(this)
    return { cancel: () => this.close() }
  }

  deliver({ arrivals, removed, version, isWhole }: Delivery): string | undefined {
    const refusals = new Map<string, string>()
    const changed = this.#changes(arrivals, refusals)
    const names = new Set(arrivals.map(({ name }) => name))
    const gone = isWhole
      ? [...this.#held.keys()].filter((name) => !names.has(name))
      : removed.filter((name) => this.#held.has(name))
    for (const { name, ttlMs } of arrivals) this.#lifetimes.set(name, ttlMs)
    for (const name of gone) this.#lifetimes.set(name, undefined)
    this.#wait?.end()
    for (const [name, why] of this.#watcher?.onUpdate(changed, gone) ?? []) refusals.set(name, why)
    for (const resource of changed) if (!refusals.has(resource.name)) this.#held.set(resource.name, resource)
    for (const name of gone) this.#held.delete(name)
    if (refusals.size === 0) {
      this.#stats.taken(version)
      return undefined
    }
    this.#stats.refused()
    return this.#told(refusals)
  }

  onRefused(): void {
    this.#stats.refused()
    if (this.#wait === undefined || this.#wait.isOver) return
    this.#wait.end()
    this.#watcher?.onMissing()
  }

  onFailed(): void {
    this.#stats.failed()
  }

  close(): void {
    this.#watcher = undefined
    this.#wait?.end()
    this.#lifetimes.close()
  }

  /** What is not as it was taken. What was refused before is tried again with every answer, as Envoy does. */
  #changes(arrivals: readonly Arrival[], refusals: Map<string, string>): readonly DiscoveredResource[] {
    const changed = new Map<string, DiscoveredResource>()
    const seen = new Set<string>()
    for (const { name, version, content, refusal } of arrivals) {
      if (seen.has(name)) refusals.set(name, `duplicate ${this.#options.word} ${name} found`)
      else if (refusal !== undefined) refusals.set(name, refusal)
      else if (content !== undefined && this.#held.get(name)?.content !== content) {
        changed.set(name, { name, version, content })
      }
      seen.add(name)
    }
    return [...changed.values()]
  }

  #told(refusals: ReadonlyMap<string, string>): string {
    const { word, separator, end } = this.#options
    const all = [...refusals].map(([name, why]) => `${name}: ${why}${end}`)
    return `Error adding/updating ${word}(s) ${all.join(separator)}`
  }

  #expire(name: string): void {
    this.talk.forget(name)
    if (this.#held.delete(name)) this.#watcher?.onUpdate([], [name])
  }
}
