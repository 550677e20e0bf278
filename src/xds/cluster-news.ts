import type { Resource } from '../resource/resource.ts'
import { resourceTypes, type TypeUrl } from '../resource/type-url.ts'
import { diffSets, internSet, type ResourceSet } from '../snapshot/resource-set.ts'
import { blame } from './blame.ts'
import { type NameSet, nameSetOf } from './names.ts'

/**
 * What routes may name after a rejection of `sent`: all of it, save what Envoy says it refused; when nothing says that the
 * rest was taken, what was accepted before (rule 71).
 */
export function clustersAfterNack(before: ResourceSet, sent: ResourceSet, message: string): ResourceSet {
  const suspects = diffSets(before, sent).changed.map(({ name }) => name)
  const found = blame(message, { typeUrl: sent.typeUrl, sent: new Set(suspects), suspects })
  if (found.kind !== 'named' || !found.isRestApplied) return before
  return internSet(sent.with(new Map([...found.reasons.keys()].map((name) => [name, before.get(name)]))))
}

const followers = new WeakMap<readonly Resource[], ReadonlyMap<TypeUrl, NameSet>>()
const followingTypes = new Set([resourceTypes.endpoint.typeUrl, resourceTypes.secret.typeUrl])

/**
 * The assignments and secrets that some clusters name, by type: what a cluster needs again when it was sent (rules 58,
 * 72). Computed once for all streams that were sent the same list.
 */
export function followersOf(clusters: readonly Resource[]): ReadonlyMap<TypeUrl, NameSet> {
  const known = followers.get(clusters)
  if (known !== undefined) return known
  const lists = new Map<TypeUrl, string[]>()
  for (const cluster of clusters) {
    for (const { typeUrl, name } of cluster.references) {
      if (!followingTypes.has(typeUrl)) continue
      const list = lists.get(typeUrl)
      if (list === undefined) lists.set(typeUrl, [name])
      else list.push(name)
    }
  }
  const names = new Map([...lists].map(([typeUrl, list]): [TypeUrl, NameSet] => [typeUrl, nameSetOf(list)]))
  followers.set(clusters, names)
  return names
}
