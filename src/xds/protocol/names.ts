import { hash } from 'node:crypto'
import { readNames } from '../../resource/discovery-envelope.ts'
import { createInterner } from '../../resource/interner.ts'
import { normalizeResourceName } from '../../resource/resource-name.ts'

/** Some resource names. Sets of equal names are one object, however many streams ask for them. */
export interface NameSet {
  /** Sorted, unique, `xdstp:` names normalised; never `*`. */
  readonly names: readonly string[]
  /** The names that stand for all members of a collection: `xdstp://…/*` (rule 49). */
  readonly globs: readonly string[]
  /** Holds exactly this name. */
  has(name: string): boolean
  /** Holds this name, or a glob whose collection has it. */
  matches(name: string): boolean
}

const intern = createInterner<NameSet>()

/** The set of these names; `*` is left out, for it is no name. */
export function nameSetOf(names: Iterable<string>): NameSet {
  const members = new Set<string>()
  for (const name of names) if (name !== '*') members.add(normalizeResourceName(name))
  const sorted = [...members].sort()
  return intern(hash('sha256', sorted.join('\0'), 'base64'), buildNameSet(sorted, members))
}

function buildNameSet(sorted: readonly string[], members: ReadonlySet<string>): NameSet {
  const globs = sorted.filter(isGlob)
  return {
    names: sorted,
    globs,
    has: (name) => members.has(name),
    matches: (name) => members.has(name) || globs.some((glob) => isInCollection(glob, name)),
  }
}

export const noNames: NameSet = nameSetOf([])

/** Both sets' names. */
export function unionNames(a: NameSet, b: NameSet): NameSet {
  if (a === b || b.names.length === 0) return a
  return a.names.length === 0 ? b : nameSetOf([...a.names, ...b.names])
}

/** The names of `a` that `b` lacks. */
export function withoutNames(a: NameSet, b: NameSet): NameSet {
  if (a === b || a.names.length === 0) return noNames
  return b.names.length === 0 ? a : nameSetOf(a.names.filter((name) => !b.has(name)))
}

/** What the `resource_names` of one SotW request say. */
export interface RequestedNames {
  /** As the client wrote them. */
  readonly bytes: Uint8Array
  readonly hasWildcard: boolean
  readonly names: NameSet
}

const internRequested = createInterner<RequestedNames>()

/**
 * Reads encoded `resource_names`. Equal bytes give the same object, so that a thousand Envoys that ask for the same names
 * in the same order cost one copy of them, and one decoding.
 * @throws Error when the bytes are no such fields.
 */
export function requestedNames(bytes: Uint8Array): RequestedNames {
  const requested = internRequested(hash('sha256', bytes, 'base64'), new DecodedNames(bytes))
  // What cannot be read must fail here, not where it is used.
  void requested.names
  return requested
}

/** Decodes when first asked: an equal one that is known already is given instead of it. */
class DecodedNames implements RequestedNames {
  readonly bytes: Uint8Array
  #names: NameSet | undefined
  #hasWildcard = false

  constructor(bytes: Uint8Array) {
    // A copy: the view would keep the whole request alive.
    this.bytes = new Uint8Array(bytes)
  }

  get names(): NameSet {
    if (this.#names === undefined) {
      const written = readNames(this.bytes)
      this.#names = nameSetOf(written)
      this.#hasWildcard = written.includes('*')
    }
    return this.#names
  }

  get hasWildcard(): boolean {
    void this.names
    return this.#hasWildcard
  }
}

function isGlob(name: string): boolean {
  return name.startsWith('xdstp:') && /\/\*(?:\?|$)/.test(name)
}

/** `xdstp://a/t/path/*?k=v` has `xdstp://a/t/path/x?k=v`: the same context parameters, all of them, and one more segment. */
function isInCollection(glob: string, name: string): boolean {
  const at = glob.search(/\*(?:\?|$)/)
  const [before, after] = [glob.slice(0, at), glob.slice(at + 1)]
  if (name.length <= before.length + after.length || !name.startsWith(before) || !name.endsWith(after)) return false
  return !/[/?]/.test(name.slice(before.length, name.length - after.length))
}
