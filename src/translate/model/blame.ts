import type { Problem } from '../../errors.ts'
import { keyOf } from '../../resource/named.ts'
import { isOwnType, wordOf } from '../../resource/type-url.ts'
import type { PlacedProblem } from '../build-generated.ts'
import type { Changed } from '../cells.ts'
import { rawProviders, rawUsers, type WorldUnit } from './rules.ts'

/** A problem, and the key of the document that it is told of. */
export interface Told {
  readonly key: string
  readonly problem: PlacedProblem | Problem
}

/** Something wrong with what would be generated. */
export interface Charge {
  /** Keys of the documents that it is made of. */
  readonly documents: Iterable<string>
  readonly told: readonly Told[]
  /** Only those documents can be to blame: where none of them changes, it stands. */
  readonly isOwn?: boolean
}

interface Change {
  readonly key: string
  readonly old: WorldUnit | undefined
  readonly next: WorldUnit | undefined
}

/**
 * Finds whose change brought what is wrong: of the documents that it is made of those that change, or, where none of them
 * does, whatever changes that it follows from. Where nothing does, nobody is to blame.
 */
export class Blame {
  readonly vetoes: Map<string, readonly Told[]> = new Map()
  readonly #changing: ReadonlyMap<string, Change>
  readonly #sourcesOf: (cell: Changed) => ReadonlySet<string>

  constructor(
    change: { readonly changes: readonly Change[]; readonly isRestored: boolean },
    sourcesOf: (cell: Changed) => ReadonlySet<string>,
  ) {
    this.#changing = new Map(change.isRestored ? [] : change.changes.map((one) => [one.key, one]))
    this.#sourcesOf = sourcesOf
  }

  /** Returns whether somebody is to blame: who is, is vetoed, and everybody told. */
  put(cell: Changed, { documents, told, isOwn = false }: Charge): boolean {
    const makers = [...documents].filter((key) => this.#changing.has(key))
    const blamed = makers.length > 0 || isOwn ? makers : this.#whoTouched(this.#sourcesOf(cell))
    if (blamed.length === 0) return false
    for (const key of blamed) {
      const own = told.filter((one) => one.key === key)
      this.#veto(key, own.length > 0 ? own : told.slice(0, 1).map(({ problem }) => this.#atChange(key, problem)))
    }
    for (const one of told) if (!this.#changing.has(one.key)) this.#veto(one.key, [one])
    return true
  }

  /** It is wrong elsewhere, and only with this change. */
  #atChange(key: string, { severity, code, message, fix }: Told['problem']): Told {
    const change = this.#changing.get(key)
    const origin = (change?.next ?? change?.old)?.origin ?? { name: key }
    return { key, problem: { severity, code, origin, path: '', message: `With this change, ${message}`, fix } }
  }

  #veto(key: string, told: readonly Told[]): void {
    this.vetoes.set(key, [...(this.vetoes.get(key) ?? []), ...told])
  }

  #whoTouched(sources: ReadonlySet<string>): string[] {
    const found: string[] = []
    for (const [key, { old, next }] of this.#changing) {
      if ([old, next].some((unit) => unit !== undefined && sourcesIn(unit).some((id) => sources.has(id))))
        found.push(key)
    }
    return found
  }
}

/** By what the cells know a document. */
function sourcesIn({ resources }: WorldUnit): readonly string[] {
  return resources.flatMap((resource) =>
    isOwnType(resource.typeUrl)
      ? [`${wordOf(resource.typeUrl)}\0${resource.name}`]
      : [
          `${rawProviders}\0${keyOf(resource)}`,
          ...resource.references.map((reference) => `${rawUsers}\0${keyOf(reference)}`),
        ],
  )
}
