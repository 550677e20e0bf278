import type { Origin } from './errors.ts'
import { wordOf } from './resource/type-url.ts'
import type { Unit } from './snapshot/unit.ts'
import type { StatusReader } from './xds/status.ts'

/**
 * The status with rejected resources at the places where they stand now: one whose document was only moved about in its
 * file, or written again, is the same resource, and streams go on holding the one that they had first.
 */
export function withCurrentOrigins(status: StatusReader, units: () => Iterable<Unit>): StatusReader {
  return {
    nodes() {
      const nodes = status.nodes()
      const places = placesOf(new Set(nodes.flatMap((node) => node.rejected.map(keyOf))), units)
      if (places.size === 0) return nodes
      return nodes.map((node) => {
        const rejected = node.rejected.map((one) => ({ ...one, origin: places.get(keyOf(one)) ?? one.origin }))
        return { ...node, rejected }
      })
    },
  }
}

const keyOf = (resource: { readonly type: string; readonly name: string; readonly version: string }): string =>
  `${resource.type}\0${resource.name}\0${resource.version}`

function placesOf(wanted: ReadonlySet<string>, units: () => Iterable<Unit>): ReadonlyMap<string, Origin> {
  const places = new Map<string, Origin>()
  if (wanted.size === 0) return places
  for (const { resources } of units()) {
    for (const { typeUrl, name, version, origin } of resources) {
      const key = keyOf({ type: wordOf(typeUrl), name, version })
      if (wanted.has(key)) places.set(key, origin)
    }
  }
  return places
}
