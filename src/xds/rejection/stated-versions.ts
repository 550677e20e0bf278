import type { TypeUrl } from '../../resource/type-url.ts'
import { diffSets, emptySet, type ResourceSet } from '../../snapshot/resource-set.ts'
import type { Sent, Subscription } from '../protocol/subscription.ts'

/** Of one name: what the client will say that it has, and what it has; undefined: nothing. */
interface Difference {
  readonly says: string | undefined
  /** '' where nobody knows. */
  readonly has: string | undefined
}

/** Of one type. More are the mark of one that accepts nothing: the response without what is bad puts the rest right. */
const maxNames = 1000

/**
 * In delta a client says at the start of a stream what it has (rule 55). Envoy 1.40 notes that when it accepts a response
 * as a whole: of one that it rejected it notes nothing, though it may have taken most of it, removals too. What it says
 * then is put right by what is known here.
 */
export class StatedVersions {
  readonly #differences = new Map<TypeUrl, Map<string, Difference>>()

  /** It rejected a response. `subscription`: after that; `taken`: what it has then, where it says that. */
  noteNack({ typeUrl, acked, mayHold, initialVersions }: Subscription, { set }: Sent, taken?: ResourceSet): void {
    const before = acked ?? mayHold.find((held) => held !== set) ?? emptySet(typeUrl)
    const differences = this.#differences.get(typeUrl) ?? new Map<string, Difference>()
    const { changed, removed } = diffSets(before, set)
    for (const name of [...changed.map((resource) => resource.name), ...removed]) {
      const known = differences.get(name)
      const says = known === undefined ? (initialVersions?.get(name) ?? before.get(name)?.version) : known.says
      const has = taken === undefined ? '' : taken.get(name)?.version
      if (has === says) differences.delete(name)
      else differences.set(name, { says, has })
    }
    for (const name of differences.keys()) {
      if (differences.size <= maxNames) break
      differences.delete(name)
    }
    if (differences.size > 0) this.#differences.set(typeUrl, differences)
  }

  /** It accepted all that brought it to `set`, and noted what changed with that. */
  noteAck(set: ResourceSet): void {
    const differences = this.#differences.get(set.typeUrl)
    if (differences === undefined) return
    for (const [name, { says, has }] of differences) {
      if (set.get(name)?.version !== (has === '' ? says : has)) differences.delete(name)
    }
    if (differences.size === 0) this.#differences.delete(set.typeUrl)
  }

  /** What a client has by what it says; a version that nobody knows is ''. */
  correct(typeUrl: TypeUrl, stated: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
    const differences = this.#differences.get(typeUrl)
    if (differences === undefined) return stated
    const corrected = new Map(stated)
    for (const [name, { says, has }] of differences) {
      // It has restarted, or was with another server meanwhile.
      if (stated.size === 0 || stated.get(name) !== says) differences.delete(name)
      else if (has === undefined) corrected.delete(name)
      else corrected.set(name, has)
    }
    if (differences.size === 0) this.#differences.delete(typeUrl)
    return corrected
  }
}
