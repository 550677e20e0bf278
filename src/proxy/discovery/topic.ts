import type { Clock } from '../../clock.ts'
import type { Log } from '../../log.ts'
import type { JsonObject } from '../config/field-reader.ts'
import type { DiscoveredResource } from './discovery.ts'
import type { Talk } from './talk.ts'

/** One resource of a response, read. */
export interface Arrival {
  readonly name: string
  readonly version: string
  readonly ttlMs: number | undefined
  /** Undefined of a heartbeat. */
  readonly content: JsonObject | undefined
  /** Why it is refused whoever wants it. */
  readonly refusal: string | undefined
}

export interface Delivery {
  readonly version: string
  readonly arrivals: readonly Arrival[]
  readonly removed: readonly string[]
  /** SotW of clusters and listeners: what is not in it is gone. */
  readonly isWhole: boolean
}

/** One type of resources: who waits for what, and what has come. */
export interface Topic {
  readonly talk: Talk
  readonly isWatched: boolean
  /** What was taken, and is wanted still. */
  readonly held: readonly DiscoveredResource[]
  /** @returns why the response is refused, in part at least; undefined where all of it was taken. */
  deliver(delivery: Delivery): string | undefined
  /** A response was refused before anybody was given anything of it. */
  onRefused(): void
  /** The stream broke, or could not be opened. */
  onFailed(): void
  close(): void
}

/** What the topics of one stream share. */
export interface TopicOwner {
  readonly clock: Clock
  readonly log: Log
  /** The talk of a topic may have something to say. */
  onDue(topic: Topic): void
}

/** Envoy's, where the configuration names none. */
export const defaultFetchTimeoutMs = 15_000
