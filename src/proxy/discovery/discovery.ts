import type { JsonObject } from '../config/field-reader.ts'
import type { StatScope } from '../stats/stat-store.ts'

/** What this proxy is told by its control plane, and where it says what it wants to be told. */
export interface Discovery {
  /** All clusters, or all listeners; they are asked for once, when this is called. */
  watchAll(type: WildcardType, watcher: CollectionWatcher): Watching
  /**
   * One resource by its name: routes, assignments, secrets, runtime layers, filter configurations. What another watch of
   * this name was given is given at once, but for assignments: as in Envoy, the server is asked again (SotW) or is to know
   * by itself (delta), and what is known is given only where it says nothing in time. Nothing is told before this returns.
   */
  watch(type: NamedType, name: string, watcher: ResourceWatcher, options?: WatchOptions): Watching
  /**
   * Requests of this type, and so its ACKs, wait until all who paused it have resumed: Envoy answers for clusters when
   * they are warm.
   */
  pause(type: WildcardType | NamedType): () => void
}

export interface WatchOptions {
  /** How long until it counts as missing though nobody said so; 15 s where absent, for ever where 0. */
  readonly initialFetchTimeoutMs?: number
  /** The file that it is in; by default it comes by the stream. */
  readonly path?: string
  /** What is moved into it says that the file is another, in place of what is moved to the file. */
  readonly watchedDirectory?: string
  /** Where `update_success`, `version_text` and so on are kept: `cluster.NAME.`, `http.PREFIX.rds.NAME.`. */
  readonly stats?: StatScope
}

export type WildcardType = 'cluster' | 'listener'
export type NamedType = 'endpoint' | 'route' | 'secret' | 'runtime' | 'extension'

export interface Watching {
  cancel(): void
}

export interface DiscoveredResource {
  readonly name: string
  readonly version: string
  /** Its JSON form, with proto field names; frozen and shared by all who hold the same bytes. */
  readonly content: JsonObject
}

export interface CollectionWatcher {
  /**
   * What came and went in one response. Throws nothing: returns what is refused, and why, by name; the others are taken.
   */
  onUpdate(changed: readonly DiscoveredResource[], removed: readonly string[]): ReadonlyMap<string, string>
  /** The first answer was refused whole, or did not come in time: nothing waits for it any longer. */
  onMissing(): void
}

export interface ResourceWatcher {
  /** @throws ConfigRejection, and what was there before stays in use. */
  onResource(resource: DiscoveredResource): void
  /**
   * Nothing waits for it any longer: the control plane says that there is none, or has not answered for
   * `initial_fetch_timeout`, or what it said first was refused. It may come after `onResource` too: Envoy keeps
   * assignments and routes that are in use, and empties a layer of the runtime.
   */
  onMissing(): void
}
