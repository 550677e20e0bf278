import type { DiscoveredResource, ResourceWatcher, Watching, WatchOptions } from './discovery.ts'
import { Lifetimes } from './lifetimes.ts'
import { refusalOf } from './refusal.ts'
import type { Talk } from './talk.ts'
import type { Arrival, Delivery, Topic, TopicOwner } from './topic.ts'
import { UpdateStats } from './update-stats.ts'
import { Wait } from './wait.ts'

interface Watch {
  readonly watcher: ResourceWatcher
  /** Undefined where nobody counts. */
  readonly stats: UpdateStats | undefined
  readonly wait: Wait
  /** What it took last. */
  taken: DiscoveredResource['content'] | undefined
}

interface Subscription {
  readonly watches: Set<Watch>
  /** What was taken last. */
  held: DiscoveredResource | undefined
  /** The server has said that there is none, since: what is in use stays, and newcomers get nothing. */
  isGone: boolean
}

export interface NamedTopicOptions {
  /** Each watch is to be answered by the server, as Envoy's clusters want it of their assignments. */
  readonly asksAgain: boolean
}

/** Resources that are asked for by name. What is not in an answer is not gone: only what wanted it can end that. */
export class NamedTopic implements Topic {
  readonly talk: Talk
  readonly #owner: TopicOwner
  readonly #asksAgain: boolean
  readonly #lifetimes: Lifetimes
  readonly #subscriptions = new Map<string, Subscription>()

  constructor(owner: TopicOwner, talk: Talk, { asksAgain }: NamedTopicOptions) {
    this.talk = talk
    this.#owner = owner
    this.#asksAgain = asksAgain
    this.#lifetimes = new Lifetimes(owner.clock, (name) => this.#expire(name))
  }

  get isWatched(): boolean {
    return this.#subscriptions.size > 0
  }

  get held(): readonly DiscoveredResource[] {
    return [...this.#subscriptions.values()].flatMap(({ held }) => (held === undefined ? [] : [held]))
  }

  watch(name: string, watcher: ResourceWatcher, { initialFetchTimeoutMs, stats }: WatchOptions = {}): Watching {
    const known = this.#subscriptions.get(name)
    const subscription: Subscription = known ?? { watches: new Set(), held: undefined, isGone: false }
    this.#subscriptions.set(name, subscription)
    const watch: Watch = {
      watcher,
      stats: stats && new UpdateStats(stats),
      wait: new Wait(this.#owner.clock, initialFetchTimeoutMs, () => this.#onTimeout(subscription, watch)),
      taken: undefined,
    }
    subscription.watches.add(watch)
    watch.stats?.begun()
    const asks = known === undefined || this.#asksAgain
    if (asks) {
      this.talk.want(name)
      this.#owner.onDue(this)
    } else {
      queueMicrotask(() => this.#giveHeld(subscription, watch))
    }
    return { cancel: () => this.#cancel(name, subscription, watch) }
  }

  deliver({ arrivals, removed, version }: Delivery): string | undefined {
    const refusals: string[] = []
    for (const arrival of arrivals) {
      const subscription = this.#subscriptions.get(arrival.name)
      if (subscription === undefined) continue
      this.#lifetimes.set(arrival.name, arrival.ttlMs)
      const refusal = this.#bring(subscription, arrival, version)
      if (refusal !== undefined) refusals.push(refusal)
    }
    for (const name of removed) this.#remove(name)
    return refusals.length === 0 ? undefined : [...new Set(refusals)].join('; ')
  }

  onRefused(): void {
    for (const watch of this.#watches()) refuse(watch)
  }

  onFailed(): void {
    for (const watch of this.#watches()) watch.stats?.failed()
  }

  close(): void {
    this.#lifetimes.close()
    for (const watch of this.#watches()) watch.wait.end()
    this.#subscriptions.clear()
  }

  #bring(subscription: Subscription, arrival: Arrival, responseVersion: string): string | undefined {
    const { name, version, content, refusal } = arrival
    if (content === undefined) return undefined
    const resource: DiscoveredResource = { name, version, content }
    let refused: string | undefined
    for (const watch of subscription.watches) {
      const why = refusal ?? this.#give(subscription, watch, resource)
      if (why === undefined) {
        watch.stats?.taken(responseVersion)
      } else {
        refused = why
        refuse(watch)
      }
    }
    if (refused === undefined) {
      subscription.held = resource
      subscription.isGone = false
    }
    return refused
  }

  /** @returns why it is refused */
  #give(subscription: Subscription, watch: Watch, resource: DiscoveredResource): string | undefined {
    // Another watcher's doing may have ended it.
    if (!subscription.watches.has(watch)) return undefined
    const isNews = !watch.wait.isOver || watch.taken !== resource.content
    watch.wait.end()
    if (!isNews) return undefined
    const refusal = refusalOf(this.#owner.log, () => watch.watcher.onResource(resource))
    if (refusal === undefined) watch.taken = resource.content
    return refusal
  }

  /** To one that came late. */
  #giveHeld(subscription: Subscription, watch: Watch): void {
    const { held, isGone } = subscription
    if (held === undefined || isGone || watch.wait.isOver || !subscription.watches.has(watch)) return
    if (this.#give(subscription, watch, held) !== undefined) watch.watcher.onMissing()
  }

  #onTimeout(subscription: Subscription, watch: Watch): void {
    watch.stats?.timedOut()
    const { held, isGone } = subscription
    if (held === undefined || isGone || this.#give(subscription, watch, held) !== undefined) watch.watcher.onMissing()
  }

  #remove(name: string): void {
    const subscription = this.#subscriptions.get(name)
    if (subscription === undefined) return
    this.#lifetimes.set(name, undefined)
    subscription.isGone = true
    for (const watch of subscription.watches) {
      watch.wait.end()
      watch.taken = undefined
      watch.watcher.onMissing()
    }
  }

  #expire(name: string): void {
    this.talk.forget(name)
    this.#remove(name)
  }

  #cancel(name: string, subscription: Subscription, watch: Watch): void {
    if (!subscription.watches.delete(watch)) return
    watch.wait.end()
    const isLast = subscription.watches.size === 0
    // `close` may have forgotten it, and somebody else asked for it since.
    if (isLast && this.#subscriptions.get(name) === subscription) {
      this.#subscriptions.delete(name)
      this.#lifetimes.set(name, undefined)
    }
    if (!isLast && !this.#asksAgain) return
    this.talk.unwant(name)
    this.#owner.onDue(this)
  }

  #watches(): readonly Watch[] {
    return [...this.#subscriptions.values()].flatMap(({ watches }) => [...watches])
  }
}

function refuse(watch: Watch): void {
  watch.stats?.refused()
  const isFirst = watch.taken === undefined
  watch.wait.end()
  if (isFirst) watch.watcher.onMissing()
}
