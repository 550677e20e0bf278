import { matchesWhole } from '../resource/regex.ts'
import type { FractionForm, StringMatchForm } from './envoy-form.ts'

/** `type.matcher.v3.StringMatcher`. */
export function matchesString(form: StringMatchForm, text: string): boolean {
  // What has its default is absent: `exact: ''` cannot be told from a matcher of nothing, and Envoy refuses the latter.
  if (form.safe_regex !== undefined) return matchesWhole(form.safe_regex.regex ?? '', text)
  const fold = (value: string): string => (form.ignore_case === true ? value.toLowerCase() : value)
  const value = fold(text)
  if (form.prefix !== undefined) return value.startsWith(fold(form.prefix))
  if (form.suffix !== undefined) return value.endsWith(fold(form.suffix))
  if (form.contains !== undefined) return value.includes(fold(form.contains))
  return value === fold(form.exact ?? '')
}

/** What it wants, for people. */
export function stringMatchText(form: StringMatchForm): string {
  if (form.safe_regex !== undefined) return `matching ${form.safe_regex.regex ?? ''}`
  if (form.prefix !== undefined) return `beginning with ${form.prefix}`
  if (form.suffix !== undefined) return `ending with ${form.suffix}`
  if (form.contains !== undefined) return `with ${form.contains} in it`
  return form.exact ?? ''
}

const denominators: Readonly<Record<string, number>> = { HUNDRED: 100, TEN_THOUSAND: 10_000, MILLION: 1_000_000 }

/** In percent, 0 to 100. */
export function percentOf({ numerator = 0, denominator = 'HUNDRED' }: FractionForm): number {
  return Math.min(100, (numerator / (denominators[denominator] ?? 100)) * 100)
}
