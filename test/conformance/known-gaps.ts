/** What our own server does not do yet: known-gaps.yaml, which may only shrink. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { nameOf } from './case.ts'
import type { Result } from './run-cases.ts'

export interface KnownGaps {
  /** Why, of a result that failed as it was known to. */
  why(result: Result): string | undefined
  /** Those that are no gaps any more, or no cases: they are to be deleted. */
  outdated(results: readonly Result[]): readonly string[]
}

interface Gap {
  readonly case: string
  readonly over: string
  readonly why: string
}

/** @throws Error when an entry lacks one of `case`, `over` and `why` */
export function readKnownGaps(file: string = fileURLToPath(new URL('known-gaps.yaml', import.meta.url))): KnownGaps {
  const gaps = (parse(readFileSync(file, 'utf8')) ?? []) as readonly Partial<Gap>[]
  const byName = new Map<string, string>()
  for (const { case: title, over, why } of gaps) {
    if (title === undefined || over === undefined || why === undefined) {
      throw new Error(`${file}: each gap has \`case\` (its title), \`over\` (sotw or delta) and \`why\``)
    }
    byName.set(`${title} (${over})`, why)
  }
  const keyOf = ({ title, protocol }: Result): string => nameOf({ title, protocol: protocol as 'sotw' })
  return {
    why: (result) => (result.failure === undefined ? undefined : byName.get(keyOf(result))),
    outdated(results) {
      const failed = new Set(results.filter(({ failure }) => failure !== undefined).map(keyOf))
      return [...byName.keys()].filter((name) => !failed.has(name))
    },
  }
}
