import { alternatives, type Check, must, type RuleView } from './rule-view.ts'

type Ordered = number | bigint

/**
 * The rules that every ordered value has: const, lt, lte, gt, gte, in, not_in. `toOrdered` turns a rule's or a
 * field's value into something that `<` compares; `show` writes a rule's value for people.
 */
export function orderedChecks(
  rules: RuleView,
  label: string,
  toOrdered: (value: unknown) => Ordered,
  show: (value: Ordered) => string,
): Check[] {
  const checks: Check[] = []
  const limit = (name: string): Ordered | undefined => {
    const value = rules.one(name)
    return value === undefined ? undefined : toOrdered(value)
  }
  const exact = limit('const')
  if (exact !== undefined) {
    checks.push(must((value) => toOrdered(value) === exact, `must be ${show(exact)}`, `set ${label} to ${show(exact)}`))
  }
  const range = rangeOf(limit('gt'), limit('gte'), limit('lt'), limit('lte'), show)
  if (range) {
    checks.push(
      must((value) => range.holds(toOrdered(value)), `must be ${range.text}`, `set ${label} to a value ${range.text}`),
    )
  }
  const allowed = rules.many('in').map(toOrdered)
  if (allowed.length > 0) {
    const text = alternatives(allowed.map(show))
    checks.push(must((value) => allowed.includes(toOrdered(value)), `must be ${text}`, `set ${label} to ${text}`))
  }
  const refused = rules.many('not_in').map(toOrdered)
  if (refused.length > 0) {
    const text = alternatives(refused.map(show))
    checks.push(
      must(
        (value) => !refused.includes(toOrdered(value)),
        `must not be ${text}`,
        `set ${label} to another value than ${text}`,
      ),
    )
  }
  return checks
}

interface Range {
  readonly holds: (value: Ordered) => boolean
  readonly text: string
}

/** With both limits set and the upper one not above the lower one, protoc-gen-validate allows what lies outside of them. */
function rangeOf(
  gt: Ordered | undefined,
  gte: Ordered | undefined,
  lt: Ordered | undefined,
  lte: Ordered | undefined,
  show: (value: Ordered) => string,
): Range | undefined {
  const lower = gt ?? gte
  const upper = lt ?? lte
  const isAbove = (value: Ordered): boolean => (gt === undefined ? value >= (gte as Ordered) : value > gt)
  const isBelow = (value: Ordered): boolean => (lt === undefined ? value <= (lte as Ordered) : value < lt)
  const above = lower === undefined ? '' : `${gt === undefined ? 'at least' : 'greater than'} ${show(lower)}`
  const below = upper === undefined ? '' : `${lt === undefined ? 'at most' : 'less than'} ${show(upper)}`
  if (lower === undefined) return upper === undefined ? undefined : { holds: isBelow, text: below }
  if (upper === undefined) return { holds: isAbove, text: above }
  return upper > lower
    ? { holds: (value) => isAbove(value) && isBelow(value), text: `${above} and ${below}` }
    : { holds: (value) => isAbove(value) || isBelow(value), text: `${below} or ${above}` }
}
