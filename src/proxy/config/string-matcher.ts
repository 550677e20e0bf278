import { isRegex, matchesWhole } from '../../resource/regex.ts'
import type { FieldReader } from './field-reader.ts'

/** Whether a text is what a matcher asks for. */
export type TextTest = (text: string) => boolean

/** `envoy.type.matcher.v3.StringMatcher`. */
export function readStringMatcher(fields: FieldReader): TextTest {
  const ignoresCase = fields.flag('ignore_case')
  const folded = (name: string): string => (ignoresCase ? fields.string(name).toLowerCase() : fields.string(name))
  const insensitive = (test: TextTest): TextTest => (ignoresCase ? (text) => test(text.toLowerCase()) : test)
  if (fields.has('exact')) {
    const exact = folded('exact')
    return insensitive((text) => text === exact)
  }
  if (fields.has('prefix')) {
    const prefix = folded('prefix')
    return insensitive((text) => text.startsWith(prefix))
  }
  if (fields.has('suffix')) {
    const suffix = folded('suffix')
    return insensitive((text) => text.endsWith(suffix))
  }
  if (fields.has('contains')) {
    const part = folded('contains')
    return insensitive((text) => text.includes(part))
  }
  // `ignore_case` has no effect on a regex, in Envoy neither.
  return fields.message('safe_regex', readRegexMatcher) ?? (() => false)
}

/** `envoy.type.matcher.v3.RegexMatcher`, which is asked of the whole text. */
export function readRegexMatcher(fields: FieldReader): TextTest {
  const pattern = readPattern(fields)
  return (text) => matchesWhole(pattern, text)
}

/** The pattern of a `RegexMatcher`; one that RE2 cannot compile is refused. */
export function readPattern(fields: FieldReader): string {
  fields.ignore('google_re2', 'the only engine that there is')
  const pattern = fields.string('regex')
  if (isRegex(pattern)) return pattern
  fields.refuse('regex', 'it is no RE2 regular expression')
  return ''
}
