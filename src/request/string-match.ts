import { matchesWhole } from '../resource/regex.ts'
import type { FractionForm, HeaderMatchForm, StringMatchForm } from './envoy-form.ts'

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
  if (form.safe_regex !== undefined) return regexText(form.safe_regex.regex ?? '')
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

/** `beta or gamma` of what stands for a list of plain texts. */
function regexText(regex: string): string {
  const list = /^\(\?:((?:[^\\^$.*+?()[\]{}]|\\[^\w])*)\)$/.exec(regex)?.[1]
  if (list === undefined) return `matching ${regex}`
  return list
    .split('|')
    .map((text) => text.replaceAll(/\\(.)/g, '$1'))
    .join(' or ')
}

/** The oldest forms of a header matcher are fields of their own. */
export function stringMatchOf(form: HeaderMatchForm): StringMatchForm | undefined {
  if (form.string_match !== undefined) return form.string_match
  if (form.exact_match !== undefined) return { exact: form.exact_match }
  if (form.prefix_match !== undefined) return { prefix: form.prefix_match }
  if (form.suffix_match !== undefined) return { suffix: form.suffix_match }
  if (form.contains_match !== undefined) return { contains: form.contains_match }
  return form.safe_regex_match === undefined ? undefined : { safe_regex: form.safe_regex_match }
}
