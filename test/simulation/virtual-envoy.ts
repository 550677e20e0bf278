import { Clusters, type LiveCluster } from './clusters.ts'
import { DeltaMux } from './delta-mux.ts'
import { Listeners, type LiveListener } from './listeners.ts'
import { type Meaning, meaningOf, typeUrls } from './meaning.ts'
import type { Interest, Mux, Send } from './mux.ts'
import { Random } from './random.ts'
import type { ClientSpec, Rejection, Word } from './scenario.ts'
import { SotwMux } from './sotw-mux.ts'
import type { VirtualTime } from './virtual-time.ts'
import { encodeNode, type Response } from './wire.ts'

/** Who watches over a virtual Envoy. */
export interface Observer {
  /** Before a response is applied. */
  receives(word: Word, resources: readonly Meaning[], response: Response): void
  /** After anything changed that the client serves by. */
  changed(): void
  /** It refused these, and says so. */
  refused(word: Word, resources: readonly Meaning[], message: string): void
  /** Something did not come within `initial_fetch_timeout`. */
  waitedInVain(what: string): void
  /** It had to refuse what it has no mind to refuse. */
  misled(message: string): void
}

/** Envoy's `initial_fetch_timeout`. */
const fetchTimeoutMs = 15_000

/** How many hosts a client asks for by VHDS. */
const hostsOnDemand = ['h0', 'h1.example', 'nowhere']

/**
 * An Envoy without sockets, threads and traffic: what it asks for, what it does with the answers and when it says so
 * follows Envoy 1.40. Clusters warm until they have endpoints and secrets, and the verdict on CDS waits while any does;
 * listeners warm until routes, secrets and extensions are there; routes take effect at once; what a listener replaces
 * goes on serving for the drain time, and holds what it names.
 */
export class VirtualEnvoy {
  readonly spec: ClientSpec
  readonly clusters: Clusters = new Clusters()
  readonly listeners: Listeners
  readonly routes: Map<string, Meaning> = new Map()
  readonly scopes: Map<string, Meaning> = new Map()
  readonly secrets: Map<string, Meaning> = new Map()
  readonly extensions: Map<string, Meaning> = new Map()
  /** By the name of the resource: `<route configuration>/<host>`. */
  readonly hosts: Map<string, Meaning> = new Map()
  readonly #time: VirtualTime
  readonly #observer: Observer
  readonly #mux: Mux
  readonly #omits: ReadonlySet<Word>
  readonly #interests = new Map<Word, string>()
  /** Route configurations for which VHDS has said something. */
  readonly #knowsHosts = new Set<string>()
  readonly #onDemand = new Set<string>()
  readonly #random: Random
  #hasClusters = false
  #hasScopes = false
  /** Its first clusters are warm, or were given up: from then on it asks for listeners. */
  #isInitialized = false
  #isCdsPaused = false
  #hasNewWatch = false
  #fetchTimer: { cancel(): void } | undefined
  #isDrainTimed = false
  #resumesClusters = false

  constructor(spec: ClientSpec, time: VirtualTime, observer: Observer) {
    this.spec = spec
    this.listeners = new Listeners(spec.drainMs)
    this.#time = time
    this.#observer = observer
    // Envoy takes VHDS over delta alone.
    this.#omits = new Set(spec.protocol === 'sotw' ? [...spec.omits, 'virtualHost'] : spec.omits)
    this.#random = new Random(spec.seed)
    const node = encodeNode(spec.name, `g${spec.group}`)
    const take = (word: Word, response: Response): string | undefined => this.#take(word, response)
    this.#mux = spec.protocol === 'sotw' ? new SotwMux(node, take) : new DeltaMux(node, take)
  }

  connect(send: Send): void {
    const nowMs = this.#time.now()
    for (const cluster of this.clusters.warming()) cluster.sinceMs = nowMs
    for (const listener of this.listeners.warming()) listener.sinceMs = nowMs
    this.#mux.open(send)
    if (this.#omits.has('cluster')) this.#hasClusters = true
    else this.#watch('cluster', undefined)
    this.#refresh()
  }

  disconnect(): void {
    this.#mux.close()
    this.#fetchTimer?.cancel()
    this.#fetchTimer = undefined
  }

  receive(bytes: Buffer): void {
    this.#mux.receive(bytes)
    this.#observer.changed()
  }

  get isWarming(): boolean {
    for (const _ of this.listeners.warming()) return true
    return this.clusters.isWarming
  }

  /** It will not take this in some form. */
  isPickyAbout(word: Word, name: string): boolean {
    return this.spec.rejects.some((rejection) => rejection.kind === word && rejection.name === name)
  }

  omits(word: Word): boolean {
    return this.#omits.has(word)
  }

  // ---- responses

  #take(word: Word, response: Response): string | undefined {
    const resources: Meaning[] = []
    for (const { value } of response.resources) if (value !== undefined) resources.push(meaningOf(word, value))
    this.#observer.receives(word, resources, response)
    // Refused or not, Envoy's start goes on.
    if (word === 'cluster') this.#hasClusters = true
    const refused = resources.find((meaning) => this.#rejection(meaning)?.how === 'constraint')
    const message = refused === undefined ? this.#apply(word, resources, response) : constraintMessage(refused)
    if (message !== undefined) {
      const culprits = resources.filter((meaning) => this.#rejection(meaning) !== undefined)
      // Of clusters and listeners all are named, else the first alone.
      const named =
        refused !== undefined
          ? [refused]
          : message.startsWith('Error adding')
            ? culprits
            : culprits.slice(0, message === anonymousMessage ? 0 : 1)
      if (named.length > 0) this.#observer.refused(word, named, message)
    }
    this.#refresh()
    return message
  }

  #rejection(meaning: Meaning): Rejection | undefined {
    return this.spec.rejects.find(
      ({ kind, name, revision }) => meaning.word === kind && meaning.name === name && meaning.revision === revision,
    )
  }

  /** Returns what it refuses of it. */
  #apply(word: Word, resources: readonly Meaning[], response: Response): string | undefined {
    switch (word) {
      case 'cluster':
        return this.#applyClusters(resources, response)
      case 'listener':
        return this.#applyListeners(resources, response)
      case 'scopedRoute':
        this.#hasScopes = true
        return this.#replace(this.scopes, resources, response, () => true)
      case 'virtualHost':
        return this.#applyHosts(resources, response)
      case 'endpoint':
        for (const endpoints of resources) this.clusters.assign(endpoints)
        for (const name of response.removed) this.clusters.endWait(name)
        return undefined
      case 'route':
        return this.#take1by1(this.routes, this.#routeNames(), resources)
      case 'secret':
        return this.#take1by1(this.secrets, this.#secretNames(), resources)
      case 'extension':
        return this.#take1by1(this.extensions, this.#extensionNames(), resources)
    }
  }

  #applyClusters(resources: readonly Meaning[], response: Response): string | undefined {
    const errors: string[] = []
    for (const meaning of resources) {
      if (this.#rejection(meaning) !== undefined) errors.push(`${meaning.name}: ${meaning.name} is refused`)
      else if (this.clusters.put(meaning, this.#time.now()) && meaning.assignment !== undefined)
        this.#hasNewWatch = true
    }
    for (const name of this.#gone(this.clusters.names, resources, response)) this.clusters.remove(name)
    return errors.length === 0 ? undefined : `Error adding/updating cluster(s) ${errors.join(', ')}`
  }

  /** Removals first, as Envoy does, so that an address is free for another. */
  #applyListeners(resources: readonly Meaning[], response: Response): string | undefined {
    const nowMs = this.#time.now()
    for (const name of this.#gone(this.listeners.names, resources, response)) this.listeners.remove(name, nowMs)
    const errors: string[] = []
    for (const meaning of resources) {
      const unknown = this.#omits.has('cluster') ? undefined : meaning.checked.find((name) => !this.clusters.has(name))
      if (this.#rejection(meaning) !== undefined) errors.push(`${meaning.name}: ${meaning.name} is refused`)
      else if (unknown !== undefined) {
        errors.push(`${meaning.name}: route: unknown cluster '${unknown}'`)
        this.#observer.misled(`listener ${meaning.name} names the unknown cluster ${unknown} in its own routes`)
      } else this.listeners.put(meaning, nowMs)
    }
    return errors.length === 0 ? undefined : `Error adding/updating listener(s) ${errors.join('\n')}\n`
  }

  #applyHosts(resources: readonly Meaning[], response: Response): string | undefined {
    for (const { name } of response.resources) this.#knowsHosts.add(configurationOf(name))
    for (const name of response.removed) {
      this.#knowsHosts.add(configurationOf(name))
      this.hosts.delete(name)
    }
    for (const meaning of resources) this.hosts.set(meaning.name, meaning)
    return undefined
  }

  /** Names that a response takes away: in SotW those that it leaves out. */
  #gone(known: Iterable<string>, resources: readonly Meaning[], { removed }: Response): readonly string[] {
    if (this.spec.protocol === 'delta') return removed
    const names = new Set(resources.map(({ name }) => name))
    return [...known].filter((name) => !names.has(name))
  }

  #replace(
    held: Map<string, Meaning>,
    resources: readonly Meaning[],
    response: Response,
    isWanted: (name: string) => boolean,
  ): undefined {
    for (const name of this.#gone(held.keys(), resources, response)) held.delete(name)
    for (const meaning of resources) if (isWanted(meaning.name)) held.set(meaning.name, meaning)
  }

  /** Types asked for by name: each has a watcher of its own, and the first that refuses ends it. A removal is ignored. */
  #take1by1(
    held: Map<string, Meaning>,
    wanted: ReadonlySet<string>,
    resources: readonly Meaning[],
  ): string | undefined {
    for (const meaning of resources) {
      if (!wanted.has(meaning.name)) continue
      if (this.#rejection(meaning) !== undefined) return semanticMessage(meaning)
      held.set(meaning.name, meaning)
    }
    return undefined
  }

  // ---- what follows

  /** Takes into service what became ready, asks for what is needed now, and forgets what is not. */
  #refresh(): void {
    for (;;) {
      let isMoved = this.clusters.warm((cluster) => this.#isClusterReady(cluster))
      if (!this.#isInitialized && this.#hasClusters && !this.clusters.isWarming) {
        this.#isInitialized = true
        if (!this.#omits.has('listener')) this.#watch('listener', undefined)
      }
      isMoved = this.listeners.warm((listener) => this.#isListenerReady(listener), this.#time.now()) || isMoved
      if (!isMoved) break
    }
    this.#pauseClusters()
    this.#ask()
    this.#armFetchTimer()
    this.#armDrainTimer()
  }

  #isClusterReady({ meaning, hasEndpoints, sinceMs }: LiveCluster): boolean {
    if (this.#time.now() - sinceMs >= fetchTimeoutMs) return true
    return (hasEndpoints || this.#omits.has('endpoint')) && meaning.secrets.every((name) => this.#hasSecret(name))
  }

  #isListenerReady({ meaning, sinceMs }: LiveListener): boolean {
    if (this.#time.now() - sinceMs >= fetchTimeoutMs) return true
    return this.#missingOf(meaning) === undefined
  }

  /** The first thing that a listener waits for. */
  #missingOf(listener: Meaning): string | undefined {
    for (const name of listener.secrets) if (!this.#hasSecret(name)) return `secret ${name}`
    for (const name of listener.extensions) {
      if (!this.#omits.has('extension') && !this.extensions.has(name)) return `extension ${name}`
    }
    for (const name of listener.routes) if (!this.#hasRoute(name)) return `route ${name}`
    if (!listener.hasScopes || this.#omits.has('scopedRoute')) return undefined
    if (!this.#hasScopes) return 'scoped routes'
    for (const scope of this.scopes.values()) {
      for (const name of scope.routes) if (!this.#hasRoute(name)) return `route ${name} of scope ${scope.name}`
    }
    return undefined
  }

  #hasSecret(name: string): boolean {
    return this.#omits.has('secret') || this.secrets.has(name)
  }

  #hasRoute(name: string): boolean {
    if (this.#omits.has('route')) return true
    const route = this.routes.get(name)
    if (route === undefined) return false
    return !route.isOnDemand || this.#omits.has('virtualHost') || this.#knowsHosts.has(name)
  }

  /** While a cluster warms, no request of CDS leaves: the server learns by the late ACK that all are warm. */
  #pauseClusters(): void {
    const isPaused = this.#isInitialized && this.clusters.isWarming
    if (isPaused === this.#isCdsPaused) return
    this.#isCdsPaused = isPaused
    if (isPaused) this.#mux.pause('cluster')
    else this.#resumesClusters = true
  }

  #ask(): void {
    const assignments = new Set<string>()
    for (const { meaning } of this.clusters.live())
      if (meaning.assignment !== undefined) assignments.add(meaning.assignment)
    this.#watch('endpoint', [...assignments], this.#hasNewWatch)
    this.#hasNewWatch = false
    this.#watchAndForget('secret', this.#secretNames(), this.secrets)
    this.#watchAndForget('extension', this.#extensionNames(), this.extensions)
    if (this.#usesScopes()) this.#watch('scopedRoute', undefined)
    this.#watchAndForget('route', this.#routeNames(), this.routes)
    this.#askForHosts()
    if (!this.#resumesClusters) return
    this.#resumesClusters = false
    this.#mux.resume('cluster')
  }

  #watchAndForget(word: Word, names: ReadonlySet<string>, held: Map<string, Meaning>): void {
    for (const name of held.keys()) if (!names.has(name)) held.delete(name)
    this.#watch(word, [...names])
  }

  #watch(word: Word, interest: Interest, isAgain = false): void {
    if (this.#omits.has(word)) return
    const key = interest === undefined ? '*' : interest.join(' ')
    if (!isAgain && this.#interests.get(word) === key) return
    this.#interests.set(word, key)
    this.#mux.watch(word, interest, isAgain)
  }

  /** VHDS begins with an empty request when a route configuration wants it; then requests arrive for some hosts. */
  #askForHosts(): void {
    if (this.spec.protocol !== 'delta' || this.#omits.has('virtualHost')) return
    let isAny = false
    for (const route of this.routes.values()) {
      if (!route.isOnDemand) continue
      isAny = true
      if (this.#knowsHosts.has(route.name) && this.#random.chance(0.3)) {
        this.#onDemand.add(`${route.name}/${this.#random.pick(hostsOnDemand)}`)
      }
    }
    const known = this.#interests.has('virtualHost')
    for (const name of this.#onDemand) if (!this.routes.has(configurationOf(name))) this.#onDemand.delete(name)
    for (const name of this.hosts.keys()) if (!this.routes.has(configurationOf(name))) this.hosts.delete(name)
    for (const name of this.#knowsHosts) if (!this.routes.has(name)) this.#knowsHosts.delete(name)
    if (isAny && !known) this.#watch('virtualHost', [])
    else if (known) this.#watch('virtualHost', [...this.#onDemand])
  }

  #secretNames(): ReadonlySet<string> {
    const names = new Set<string>()
    for (const { meaning } of this.clusters.live()) for (const name of meaning.secrets) names.add(name)
    for (const listener of this.listeners.live()) for (const name of listener.secrets) names.add(name)
    return names
  }

  #extensionNames(): ReadonlySet<string> {
    const names = new Set<string>()
    for (const listener of this.listeners.live()) for (const name of listener.extensions) names.add(name)
    return names
  }

  #routeNames(): ReadonlySet<string> {
    const names = new Set<string>()
    for (const listener of this.listeners.live()) for (const name of listener.routes) names.add(name)
    if (this.#usesScopes()) for (const scope of this.scopes.values()) for (const name of scope.routes) names.add(name)
    return names
  }

  #usesScopes(): boolean {
    for (const listener of this.listeners.live()) if (listener.hasScopes) return true
    return false
  }

  /** A drain that is over lets go of routes and secrets. */
  #armDrainTimer(): void {
    const [first] = this.listeners.draining
    if (first === undefined || this.#isDrainTimed) return
    this.#isDrainTimed = true
    this.#time.after(first.untilMs - this.#time.now(), () => {
      this.#isDrainTimed = false
      this.listeners.endDrains(this.#time.now())
      this.#refresh()
      this.#observer.changed()
    })
  }

  // ---- waiting in vain

  #armFetchTimer(): void {
    let firstMs = Number.POSITIVE_INFINITY
    for (const { sinceMs } of this.clusters.warming()) firstMs = Math.min(firstMs, sinceMs)
    for (const { sinceMs } of this.listeners.warming()) firstMs = Math.min(firstMs, sinceMs)
    if (firstMs === Number.POSITIVE_INFINITY) {
      this.#fetchTimer?.cancel()
      this.#fetchTimer = undefined
    } else if (this.#fetchTimer === undefined) {
      const delayMs = firstMs + fetchTimeoutMs - this.#time.now()
      this.#fetchTimer = this.#time.after(delayMs, () => this.#giveUp())
    }
  }

  #giveUp(): void {
    this.#fetchTimer = undefined
    const dueMs = this.#time.now() - fetchTimeoutMs
    for (const { meaning, hasEndpoints, sinceMs } of this.clusters.warming()) {
      if (sinceMs > dueMs) continue
      const secret = meaning.secrets.find((name) => !this.#hasSecret(name))
      const what = hasEndpoints ? `secret ${secret ?? '?'}` : `assignment ${meaning.assignment ?? '?'}`
      this.#observer.waitedInVain(`cluster ${meaning.name} for ${what}`)
    }
    for (const { meaning, sinceMs } of this.listeners.warming()) {
      if (sinceMs <= dueMs)
        this.#observer.waitedInVain(`listener ${meaning.name} for ${this.#missingOf(meaning) ?? '?'}`)
    }
    this.#refresh()
    this.#observer.changed()
  }
}

const configurationOf = (host: string): string => host.slice(0, host.indexOf('/'))

/** Envoy dumps the resource behind the reason. */
function constraintMessage({ word, name }: Meaning): string {
  const type = typeUrls[word].slice(typeUrls[word].lastIndexOf('.') + 1)
  const dump = word === 'endpoint' ? `cluster_name: "${name}"` : `name: "${name}"`
  return `Proto constraint validation failed (${type}ValidationError.Field: value is required): ${dump}\n`
}

/** What Envoy says of a regular expression, wherever that is: the server must search for it. */
const anonymousMessage = 'missing ): ('

function semanticMessage({ word, name, revision }: Meaning): string {
  if (word !== 'route') return `${name} is refused`
  return revision % 2 === 0
    ? anonymousMessage
    : `Only unique values for domains are permitted. Duplicate entry of domain * in route ${name}`
}
