import { keyOf } from '../../resource/named.ts'
import type { Resource } from '../../resource/resource.ts'
import { resourceTypes, type TypeUrl } from '../../resource/type-url.ts'
import { diffSets, type ResourceSet } from '../../snapshot/resource-set.ts'
import { setIn, usersIn, type View } from './view.ts'

const clusterType = resourceTypes.cluster.typeUrl

/** A resource that must wait, and what the client has of it meanwhile: nothing, where it is new. */
export interface Held {
  readonly resource: Resource
  readonly instead: Resource | undefined
}

/**
 * The resources of `to` that must wait, in order: those that send requests to a cluster which the client may lack yet
 * (rules 70, 71), and those that name a new resource that waits itself. Never a new cluster, its endpoints or a secret:
 * warming needs them. But an aggregate cluster takes over its new members before they are warm: a changed one waits.
 * `clusters` are the sets of clusters of which the client may have any; of the `unanswered` types it has nothing, and
 * `from` may name clusters there that it lacks.
 */
export function heldBack(
  from: View,
  to: View,
  clusters: readonly ResourceSet[],
  unanswered: ReadonlySet<TypeUrl>,
): readonly Held[] {
  const missing = missingClusters(clusters, to)
  if (missing.size === 0) return []
  const isWaiting = ({ references }: Resource): boolean => references.some((reference) => missing.has(keyOf(reference)))
  const had = setIn(from, clusterType)
  const held: Held[] = []
  for (const resource of diffSets(had, setIn(to, clusterType)).changed) {
    const instead = had.get(resource.name)
    if (instead !== undefined && isWaiting(resource)) held.push({ resource, instead })
  }
  for (const typeUrl of usersIn(from, to)) {
    const isUnanswered = unanswered.has(typeUrl)
    const before = setIn(from, typeUrl)
    const waiting = diffSets(isUnanswered ? undefined : before, setIn(to, typeUrl)).changed.filter(isWaiting)
    for (const resource of waiting) {
      const old = before.get(resource.name)
      const instead = old !== undefined && isUnanswered && isWaiting(old) ? undefined : old
      held.push({ resource, instead })
    }
    for (const { resource, instead } of held) if (instead === undefined) missing.add(keyOf(resource))
  }
  return held
}

function missingClusters(clusters: readonly ResourceSet[], to: View): Set<string> {
  const missing = new Set<string>()
  for (const set of clusters) {
    for (const { name } of diffSets(set, setIn(to, clusterType)).changed) {
      if (set.get(name) === undefined) missing.add(keyOf({ typeUrl: clusterType, name }))
    }
  }
  return missing
}
