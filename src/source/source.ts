import type { Origin, Problem } from '../errors.ts'

/** A text that a source holds: one file, or one etcd key. It may hold several YAML documents. */
export interface Document {
  /** Identity within all sources, stable over changes and restarts: `file:cart.yaml` relative to its root, `etcd:/fairlead/config/cart`. */
  readonly id: string
  readonly text: string
  readonly origin: Origin
}

/** A document that exists, and whose text cannot be read now. */
export type Unreadable = Pick<Document, 'id' | 'origin'>

/** What a source saw since its last update. The first `read` update is complete (rule 92: never an incomplete one). */
export type SourceUpdate =
  | {
      readonly kind: 'read'
      readonly upserted: readonly Document[]
      /** Ids of documents that are gone. */
      readonly removed: readonly string[]
      /** All that is wrong with the source itself now (an unreadable file, a value over 1 MiB): replaces the last list. */
      readonly problems: readonly Problem[]
      /** What they last held stays in force. */
      readonly unreadable: readonly Unreadable[]
      /** No document is left (a directory that is gone counts): docs/errors.md, `source-empty`. */
      readonly isEmpty: boolean
    }
  | {
      /** It cannot be read now; what was read stays. A `read` update follows when it can. */
      readonly kind: 'unreachable'
      readonly problem: Problem
    }

/** A place that documents come from. */
export interface Source {
  /** What people call it: `./config`, `etcd http://127.0.0.1:2379 /fairlead/`. */
  readonly name: string
  /**
   * Yields an update for the first complete read (also when it is empty), then one for every change, until `signal`
   * aborts; then it returns and has released everything. Changes that arrive while the consumer is busy are merged.
   */
  watch(signal: AbortSignal): AsyncIterable<SourceUpdate>
  /**
   * Resolves once the consumer of the newest watch was told all that had been written when this was called. As long as the source cannot be read, it waits.
   * Absent where nobody can have been told anything newer elsewhere (rule 87).
   * @throws the reason of `signal` when that aborts
   */
  caughtUp?(signal: AbortSignal): Promise<void>
}
