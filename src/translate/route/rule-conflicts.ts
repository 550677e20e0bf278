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
 * has the word (`conflict`), and a rule that no request reaches at any host (`unreachable`).
 * @param tables of each host, in the order in which rules are asked
 */
export function ruleConflicts(tables: readonly (readonly RankedRule[])[]): readonly PlacedProblem[] {
  const conflicts = new Map<string, PlacedProblem>()
  const shadows = new Map<string, { readonly rule: RankedRule; readonly before: RankedRule }>()
  const reached = new Set<string>()
  for (const table of tables) {
    const first = new Map<string, RankedRule>()
    for (const [index, rule] of table.entries()) {
      const rival = rule.parts.map(({ key }) => (key === undefined ? undefined : first.get(key))).find(isOther(rule))
      for (const { key } of rule.parts) if (key !== undefined && !first.has(key)) first.set(key, rule)
      if (rival !== undefined) {
        conflicts.set(rule.name, conflict(rule, rival))
        continue
      }
      const before = shadowOf(rule, table.slice(0, index))
      if (before === undefined) reached.add(rule.name)
      else shadows.set(rule.name, { rule, before })
    }
  }
  const unreachable = [...shadows.values()].filter(({ rule }) => !reached.has(rule.name) && !conflicts.has(rule.name))
  return [...conflicts.values(), ...unreachable.map(({ rule, before }) => unreached(rule, before))]
}

const isOther =
  (rule: RankedRule) =>
  (other: RankedRule | undefined): other is RankedRule =>
    other !== undefined && other.route !== rule.route

/** The last of the rules that together take all that a rule matches; undefined where some of it comes through. */
function shadowOf(rule: RankedRule, earlier: readonly RankedRule[]): RankedRule | undefined {
  const covers = rule.parts.map((part) => earlier.find((other) => other.parts.some((one) => takesAll(one, part))))
  return covers.every((other) => other !== undefined) ? covers.at(-1) : undefined
}

/** As far as paths tell: what is asked of headers may overlap in ways that nobody sees. */
function takesAll(earlier: MatchPart, part: MatchPart): boolean {
  if (earlier.key !== undefined && earlier.key === part.key) return true
  if (!earlier.isPathOnly) return false
  if (earlier.prefix === '') return true
  const path = part.prefix ?? part.exact
  if (path === undefined) return false
  if (earlier.prefix !== undefined) return path === earlier.prefix || path.startsWith(`${earlier.prefix}/`)
  return earlier.exact !== undefined && part.exact === earlier.exact
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
  return {
    severity: 'warning',
    code: 'unreachable',
    at: placeOf(rule.from),
    message: `No request reaches the rule ${rule.name}: ${before.name}, which comes first, takes them all.`,
    fix: 'Put it before that rule, or remove it.',
  }
}
