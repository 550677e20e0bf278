/** Plays cases against a target, some at a time, and tells what became of each. */
import { type Case, type Level, nameOf } from './case.ts'
import { Observations } from './observations.ts'
import { type Failure, playCase } from './play-case.ts'
import type { Part } from './read-cases.ts'
import type { Wire } from './wire.ts'
import type { WorldDirectory } from './world-directory.ts'

export interface Result {
  readonly part: string
  readonly level: Level
  readonly rules: readonly number[]
  readonly title: string
  /** `-` for what is watched in both. */
  readonly protocol: string
  readonly failure?: Failure
}

export interface Running {
  readonly address: string
  readonly wire: Wire
  readonly worlds: WorldDirectory
  readonly patienceMs: number
  readonly settleMs: number
  /** How many are played at the same time, each by clients and groups of its own. */
  readonly jobs: number
  readonly onResult?: (result: Result) => void
}

/** In the order of the cases, whatever the order in which they ended; what is watched throughout comes last. */
export async function runCases(parts: readonly Part[], running: Running): Promise<readonly Result[]> {
  const observations = new Observations()
  const all = parts.flatMap(({ title, cases }) => cases.map((one) => ({ part: title, one })))
  const results: Result[] = []
  const prefixes = prefixesOf(all.map(({ one }) => one))
  let next = 0
  let told = 0
  const work = async (): Promise<void> => {
    for (let index = next++; index < all.length; index = next++) {
      const { part, one } = all[index] as (typeof all)[number]
      const failure = await playCase(one, prefixes[index] as string, { ...running, observations })
      const { level, rules, title, protocol } = one
      results[index] = { part, level, rules, title, protocol, ...(failure && { failure }) }
      for (let ready = results[told]; ready !== undefined; ready = results[++told]) running.onResult?.(ready)
    }
  }
  await Promise.all(Array.from({ length: running.jobs }, work))
  return all.length === 0 ? [] : [...results, ...throughout(observations, running.onResult)]
}

function throughout(observations: Observations, onResult: Running['onResult']): readonly Result[] {
  return observations.results().map(({ level, rule, title, broken }) => {
    const failure =
      broken === undefined ? {} : { failure: { file: '', line: 0, turn: '', reason: broken, isUnsupported: false } }
    const result: Result = { part: 'Throughout', level, rules: [rule], title, protocol: '-', ...failure }
    onResult?.(result)
    return result
  })
}

/** Short, and equal in every run: `rule-26-2-sotw`. */
function prefixesOf(cases: readonly Case[]): readonly string[] {
  const counts = new Map<string, number>()
  return cases.map(({ rules, protocol }) => {
    const rule = `rule-${rules[0] ?? 0}`
    const count = (counts.get(rule) ?? 0) + 1
    counts.set(rule, count)
    return `${rule}-${count}-${protocol}`
  })
}

/**
 * The cases that any of these words choose: `rule-26`, `must`, `sotw`, or a piece of a title. Without words, all.
 */
export function choose(parts: readonly Part[], words: readonly string[]): readonly Part[] {
  if (words.length === 0) return parts
  const isChosen = (one: Case): boolean =>
    words.some((word) => {
      const [, rule] = /^rule-(\d+)$/.exec(word) ?? []
      if (rule !== undefined) return one.rules.includes(Number(rule))
      return word === one.level || word === one.protocol || nameOf(one).includes(word)
    })
  return parts
    .map(({ title, cases }) => ({ title, cases: cases.filter(isChosen) }))
    .filter(({ cases }) => cases.length > 0)
}
