import { keyOf, type Named } from '../../resource/named.ts'
import { awaitedByWarming, isInParts, isReadyAtOnce } from '../../resource/references/cluster-warming.ts'
import type { Resource } from '../../resource/resource.ts'
import { resourceTypes } from '../../resource/type-url.ts'
import { diffSets, internSet, type ResourceSet } from '../../snapshot/resource-set.ts'
import type { NameSet } from '../protocol/names.ts'
import type { Sent, Subscription } from '../protocol/subscription.ts'
import { followersOf } from './cluster-news.ts'

const endpointType = resourceTypes.endpoint.typeUrl

/** Clusters that were sent, and have no verdict yet. */
interface Flight {
  readonly sent: Sent
  /** Those in it that were new or changed... */
  readonly clusters: readonly Resource[]
  /** ...and of these the new ones. */
  readonly added: readonly Resource[]
  /** The assignments that the client had asked for; undefined where it had not asked on this stream, but may be about to. */
  readonly asked: NameSet | undefined
  /** Keys of what these wait for, as far as it was sent after them and accepted. */
  readonly arrived: Set<string>
}

/** Assignments or secrets that have no verdict yet. */
interface Load {
  readonly sent: Sent
  readonly resources: readonly Resource[]
  /** The last of those that were sent before. */
  readonly flight: Flight
}

const noFlights: readonly Flight[] = []
const noLoads: readonly Load[] = []

/**
 * Which clusters a client has though it does not say so: Envoy says nothing of any cluster while one of them warms, and one
 * may warm for ever (rule 71). It asks for an assignment that nothing asked for before only when it has made the cluster
 * that names it; and once it has accepted that, and the secrets, sent after the cluster, the cluster is warm. What waits
 * for something else, or for nothing, is not known before the verdict.
 */
export class Arrivals {
  #flights: readonly Flight[] = noFlights
  #loads: readonly Load[] = noLoads

  /**
   * Clusters went out: the last response of `after`. `news` are those that the client may lack in this form, `accepted` what
   * it had.
   */
  noteClusters(
    after: Subscription,
    news: readonly Resource[],
    accepted: ResourceSet,
    asked: NameSet | undefined,
  ): void {
    const sent = after.outstanding.at(-1)
    if (sent === undefined) return
    const added = addedOf(news, accepted)
    this.#flights = [...flying(this.#flights, after), { sent, clusters: news, added, asked, arrived: new Set() }]
  }

  /** Something else went out, after all clusters that did. */
  noteSent({ outstanding }: Subscription, resources: readonly Resource[]): void {
    const flight = this.#flights.at(-1)
    const sent = outstanding.at(-1)
    if (flight === undefined || sent === undefined) return
    // No more than may be under way at once.
    this.#loads = [...this.#loads, { sent, resources, flight }].slice(-maxLoads)
  }

  /** There is a verdict on clusters. */
  noteVerdict(after: Subscription): void {
    this.#flights = flying(this.#flights, after)
    if (this.#flights.length === 0) this.#loads = noLoads
  }

  /** Something else was accepted, and with it what was sent before it. */
  noteAccepted(before: Subscription, after: Subscription): void {
    if (this.#loads.length === 0) return
    const left: Load[] = []
    for (const load of this.#loads) {
      if (!before.outstanding.includes(load.sent) || after.outstanding.includes(load.sent)) left.push(load)
      else this.#land(load)
    }
    this.#loads = left
  }

  #land({ resources, flight: last }: Load): void {
    for (const flight of this.#flights) {
      const awaited = followersOf(flight.added)
      for (const resource of resources) {
        const { typeUrl, name } = resource
        if (awaited.get(typeUrl)?.has(name) !== true) continue
        if (typeUrl !== endpointType || !isInParts(resource)) flight.arrived.add(keyOf(resource))
      }
      if (flight === last) return
    }
  }

  /**
   * The sets of clusters of which a client may have any, each with those of the last one that it is known to have.
   * `earlier` are what it had before `awaited`, the responses without a verdict; `assignments` is what it asks for now.
   * `isMute`: no verdict came in time, and none can be hoped for. Then one that is ready at once counts as taken, as it
   * would after its own time, for its users come after it on the stream.
   */
  seenIn(
    earlier: readonly ResourceSet[],
    awaited: readonly Sent[],
    assignments: NameSet | undefined,
    isMute: boolean,
  ): readonly ResourceSet[] {
    const sets = [...earlier, ...awaited.map(({ set }) => set)]
    const newest = awaited.at(-1)?.set
    if (newest === undefined || !(isMute || this.#hasAny)) return sets
    const lacking = new Set(sets.flatMap((set) => diffSets(set, newest).changed.filter(({ name }) => !set.get(name))))
    for (const cluster of lacking) {
      const { name } = cluster
      // It was taken away before this response at the latest.
      const from = sets.findLastIndex((set) => set.get(name) === undefined) + 1
      const first = awaited[from - earlier.length]
      if (first === undefined) continue
      const isThere = isMute && isReadyAtOnce(first.set.get(name) as Resource)
      if (!isThere && !this.#isWarm(name, first, assignments)) continue
      for (let at = 0; at < from; at++) {
        const set = sets[at] as ResourceSet
        if (set.get(name) === undefined) sets[at] = set.with(new Map([[name, cluster]]))
      }
    }
    return lacking.size === 0 ? sets : sets.map(internSet)
  }

  get #hasAny(): boolean {
    return this.#flights.some(({ arrived }) => arrived.size > 0)
  }

  /** The cluster, as it was in `first` or as it was sent later, takes requests. */
  #isWarm(name: string, first: Sent, assignments: NameSet | undefined): boolean {
    const flight = this.#flights.find(({ sent }) => sent.lastPart === first.lastPart)
    const cluster = first.set.get(name)
    if (flight?.asked === undefined || assignments === undefined || cluster === undefined) return false
    const { asked, arrived } = flight
    const isArrived = (awaited: Named): boolean =>
      arrived.has(keyOf(awaited)) &&
      (awaited.typeUrl !== endpointType ||
        (!asked.has(awaited.name) && assignments.has(awaited.name) && this.#isOfOne(awaited, name)))
    return awaitedByWarming(cluster)?.every(isArrived) ?? false
  }

  /** No other cluster can be what made the client ask for it. */
  #isOfOne(assignment: Named, cluster: string): boolean {
    const key = keyOf(assignment)
    return this.#flights.every(({ clusters }) => {
      const users = usersOf(clusters).get(key)
      return users === undefined || (users.size === 1 && users.has(cluster))
    })
  }
}

/** As many as a subscription keeps of each type. */
const maxLoads = 128

function flying(flights: readonly Flight[], { outstanding }: Subscription): readonly Flight[] {
  if (flights.length === 0 || outstanding.length === 0) return noFlights
  return flights.filter(({ sent }) => outstanding.includes(sent))
}

const added = new WeakMap<
  readonly Resource[],
  { readonly accepted: ResourceSet; readonly added: readonly Resource[] }
>()

/** Those of `news` that `accepted` lacks: in a fan-out one client after the other asks the same. */
function addedOf(news: readonly Resource[], accepted: ResourceSet): readonly Resource[] {
  let known = added.get(news)
  if (known?.accepted !== accepted) {
    known = { accepted, added: news.filter(({ name }) => accepted.get(name) === undefined) }
    added.set(news, known)
  }
  return known.added
}

const users = new WeakMap<readonly Resource[], ReadonlyMap<string, ReadonlySet<string>>>()

/** Of some clusters, the names of those that name an assignment, by its key. */
function usersOf(clusters: readonly Resource[]): ReadonlyMap<string, ReadonlySet<string>> {
  let known = users.get(clusters)
  if (known === undefined) {
    const found = new Map<string, Set<string>>()
    for (const { name, references } of clusters) {
      for (const { typeUrl, name: assignment } of references) {
        if (typeUrl !== endpointType) continue
        const key = keyOf({ typeUrl, name: assignment })
        found.set(key, (found.get(key) ?? new Set()).add(name))
      }
    }
    known = found
    users.set(clusters, known)
  }
  return known
}
