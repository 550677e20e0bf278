import { resourceTypes, type TypeUrl } from '../../resource/type-url.ts'
import type { ResourceSet } from '../../snapshot/resource-set.ts'
import { type NameSet, noNames } from '../protocol/names.ts'
import type { Protocol } from '../stream-event.ts'
import type { Drains } from './drain.ts'
import type { View } from './view.ts'

/** What a client had when its stream ended: it goes on with it, and finds its way from there when it comes back. */
export interface Remembered {
  readonly protocol: Protocol
  readonly view: View
  /** By type, the sets of which it may have any; the first is what it accepted last. */
  readonly mayHold: ReadonlyMap<TypeUrl, readonly ResourceSet[]>
  /** SotW: by type, the version that it accepted last as a whole, and states; '' where it took parts alone. */
  readonly accepted: ReadonlyMap<TypeUrl, string>
  /** The clusters that it accepted. */
  readonly clusters: ResourceSet | undefined
  readonly drains: Drains
}

/** What the first request of a stream says that the client has. */
export interface Stated {
  readonly typeUrl: TypeUrl
  /** SotW; '' says that it has nothing, or took parts of what it rejected alone. */
  readonly versionInfo?: string
  /** Delta: versions by name, '' where that is not known; empty says that it has nothing. */
  readonly initialVersions?: ReadonlyMap<string, string>
  /** It is an Envoy, and does not begin with its clusters: where it is, if it has any, the assignments tell that it asks for. */
  readonly isLate?: boolean
  readonly assignments?: NameSet
}

/** A stream whose client may come back on another one before this one is known to be dead. */
export interface LiveClient {
  /** Undefined while its client has nothing. */
  leave(): Remembered | undefined
}

const clusterType = resourceTypes.cluster.typeUrl
const endpointType = resourceTypes.endpoint.typeUrl

/** A client that was away for longer starts anew. Envoy tries again every 30 s or less. */
const maxAgeMs = 10 * 60_000

const maxClients = 20_000

/**
 * Remembers clients beyond their streams, by their keys (`client-key.ts`). An entry holds references to sets that others
 * mostly share.
 */
export class ClientMemory {
  readonly #clients = new Map<string, { readonly left: Remembered; readonly atMs: number }>()
  /** The newest stream of each. */
  readonly #live = new Map<string, LiveClient>()

  /** Entries of any kind. */
  get size(): number {
    return this.#clients.size + this.#live.size
  }

  enter(clientKey: string, client: LiveClient): void {
    this.#live.set(clientKey, client)
  }

  /** The stream of `client` has ended. */
  forget(clientKey: string, client: LiveClient, nowMs: number): void {
    // A newer stream of the client knows better.
    if (this.#live.get(clientKey) !== client) return
    this.#live.delete(clientKey)
    const left = client.leave()
    if (left === undefined) return
    this.#clients.delete(clientKey)
    this.#clients.set(clientKey, { left, atMs: nowMs })
    for (const [id, { atMs }] of this.#clients) {
      if (this.#clients.size <= maxClients && nowMs - atMs < maxAgeMs) break
      this.#clients.delete(id)
    }
  }

  /** What a client had, if what it says fits to it: it may have restarted, or been with another server since. */
  recall(clientKey: string, protocol: Protocol, stated: Stated, nowMs: number): Remembered | undefined {
    const left = this.#live.get(clientKey)?.leave() ?? this.#find(clientKey, nowMs)
    if (left?.protocol !== protocol || !isTrueTo(left, stated)) return undefined
    this.#clients.delete(clientKey)
    return left
  }

  #find(clientKey: string, nowMs: number): Remembered | undefined {
    const found = this.#clients.get(clientKey)
    return found !== undefined && nowMs - found.atMs < maxAgeMs ? found.left : undefined
  }
}

/** The client says that it has something: a new one says nothing. */
export function isClaiming({ versionInfo = '', initialVersions }: Omit<Stated, 'typeUrl'>): boolean {
  return initialVersions === undefined ? versionInfo !== '' : initialVersions.size > 0
}

/** What a client says fits to what it is thought to have. */
export function isTrueTo(
  { mayHold, accepted }: Pick<Remembered, 'mayHold' | 'accepted'>,
  { typeUrl, versionInfo, initialVersions, isLate = false, assignments }: Stated,
): boolean {
  const sets = mayHold.get(typeUrl) ?? []
  const clusters = isLate ? mayHold.get(clusterType) : undefined
  if (clusters !== undefined) {
    const isWaitedFor = (name: string): boolean => clusters.some((set) => assignmentsOf(set).has(name))
    if (assignments === undefined || assignments === noNames || !assignments.names.every(isWaitedFor)) return false
  }
  // Its last ACK may have been lost.
  if (initialVersions === undefined) {
    return accepted.get(typeUrl) === versionInfo || sets.some(({ version }) => version === versionInfo)
  }
  for (const [name, version] of initialVersions) {
    if (version !== '' && !sets.some((set) => set.get(name)?.version === version)) return false
  }
  return initialVersions.size > 0
}

const assignmentNames = new WeakMap<ResourceSet, ReadonlySet<string>>()

/** The names of the assignments that clusters name. */
function assignmentsOf(clusters: ResourceSet): ReadonlySet<string> {
  const known = assignmentNames.get(clusters)
  if (known !== undefined) return known
  const names = new Set<string>()
  for (const { references } of clusters.values()) {
    for (const { typeUrl, name } of references) if (typeUrl === endpointType) names.add(name)
  }
  assignmentNames.set(clusters, names)
  return names
}
