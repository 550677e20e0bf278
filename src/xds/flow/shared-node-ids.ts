import type { Clock, Timer } from '../../clock.ts'
import type { Log } from '../../log.ts'
import type { TypeUrl } from '../../resource/type-url.ts'

/** A stream, as far as it tells one client from another. */
export interface Presence {
  readonly nodeId: string
  /** The client's address and port. */
  readonly peer: string
  /** The type of a per-type service; undefined on ADS. One Envoy may reach several services by several connections. */
  readonly service: TypeUrl | undefined
  /** Monotonic. */
  readonly sinceMs: number
  /** Tells those who look at the client. */
  warn(message: string): void
}

/** A node.id by which several clients go, and their streams. */
export interface SharedNodeId {
  readonly nodeId: string
  readonly streams: readonly Presence[]
}

/**
 * The node ids by which clients at different addresses speak to the same service, all for longer than a stream may take to
 * be known as dead (rules 15, 93).
 */
export function sharedNodeIds(streams: Iterable<Presence>, sinceBeforeMs: number): readonly SharedNodeId[] {
  const known = new Map<string, Presence>()
  const shared = new Map<string, Presence[]>()
  for (const stream of streams) {
    if (stream.sinceMs > sinceBeforeMs) continue
    const key = `${stream.service ?? ''}\0${stream.nodeId}`
    const other = known.get(key)
    if (other === undefined) known.set(key, stream)
    else if (other.peer !== stream.peer) shared.set(key, [...(shared.get(key) ?? [other]), stream])
  }
  return [...shared.values()].map((found) => ({ nodeId: (found[0] as Presence).nodeId, streams: found }))
}

export interface SharedNodeIdWatchOptions {
  readonly streams: () => Iterable<Presence>
  readonly clock: Clock
  readonly log: Log
  /** For how long a stream may go on that is dead already: an Envoy that reconnects has two meanwhile. */
  readonly overlapMs: number
  /** How many node ids are shared, at every look. */
  readonly onCount?: ((count: number) => void) | undefined
}

/** Peers in one line of the log. */
const maxPeers = 5

/** Looks now and then whether two clients share a node.id, and says so once for each. Both are served, apart. */
export class SharedNodeIdWatch {
  readonly #options: SharedNodeIdWatchOptions
  #told: ReadonlySet<string> = new Set()
  #timer: Timer | undefined

  constructor(options: SharedNodeIdWatchOptions) {
    this.#options = options
    this.#lookLater()
  }

  close(): void {
    this.#timer?.cancel()
  }

  #lookLater(): void {
    const { clock, overlapMs } = this.#options
    this.#timer = clock.after(Math.max(1, overlapMs / 4), () => {
      this.#look()
      this.#lookLater()
    })
  }

  #look(): void {
    const { streams, clock, log, overlapMs, onCount } = this.#options
    const shared = sharedNodeIds(streams(), clock.now() - overlapMs)
    const ids = new Set(shared.map(({ nodeId }) => nodeId))
    for (const { nodeId, streams: found } of shared) {
      if (this.#told.has(nodeId)) continue
      const peers = found.map(({ peer }) => peer)
      log.warn({ node: nodeId, peers: peers.slice(0, maxPeers) }, 'several clients have one node.id')
      for (const stream of found) {
        const others = peers.filter((peer) => peer !== stream.peer).slice(0, maxPeers)
        stream.warn(
          `another client has the same node.id, at ${others.join(', ')}: give each Envoy its own, unless this is a hot restart`,
        )
      }
    }
    this.#told = ids
    onCount?.(ids.size)
  }
}
