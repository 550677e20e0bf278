import type { PlacedProblem } from '../build-generated.ts'
import { placeOf, type SourcePlace } from '../envoy-json.ts'
import type { MatchPart } from './match-json.ts'

/** A rule, as one host's table has it. */
export interface RankedRule {
  /** `cart/0` */
  readonly name: string
  /** The name of its Route. */
  readonly route: string
  readonly from: SourcePlace
  readonly parts: readonly MatchPart[]
}

/**
 * What the tables of a route configuration hold to no effect: a rule that matches the same as one of another Route, which
 * has the word (`conflict`), and a rule all of whose requests are taken by earlier ones of its own Route (`unreachable`).
 * @param tables of each host, in the order in which rules are asked
 */
export function ruleConflicts(tables: readonly (readonly RankedRule[])[]): readonly PlacedProblem[] {
  const found = new Map<string, PlacedProblem>()
  for (const table of tables) {
    const first = new Map<string, RankedRule>()
    const byRoute = new Map<string, RankedRule[]>()
    for (const rule of table) {
      const keys = rule.parts.flatMap(({ key, chance }) => (chance === 100 ? [key] : []))
      const rival = keys.map((key) => first.get(key)).find((other) => other !== undefined && other.route !== rule.route)
      for (const key of keys) if (!first.has(key)) first.set(key, rule)
      const own = byRoute.get(rule.route) ?? []
      const before = shadowOf(rule, own)
      byRoute.set(rule.route, own)
      own.push(rule)
      if (before !== undefined) found.set(rule.name, unreached(rule, before))
      else if (rival !== undefined && !found.has(rule.name)) found.set(rule.name, conflict(rule, rival))
    }
  }
  return [...found.values()]
}

/** The last of the rules that together take all that a rule matches; undefined where some of it comes through. */
function shadowOf(rule: RankedRule, earlier: readonly RankedRule[]): RankedRule | undefined {
  const covers = rule.parts.map((part) => earlier.find((other) => other.parts.some((one) => takesAll(one, part))))
  return covers.every((other) => other !== undefined) ? covers.at(-1) : undefined
}

/** As far as paths tell: what is asked of headers may overlap in ways that nobody sees. */
function takesAll(earlier: MatchPart, part: MatchPart): boolean {
  if (!hasItsChance(earlier, part.chance)) return false
  if (earlier.key === part.key) return true
  if (!earlier.isPathOnly) return false
  if (earlier.prefix === '') return true
  const path = part.prefix ?? part.exact
  if (path === undefined) return false
  if (earlier.prefix !== undefined) return path === earlier.prefix || path.startsWith(`${earlier.prefix}/`)
  return earlier.exact !== undefined && part.exact === earlier.exact
}

/** Chance is drawn once for a request: a later share gets only what it has more. One of 0 is to get nothing. */
function hasItsChance({ chance }: MatchPart, later: number): boolean {
  return chance === 100 || (chance >= later && later > 0)
}

function conflict(rule: RankedRule, rival: RankedRule): PlacedProblem {
  return {
    severity: 'warning',
    code: 'conflict',
    at: placeOf(rule.from),
    message: `The rule ${rule.name} matches the same as ${rival.name} of the Route ${rival.route}, which comes first and takes the requests.`,
    fix: 'Change `match` or `hosts` of one of them, or put both into one Route.',
  }
}

function unreached(rule: RankedRule, before: RankedRule): PlacedProblem {
  const isShare = before.parts.some(({ chance }) => chance < 100)
  const [why, fix] = isShare
    ? [
        'takes as large a share of them, and chance is drawn once for a request',
        'Give it the sum of both shares, or give one rule several `backends` with weights.',
      ]
    : ['takes them all', 'Put it before that rule, or remove it.']
  const message = `No request reaches the rule ${rule.name}: ${before.name}, which comes first, ${why}.`
  return { severity: 'warning', code: 'unreachable', at: placeOf(rule.from), message, fix }
}
