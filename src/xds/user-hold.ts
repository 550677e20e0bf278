import type { Resource } from '../resource/resource.ts'
import { resourceTypes } from '../resource/type-url.ts'
import { diffSets, type ResourceSet } from '../snapshot/resource-set.ts'
import { keyOf } from './named.ts'
import { setIn, usersIn, type View } from './view.ts'

const clusterType = resourceTypes.cluster.typeUrl

/**
 * The resources of `to` that must wait, in order: those that send requests to a cluster which the client may lack yet
 * (rules 70, 71), and those that name a new resource that waits itself. Never a new cluster, its endpoints or a secret:
 * warming needs them. But an aggregate cluster takes over its new members before they are warm: a changed one waits.
 * `clusters` are the sets of clusters of which the client may have any.
 */
export function heldBack(from: View, to: View, clusters: readonly ResourceSet[]): readonly Resource[] {
  const missing = new Set<string>()
  for (const set of clusters) {
    for (const { name } of diffSets(set, setIn(to, clusterType)).changed) {
      if (set.get(name) === undefined) missing.add(keyOf({ typeUrl: clusterType, name }))
    }
  }
  if (missing.size === 0) return []
  const before = setIn(from, clusterType)
  const held = diffSets(before, setIn(to, clusterType)).changed.filter(
    (cluster) => before.get(cluster.name) !== undefined && isWaiting(cluster),
  )
  for (const typeUrl of usersIn(from, to)) {
    const had = setIn(from, typeUrl)
    const waiting = diffSets(had, setIn(to, typeUrl)).changed.filter(isWaiting)
    held.push(...waiting)
    for (const resource of waiting) if (had.get(resource.name) === undefined) missing.add(keyOf(resource))
  }
  return held

  function isWaiting({ references }: Resource): boolean {
    return references.some((reference) => missing.has(keyOf(reference)))
  }
}
