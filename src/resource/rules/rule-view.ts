import type { ReflectList, ReflectMessage } from '@bufbuild/protobuf/reflect'

/** Why a value is refused, and what its author should do. Neither ever quotes the value: it may be a secret. */
export interface Breach {
  readonly message: string
  readonly fix: string
}

/** Undefined when the value passes. */
export type Check = (value: unknown) => Breach | undefined

/** A message of rules (`StringRules`, …) read by the names of its fields; a rule that is not set is undefined. */
export interface RuleView {
  one(name: string): unknown
  many(name: string): unknown[]
  flag(name: string): boolean
  /** A length or count. */
  size(name: string): number | undefined
}

export function viewRules(rules: ReflectMessage): RuleView {
  const get = (name: string): unknown => {
    const field = rules.desc.fields.find((field) => field.name === name)
    return field && rules.isSet(field) ? rules.get(field) : undefined
  }
  return {
    one: get,
    many: (name) => [...((get(name) as ReflectList | undefined) ?? [])],
    flag: (name) => get(name) === true,
    size: (name) => {
      const value = get(name)
      return value === undefined ? undefined : Number(value)
    },
  }
}

/** The first breach that any of the checks finds; undefined for no checks at all. */
export function firstOf(checks: readonly Check[]): Check | undefined {
  if (checks.length < 2) return checks[0]
  return (value) => {
    for (const check of checks) {
      const breach = check(value)
      if (breach) return breach
    }
    return undefined
  }
}

/** A check out of a predicate and what to say when it does not hold. The rule's own type says what `holds` is given. */
export function must(holds: (value: never) => boolean, message: string, fix: string): Check {
  const breach = { message, fix }
  return (value) => (holds(value as never) ? undefined : breach)
}

const longest = 40

/** Rule values as a person reads them: `a, b or c`, cut where it grows long. */
export function alternatives(values: readonly string[]): string {
  const shown = values.slice(0, 8).map((value) => (value.length > longest ? `${value.slice(0, longest - 1)}…` : value))
  if (values.length > shown.length) return `${shown.join(', ')}, …`
  const last = shown.pop() ?? ''
  return shown.length === 0 ? last : `${shown.join(', ')} or ${last}`
}

export function plural(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`
}
