import type { TreeProblem } from '../../../resource/tree.ts'
import type { Places } from '../places.ts'

/** Collects what is wrong across the fields of a form, each told where the author wrote it. */
export interface Check {
  /** @param path in the form's normal spelling: `rules[0].backends[1].weight`. */
  error(path: string, message: string, fix: string, code?: TreeProblem['code']): void
}

export function createCheck(places: Places, problems: TreeProblem[]): Check {
  return {
    error(path, message, fix, code = 'rule-violation') {
      const place = places.at(path) ?? { line: 1, column: 1, path }
      problems.push({ severity: 'error', code, message, fix, ...place })
    },
  }
}

/** Those of `names` that `of` has. */
export function given(of: object, names: readonly string[]): readonly string[] {
  return names.filter((name) => (of as Readonly<Record<string, unknown>>)[name] !== undefined)
}

/** `a`, `b` and `c`, each in backticks. */
export function named(names: readonly string[], word: 'and' | 'or' = 'and'): string {
  const shown = names.map((name) => `\`${name}\``)
  const last = shown.pop() ?? ''
  return shown.length === 0 ? last : `${shown.join(', ')} ${word} ${last}`
}

/** Reports where not exactly one of `names` is given (`atMost`: where more than one is). */
export function exactlyOne(check: Check, path: string, of: object, names: readonly string[], atMost = false): void {
  const found = given(of, names)
  if (found.length > 1) {
    check.error(below(path, found[1] as string), `${named(found)} exclude each other.`, 'Keep one of them.')
  }
  if (found.length === 0 && !atMost) {
    check.error(path, `It has none of ${named(names)}.`, `Add one of ${named(names)}.`)
  }
}

export function below(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`
}
