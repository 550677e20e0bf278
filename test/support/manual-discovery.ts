import type { JsonObject } from '../../src/proxy/config/field-reader.ts'
import type {
  CollectionWatcher,
  DiscoveredResource,
  Discovery,
  NamedType,
  ResourceWatcher,
  WatchOptions,
  WildcardType,
} from '../../src/proxy/discovery/discovery.ts'

/** A control plane whose answers are what a test says, when it says it. */
export interface ManualDiscovery extends Discovery {
  /** Who is watched, as `endpoint/cart`, or `cluster` for all of a type. */
  readonly asked: readonly string[]
  /** What of them is refused, by name. */
  sendAll(
    type: WildcardType,
    resources: Readonly<Record<string, JsonObject>>,
    removed?: readonly string[],
  ): ReadonlyMap<string, string>
  /** @throws ConfigRejection when it is refused */
  send(type: NamedType, name: string, content: JsonObject): void
  sayMissing(type: NamedType | WildcardType, name?: string): void
  optionsOf(type: NamedType, name: string): WatchOptions | undefined
  isPaused(type: NamedType | WildcardType): boolean
}

interface Watch {
  readonly key: string
  readonly watcher: ResourceWatcher
  readonly options: WatchOptions | undefined
}

export function createManualDiscovery(): ManualDiscovery {
  const wildcards = new Map<WildcardType, CollectionWatcher>()
  const watches = new Set<Watch>()
  const pauses: string[] = []
  let version = 0
  const watchesOf = (key: string): readonly Watch[] => [...watches].filter((watch) => watch.key === key)
  return {
    watchAll(type, watcher) {
      wildcards.set(type, watcher)
      return { cancel: () => void wildcards.delete(type) }
    },
    watch(type, name, watcher, options) {
      const watch: Watch = { key: `${type}/${name}`, watcher, options }
      watches.add(watch)
      return { cancel: () => void watches.delete(watch) }
    },
    pause(type) {
      pauses.push(type)
      let isOver = false
      return () => {
        if (!isOver) pauses.splice(pauses.indexOf(type), 1)
        isOver = true
      }
    },
    get asked() {
      return [...wildcards.keys(), ...[...watches].map(({ key }) => key)]
    },
    sendAll(type, resources, removed = []) {
      const changed = Object.entries(resources).map(
        ([name, content]): DiscoveredResource => ({ name, content, version: `${++version}` }),
      )
      const watcher = wildcards.get(type)
      if (watcher === undefined) throw new Error(`nobody asks for all of type ${type}`)
      return watcher.onUpdate(changed, removed)
    },
    send(type, name, content) {
      const found = watchesOf(`${type}/${name}`)
      if (found.length === 0) throw new Error(`nobody asks for ${type}/${name}`)
      for (const { watcher } of found) watcher.onResource({ name, content, version: `${++version}` })
    },
    sayMissing(type, name) {
      if (name === undefined) wildcards.get(type as WildcardType)?.onMissing()
      else for (const { watcher } of watchesOf(`${type}/${name}`)) watcher.onMissing()
    },
    optionsOf: (type, name) => watchesOf(`${type}/${name}`)[0]?.options,
    isPaused: (type) => pauses.includes(type),
  }
}
