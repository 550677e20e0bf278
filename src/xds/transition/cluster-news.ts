import type { Resource } from '../../resource/resource.ts'
import { resourceTypes, type TypeUrl } from '../../resource/type-url.ts'
import { diffSets, internSet, type ResourceSet, type SetDiff } from '../../snapshot/resource-set.ts'
import { type NameSet, nameSetOf } from '../protocol/names.ts'
import { type Rejected, sharedBlame } from '../rejection/blame.ts'

/**
 * What routes may name after a rejection of `sent`: all of it, save what Envoy says it refused; when nothing says that the
 * rest was taken, what was accepted before (rule 71).
 */
export function clustersAfterNack(before: ResourceSet, sent: ResourceSet, message: string): ResourceSet {
  const found = sharedBlame(message, changedIn(diffSets(before, sent), sent.typeUrl))
  if (found.kind !== 'named' || !found.isRestApplied) return before
  return internSet(sent.with(new Map([...found.reasons.keys()].map((name) => [name, before.get(name)]))))
}

const changes = new WeakMap<SetDiff, Rejected>()

/** One object for one difference, so that what is said of it is read once. */
function changedIn(diff: SetDiff, typeUrl: TypeUrl): Rejected {
  let rejected = changes.get(diff)
  if (rejected === undefined) {
    const names = diff.changed.map(({ name }) => name)
    rejected = { typeUrl, sent: new Set(names), suspects: names }
    changes.set(diff, rejected)
  }
  return rejected
}

/** What listeners need again when they were sent. */
export const followersOfListeners: readonly TypeUrl[] = [resourceTypes.secret.typeUrl, resourceTypes.extension.typeUrl]

const followers = new WeakMap<readonly Resource[], ReadonlyMap<TypeUrl, NameSet>>()
const followingTypes = new Set([resourceTypes.endpoint.typeUrl, ...followersOfListeners])

/**
 * The assignments, secrets and filter configurations that some clusters or listeners name, by type: what these need again
 * when they were sent. A cluster warms anew (rules 58, 72); and where the source of a secret or filter configuration is
 * written in other bytes than before, Envoy waits for what it has, and does not ask (rule 73, measured in delta on 1.40).
 * Computed once for all streams that were sent the same list.
 */
export function followersOf(sent: readonly Resource[]): ReadonlyMap<TypeUrl, NameSet> {
  const known = followers.get(sent)
  if (known !== undefined) return known
  const lists = new Map<TypeUrl, string[]>()
  for (const { references } of sent) {
    for (const { typeUrl, name } of references) {
      if (!followingTypes.has(typeUrl)) continue
      const list = lists.get(typeUrl)
      if (list === undefined) lists.set(typeUrl, [name])
      else list.push(name)
    }
  }
  const names = new Map([...lists].map(([typeUrl, list]): [TypeUrl, NameSet] => [typeUrl, nameSetOf(list)]))
  followers.set(sent, names)
  return names
}
