import type { Headers } from '../http/headers.ts'
import type { FieldReader } from './field-reader.ts'
import { readRegexMatcher, readStringMatcher, type TextTest } from './string-matcher.ts'

/** Whether the headers of a message are what a matcher asks for. */
export type HeaderTest = (headers: Headers) => boolean

/** `envoy.config.route.v3.HeaderMatcher`. Repeated headers are one text with commas. */
export function readHeaderMatcher(fields: FieldReader): HeaderTest {
  const name = fields.string('name').toLowerCase()
  const isInverted = fields.flag('invert_match')
  const takesMissingAsEmpty = fields.flag('treat_missing_header_as_empty')
  if (fields.has('present_match') || !fields.has(valueField(fields))) {
    const wantsPresence = fields.flag('present_match', true) !== isInverted
    return (headers) => (takesMissingAsEmpty || headers.has(name)) === wantsPresence
  }
  const test = readValueTest(fields)
  return (headers) => {
    const value = headers.joined(name) ?? (takesMissingAsEmpty ? '' : undefined)
    // What is not there fulfils no condition on its value, not even an inverted one.
    return value !== undefined && test(value) !== isInverted
  }
}

const valueFields = [
  'string_match',
  'exact_match',
  'prefix_match',
  'suffix_match',
  'contains_match',
  'safe_regex_match',
  'range_match',
]

const valueField = (fields: FieldReader): string => valueFields.find((name) => fields.has(name)) ?? ''

function readValueTest(fields: FieldReader): TextTest {
  const wanted = (name: string): string => fields.string(name)
  switch (valueField(fields)) {
    case 'exact_match': {
      const exact = wanted('exact_match')
      return (text) => text === exact
    }
    case 'prefix_match': {
      const prefix = wanted('prefix_match')
      return (text) => text.startsWith(prefix)
    }
    case 'suffix_match': {
      const suffix = wanted('suffix_match')
      return (text) => text.endsWith(suffix)
    }
    case 'contains_match': {
      const part = wanted('contains_match')
      return (text) => text.includes(part)
    }
    case 'range_match':
      return fields.message('range_match', readRange) ?? (() => false)
    case 'safe_regex_match':
      return fields.message('safe_regex_match', readRegexMatcher) ?? (() => false)
    default:
      return fields.message('string_match', readStringMatcher) ?? (() => false)
  }
}

/** Whole numbers from `start` up to, and without, `end`; no other text is in a range. */
function readRange(fields: FieldReader): TextTest {
  const start = fields.number('start') ?? 0
  const end = fields.number('end') ?? 0
  return (text) => /^-?\d+$/.test(text) && Number(text) >= start && Number(text) < end
}
