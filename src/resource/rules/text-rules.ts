import { RE2JS } from 're2js'
import { alternatives, type Check, firstOf, must, plural, type RuleView } from './rule-view.ts'
import { headerFormat, stringFormats } from './string-format.ts'

let skippedPatterns = 0

/** How many `pattern` rules were left out since the start because the RE2 in use cannot compile them. */
export function skippedPatternCount(): number {
  return skippedPatterns
}

/** `StringRules`. */
export function stringCheck(rules: RuleView, label: string): Check | undefined {
  const checks: Check[] = [
    ...sizeChecks(rules, label, ['len', 'min_len', 'max_len'], 'character', codePointCount),
    ...sizeChecks(rules, label, ['len_bytes', 'min_bytes', 'max_bytes'], 'byte', (value: string) =>
      Buffer.byteLength(value),
    ),
    ...affixChecks(rules, label, quote, {
      equals: (value: string, other: string) => value === other,
      startsWith: (value: string, other: string) => value.startsWith(other),
      endsWith: (value: string, other: string) => value.endsWith(other),
      includes: (value: string, other: string) => value.includes(other),
    }),
    ...patternChecks(rules, label, (value: string) => value),
  ]
  for (const [name, format] of Object.entries(stringFormats)) {
    if (rules.flag(name)) checks.push(must(format.test, `must be ${format.text}`, `set ${label} to ${format.text}`))
  }
  const header = headerFormat(Number(rules.one('well_known_regex') ?? 0), rules.one('strict') !== false)
  if (header)
    checks.push(
      must(
        header.test,
        `must be ${header.text}`,
        `take the characters that ${header.text} cannot have out of ${label}`,
      ),
    )
  return unlessEmpty(rules, firstOf(checks), (value: string) => value === '')
}

/** `BytesRules`. */
export function bytesCheck(rules: RuleView, label: string): Check | undefined {
  const checks: Check[] = [
    ...sizeChecks(rules, label, ['len', 'min_len', 'max_len'], 'byte', (value: Uint8Array) => value.length),
    ...affixChecks(rules, label, quoteBytes, {
      equals: (value: Uint8Array, other: Uint8Array) => Buffer.compare(value, other) === 0,
      startsWith: (value: Uint8Array, other: Uint8Array) =>
        Buffer.compare(value.subarray(0, other.length), other) === 0,
      endsWith: (value: Uint8Array, other: Uint8Array) =>
        value.length >= other.length && Buffer.compare(value.subarray(value.length - other.length), other) === 0,
      includes: (value: Uint8Array, other: Uint8Array) => Buffer.from(value).includes(Buffer.from(other)),
    }),
    ...patternChecks(rules, label, (value: Uint8Array) => Buffer.from(value).toString('utf8')),
  ]
  for (const [name, format] of Object.entries(packedAddresses)) {
    if (rules.flag(name)) {
      const text = `${format.text} in ${alternatives(format.sizes.map(String))} bytes`
      checks.push(
        must((value: Uint8Array) => format.sizes.includes(value.length), `must be ${text}`, `set ${label} to ${text}`),
      )
    }
  }
  return unlessEmpty(rules, firstOf(checks), (value: Uint8Array) => value.length === 0)
}

const packedAddresses: Readonly<Record<string, { readonly sizes: readonly number[]; readonly text: string }>> = {
  ip: { sizes: [4, 16], text: 'an IP address' },
  ipv4: { sizes: [4], text: 'an IPv4 address' },
  ipv6: { sizes: [16], text: 'an IPv6 address' },
}

function codePointCount(text: string): number {
  let count = 0
  for (const _ of text) count += 1
  return count
}

function unlessEmpty(rules: RuleView, check: Check | undefined, isEmpty: (value: never) => boolean): Check | undefined {
  if (!check || !rules.flag('ignore_empty')) return check
  return (value) => (isEmpty(value as never) ? undefined : check(value))
}

function sizeChecks(
  rules: RuleView,
  label: string,
  [exactly, atLeast, atMost]: readonly [string, string, string],
  unit: string,
  sizeOf: (value: never) => number,
): Check[] {
  const checks: Check[] = []
  const add = (limit: number | undefined, word: string, holds: (size: number, limit: number) => boolean): void => {
    if (limit === undefined) return
    const text = `${word}${plural(limit, unit)} long`
    const fix = limit === 1 && word === 'at least ' ? `give ${label} a value` : `make ${label} ${text}`
    checks.push(must((value) => holds(sizeOf(value), limit), `must be ${text}`, fix))
  }
  add(rules.size(exactly), '', (size, limit) => size === limit)
  add(rules.size(atLeast), 'at least ', (size, limit) => size >= limit)
  add(rules.size(atMost), 'at most ', (size, limit) => size <= limit)
  return checks
}

interface TextOperations<T> {
  readonly equals: (value: T, other: T) => boolean
  readonly startsWith: (value: T, other: T) => boolean
  readonly endsWith: (value: T, other: T) => boolean
  readonly includes: (value: T, other: T) => boolean
}

/** const, prefix, suffix, contains, not_contains, in and not_in. */
function affixChecks<T>(rules: RuleView, label: string, show: (value: T) => string, text: TextOperations<T>): Check[] {
  const checks: Check[] = []
  const add = (name: string, says: string, does: string, holds: (value: T, other: T) => boolean): void => {
    const other = rules.one(name) as T | undefined
    if (other === undefined) return
    checks.push(must((value: T) => holds(value, other), `must ${says} ${show(other)}`, `${does} ${show(other)}`))
  }
  add('const', 'be', `set ${label} to`, text.equals)
  add('prefix', 'begin with', `let ${label} begin with`, text.startsWith)
  add('suffix', 'end in', `let ${label} end in`, text.endsWith)
  add('contains', 'contain', `let ${label} contain`, text.includes)
  add('not_contains', 'not contain', `let ${label} not contain`, (value, other) => !text.includes(value, other))
  const allowed = rules.many('in') as T[]
  if (allowed.length > 0) {
    const list = alternatives(allowed.map(show))
    checks.push(
      must(
        (value: T) => allowed.some((other) => text.equals(value, other)),
        `must be ${list}`,
        `set ${label} to ${list}`,
      ),
    )
  }
  const refused = rules.many('not_in') as T[]
  if (refused.length > 0) {
    const list = alternatives(refused.map(show))
    checks.push(
      must(
        (value: T) => !refused.some((other) => text.equals(value, other)),
        `must not be ${list}`,
        `set ${label} to another value than ${list}`,
      ),
    )
  }
  return checks
}

/** Envoy's validators ask RE2 for a match of the whole value, whether or not the pattern has anchors. */
function patternChecks(rules: RuleView, label: string, toText: (value: never) => string): Check[] {
  const pattern = rules.one('pattern') as string | undefined
  if (pattern === undefined) return []
  try {
    const regex = RE2JS.compile(pattern)
    return [
      must(
        (value) => regex.matches(toText(value)),
        `must match ${quote(pattern)}`,
        `let ${label} match ${quote(pattern)}`,
      ),
    ]
  } catch {
    skippedPatterns += 1
    return []
  }
}

function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 79)}…` : text)
}

function quoteBytes(bytes: Uint8Array): string {
  return `0x${Buffer.from(bytes).toString('hex').slice(0, 40)}`
}
