import type { ParsedDocument } from './config/config-document.ts'
import { firstKeyOf, type HeldDocument, hintOf } from './config/document-key.ts'
import type { Origin, Problem } from './errors.ts'
import type { Log } from './log.ts'
import type { Unit, UnitChange } from './snapshot/world.ts'
import type { Document } from './source/source.ts'

/** What a source has under an id now. */
export interface Listing {
  readonly id: string
  /** Undefined when it is gone, or was never read. */
  readonly document: Document | undefined
  /** It exists, and its text cannot be read now. */
  readonly isUnreadable: boolean
  /** Where it is, when it was never read. */
  readonly origin: Origin
}

/** What a listing means; nothing of it holds before `commit`. */
export interface Reading {
  readonly id: string
  readonly changes: readonly UnitChange[]
  /** Undefined: the document is gone. */
  readonly keys: ReadonlySet<string> | undefined
  /** Undefined: as before. */
  readonly problems: readonly Problem[] | undefined
}

export type Parse = (document: Document, held: readonly HeldDocument[]) => ParsedDocument

/** What a text says of its units, by itself. */
export function changesOf({ documents, invalid }: ParsedDocument): readonly UnitChange[] {
  return [
    ...documents.map((unit): UnitChange => ({ kind: 'valid', unit })),
    ...invalid.map((document): UnitChange => ({ kind: 'invalid', ...document })),
  ]
}

interface LedgerDeps {
  readonly parse: Parse
  readonly inForce: ReadonlyMap<string, Unit>
  readonly log: Log
}

/** Which units each source document gave, so that its new text says what becomes of them. */
export class DocumentLedger {
  readonly #deps: LedgerDeps
  /** Keys of the units, in force or in error, that each document gave. */
  readonly #keys = new Map<string, ReadonlySet<string>>()
  readonly #problems = new Map<string, readonly Problem[]>()

  constructor(deps: LedgerDeps) {
    this.#deps = deps
  }

  /** The documents that gave, or give, a unit. */
  get ids(): Iterable<string> {
    return this.#keys.keys()
  }

  /** Of the units that a document gave. */
  keysOf(id: string): readonly string[] {
    return [...(this.#keys.get(id) ?? [])]
  }

  get problems(): readonly Problem[] {
    return [...this.#problems.values()].flat()
  }

  /** A unit that the history restored. */
  remember(id: string, key: string): void {
    this.#keys.set(id, new Set([...(this.#keys.get(id) ?? []), key]))
  }

  commit({ id, keys, problems }: Reading): void {
    if (keys === undefined) this.#keys.delete(id)
    else this.#keys.set(id, keys)
    if (problems === undefined) return
    if (problems.length === 0) this.#problems.delete(id)
    else this.#problems.set(id, problems)
  }

  /** What a document's new text, or its absence, means for the units that it gave before. */
  read({ id, document, isUnreadable, origin }: Listing): Reading {
    const before = this.#keys.get(id) ?? new Set<string>()
    if (isUnreadable) return keepAll(id, before, document?.origin ?? origin)
    if (document === undefined) return { id, changes: deletionsOf(before), keys: undefined, problems: [] }
    if (document.text.trim() === '' && before.size > 0) {
      return { ...keepAll(id, before, document.origin), problems: [blank(document.origin)] }
    }
    const parsed = this.#parse(document, before)
    const now = new Set([...parsed.documents, ...parsed.invalid].map(({ key }) => key))
    const gone = [...before].filter((key) => !now.has(key))
    const changes = changesOf(parsed)
    if (!parsed.isUnreadable) {
      return { id, changes: [...changes, ...deletionsOf(gone)], keys: now, problems: parsed.problems }
    }
    const kept = now.size > 0 ? unchanged(gone, document.origin) : keepAll(id, before, document.origin)
    return {
      id,
      changes: [...changes, ...kept.changes],
      keys: new Set([...now, ...kept.keys]),
      problems: parsed.problems,
    }
  }

  /** One document on which the parser fails must not stop the others. */
  #parse(document: Document, before: ReadonlySet<string>): ParsedDocument {
    try {
      return this.#deps.parse(document, this.#heldOf(before))
    } catch (error) {
      // Without the error's own words: they could quote the document.
      const at = error instanceof Error ? error.stack?.split('\n').filter((line) => /^ +at /.test(line)) : undefined
      this.#deps.log.error({ document: document.origin.name, at }, 'the parser failed at a document')
      return { documents: [], invalid: [], isUnreadable: true, problems: [parserFailure(document.origin)] }
    }
  }

  #heldOf(keys: ReadonlySet<string>): readonly HeldDocument[] {
    return [...keys].flatMap((key) => {
      const hint = hintOf(this.#deps.inForce.get(key)?.resources ?? [])
      return hint === undefined ? [] : [{ key, hint }]
    })
  }
}

interface Kept extends Reading {
  readonly keys: ReadonlySet<string>
}

/** Everything that a document gave stays as it was; one that never gave anything may touch every group. */
function keepAll(id: string, keys: ReadonlySet<string>, origin: Origin): Kept {
  return { id, ...unchanged(keys.size > 0 ? keys : [firstKeyOf(id)], origin), problems: undefined }
}

function unchanged(keys: Iterable<string>, origin: Origin): Pick<Kept, 'changes' | 'keys'> {
  const changes = Array.from(keys, (key): UnitChange => ({ kind: 'invalid', key, origin, selectors: undefined }))
  return { changes, keys: new Set(keys) }
}

function deletionsOf(keys: Iterable<string>): UnitChange[] {
  return Array.from(keys, (key) => ({ kind: 'deleted', key }))
}

/** A writer that empties a file before it has what to write (`generate > cart.yaml`), or a full disk. */
function blank(origin: Origin): Problem {
  return {
    severity: 'error',
    code: 'unreadable',
    origin,
    path: '',
    message: 'the text is empty; what it held stays in force',
    fix: 'write it again, delete it, or write `resources: []` if it is to hold none',
  }
}

function parserFailure(origin: Origin): Problem {
  return {
    severity: 'error',
    code: 'unreadable',
    origin,
    path: '',
    message: 'the server failed to read this document, which is an error of the server; what it held stays in force',
    fix: 'report it with the stack in the log; writing the document in another way may help',
  }
}
