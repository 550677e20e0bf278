import type { Clock } from '../../clock.ts'
import { keyOf } from '../../resource/named.ts'
import type { Node } from '../../resource/node.ts'
import type { Resource } from '../../resource/resource.ts'
import type { View } from '../transition/view.ts'
import { AddressRetries } from './address-retries.ts'
import { StatedVersions } from './stated-versions.ts'

/** A version of a resource that a node rejected, and what is to be told of it. */
export interface StandingRejection {
  readonly resource: Resource
  /** What the node has of that name instead; undefined: nothing. */
  readonly accepted: Resource | undefined
  /** The node's reason, fit for people (rule 102). */
  readonly message: string
  /** RFC 3339. */
  readonly since: string
}

/** Of one name. More are the mark of somebody who tries. */
const maxVersions = 8

/** Names of one node, beside those of which a rejected version stands in its snapshot: that would be sent again at once. */
const maxNames = 1000

/** What one node rejected, whichever of its streams it was on (rule 103). */
export class RejectionRecord {
  /** Oldest first; several versions of one name. */
  readonly #rejections = new Map<string, readonly StandingRejection[]>()
  #all: readonly StandingRejection[] | undefined
  /** Names above which those are looked for that can go. */
  #looksAbove = maxNames
  #steady: { readonly client: string; readonly view: View } | undefined
  #stated: { readonly client: string; readonly versions: StatedVersions } | undefined
  readonly addressRetries: AddressRetries = new AddressRetries()
  /** Open streams that go by it. */
  streams = 0
  goneSinceMs = 0

  get rejections(): readonly StandingRejection[] {
    this.#all ??= [...this.#rejections.values()].flat()
    return this.#all
  }

  /** `stands`: a version is in the snapshot now. Of the others those that were rejected first may be forgotten. */
  add(rejection: StandingRejection, stands: (resource: Resource) => boolean): void {
    const key = keyOf(rejection.resource)
    const { version } = rejection.resource
    const others = (this.#rejections.get(key) ?? []).filter(({ resource }) => resource.version !== version)
    const kept = others.filter(({ resource }, index) => index > others.length - maxVersions || stands(resource))
    this.#rejections.delete(key)
    this.#rejections.set(key, [...kept, rejection])
    if (this.#rejections.size > this.#looksAbove) this.#forgetSome(stands)
    this.#all = undefined
  }

  /** It is to be tried again. */
  release({ typeUrl, name, version }: Resource): void {
    const key = keyOf({ typeUrl, name })
    const others = (this.#rejections.get(key) ?? []).filter(({ resource }) => resource.version !== version)
    if (others.length === 0) this.#rejections.delete(key)
    else this.#rejections.set(key, others)
    this.#all = undefined
  }

  #forgetSome(stands: (resource: Resource) => boolean): void {
    for (const [key, versions] of this.#rejections) {
      if (this.#rejections.size <= maxNames) break
      if (!versions.some(({ resource }) => stands(resource))) this.#rejections.delete(key)
    }
    // Where most of them stand, not all are looked at with each that is added.
    const { size } = this.#rejections
    this.#looksAbove = size > maxNames ? size + maxNames : maxNames
  }

  /** A client has answered all, and has this. `client`: by its key, for several may go by one node id. */
  noteView(client: string, view: View): void {
    this.#steady = { client, view }
  }

  /** What that client had when it had last answered all, if it was the last to do so. */
  viewOf(client: string): View | undefined {
    return this.#steady?.client === client ? this.#steady.view : undefined
  }

  /** What is known of what that client says that it has, as long as no other one of the node rejects anything. */
  statedBy(client: string): StatedVersions {
    if (this.#stated?.client !== client) this.#stated = { client, versions: new StatedVersions() }
    return this.#stated.versions
  }

  has(resource: Resource): boolean {
    return this.#find(resource) !== undefined
  }

  /** What the node has in place of `accepted`, should it have rejected that, too. */
  standIn(accepted: Resource | undefined): Resource | undefined {
    let [standIn, steps] = [accepted, 0]
    while (standIn !== undefined && this.has(standIn)) {
      // Of two that each were accepted before the other was rejected, neither is.
      standIn = ++steps > maxVersions ? undefined : this.#find(standIn)?.accepted
    }
    return standIn
  }

  #find({ typeUrl, name, version }: Resource): StandingRejection | undefined {
    return this.#rejections.get(keyOf({ typeUrl, name }))?.find(({ resource }) => resource.version === version)
  }
}

export interface RejectionBookOptions {
  /** Records kept; the least recently seen node's goes first. */
  readonly maxNodes: number
  /** How long a node may be gone until what it rejected is forgotten. */
  readonly forgetAfterMs: number
  readonly clock: Pick<Clock, 'now'>
}

/** Remembers what each node rejected, over its reconnections. */
export class RejectionBook {
  readonly #options: RejectionBookOptions
  /** The least recently seen first. */
  readonly #records = new Map<string, RejectionRecord>()
  #sweptAtMs = Number.NEGATIVE_INFINITY

  constructor(options: RejectionBookOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#records.size
  }

  /** Of a node whose stream begins; undefined when it rejected nothing: then it costs nothing more. */
  find(node: Node): RejectionRecord | undefined {
    if (this.#records.size === 0) return undefined
    this.#forgetGone()
    return this.#records.get(idOf(node))
  }

  /** Of a node that rejects something. */
  open(node: Node): RejectionRecord {
    const record = this.find(node) ?? new RejectionRecord()
    this.#records.delete(idOf(node))
    this.#records.set(idOf(node), record)
    if (this.#records.size > this.#options.maxNodes) {
      for (const [id, { streams }] of this.#records) {
        if (streams > 0) continue
        this.#records.delete(id)
        break
      }
    }
    return record
  }

  join(node: Node, record: RejectionRecord): void {
    record.streams++
    this.#records.delete(idOf(node))
    this.#records.set(idOf(node), record)
  }

  leave(record: RejectionRecord): void {
    record.streams--
    record.goneSinceMs = this.#options.clock.now()
  }

  #forgetGone(): void {
    const { clock, forgetAfterMs } = this.#options
    const now = clock.now()
    // Not for each of thousands that come back at once.
    if (now - this.#sweptAtMs < forgetAfterMs / 100) return
    this.#sweptAtMs = now
    for (const [id, { streams, goneSinceMs }] of this.#records) {
      if (streams === 0 && now - goneSinceMs >= forgetAfterMs) this.#records.delete(id)
    }
  }
}

/** An Envoy of another version may accept what this one rejected. */
function idOf({ id, userAgentName, userAgentVersion }: Node): string {
  return `${id}\0${userAgentName}\0${userAgentVersion}`
}
