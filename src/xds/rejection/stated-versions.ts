import type { TypeUrl } from '../../resource/type-url.ts'
import { diffSets, emptySet, internSet, type ResourceSet } from '../../snapshot/resource-set.ts'
import { maxHeld, type Sent, type Subscription } from '../protocol/subscription.ts'

/** Of one type, while what the client says may differ from what it has. */
interface Account {
  /** What it has noted: it says these versions. */
  readonly noted: ResourceSet
  /** What it said when the stream began, of names that are not in `noted`. */
  readonly said: ReadonlyMap<string, string> | undefined
  /** What it has, */
  readonly has: ResourceSet
  /** save what it took of these, which it rejected without a word of the rest. */
  readonly doubtful: readonly ResourceSet[]
}

/**
 * In delta a client says at the start of a stream what it has (rule 55). Envoy 1.40 notes that when it accepts a response
 * as a whole: of one that it rejected it notes nothing, though it may have taken most of it, removals too. What it says
 * then is put right by what is known here. Sets are held, and looked into when it comes back: a rejection costs no walk.
 */
export class StatedVersions {
  readonly #accounts = new Map<TypeUrl, Account>()

  /** It rejected a response. `subscription`: after that; `taken`: what it has then, where it says that. */
  noteNack({ typeUrl, acked, mayHold, initialVersions }: Subscription, { set }: Sent, taken?: ResourceSet): void {
    const before = acked ?? mayHold.find((held) => held !== set) ?? emptySet(typeUrl)
    const known = this.#accounts.get(typeUrl) ?? { noted: before, said: initialVersions, has: before, doubtful: [] }
    const doubtful = [...known.doubtful.filter((other) => other !== set), set].slice(-maxHeld)
    this.#accounts.set(typeUrl, taken === undefined ? { ...known, doubtful } : { ...known, has: taken, doubtful: [] })
  }

  /** It accepted all that brought it to `set`, and noted what changed with that. */
  noteAck(set: ResourceSet): void {
    const account = this.#accounts.get(set.typeUrl)
    if (account === undefined) return
    // What is in doubt and is as it was may have come again, or not: it may say either.
    const told = [...differing(account.has, [set])]
    const noted = internSet(account.noted.with(new Map(told.map((name) => [name, set.get(name)]))))
    if (noted === set || noted.version === set.version) this.#accounts.delete(set.typeUrl)
    else this.#accounts.set(set.typeUrl, { ...account, noted, has: set, doubtful: [] })
  }

  /** What a client has by what it says; a version that nobody knows is ''. */
  correct(typeUrl: TypeUrl, stated: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
    const account = this.#accounts.get(typeUrl)
    if (account === undefined) return stated
    const { noted, said, has, doubtful } = account
    // It has restarted.
    if (stated.size === 0) {
      this.#accounts.delete(typeUrl)
      return stated
    }
    const doubted = differing(has, doubtful)
    const corrected = new Map(stated)
    for (const name of new Set([...differing(noted, [has]), ...doubted])) {
      // It was with another server meanwhile.
      if (stated.get(name) !== (noted.get(name)?.version ?? said?.get(name))) continue
      const version = doubted.has(name) ? '' : has.get(name)?.version
      if (version === undefined) corrected.delete(name)
      else corrected.set(name, version)
    }
    return corrected
  }
}

/** The names of which one of `others` has something else. */
function differing(set: ResourceSet, others: readonly ResourceSet[]): Set<string> {
  const names = new Set<string>()
  for (const other of others) {
    const { changed, removed } = diffSets(set, other)
    for (const { name } of changed) names.add(name)
    for (const name of removed) names.add(name)
  }
  return names
}
