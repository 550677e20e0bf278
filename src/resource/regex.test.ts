import { expect, it } from 'vitest'
import { isRegex, matchesWhole, replaceMatches } from './regex.ts'

it.each([
  ['a+', true],
  ['a(?=b)', false],
])('%s is a regex of RE2: %s', (pattern, expected) => {
  expect(isRegex(pattern)).toBe(expected)
})

it.each([
  ['a+', 'aa', true],
  ['a+', 'aab', false],
  ['^a$', 'a', true],
  ['.*', 'a\nb', false],
])('%s matches the whole of %j: %s', (pattern, text, expected) => {
  expect(matchesWhole(pattern, text)).toBe(expected)
})

it.each([
  ['^/(\\w+)/(\\w+)', '/a/b/c', '/\\2/\\1', '/b/a/c'],
  ['a', 'banana', '\\0\\\\', 'ba\\na\\na\\'],
  ['a*', 'baac', 'x', 'xbxcx'],
  ['(a)|b', 'b', '[\\1]', '[]'],
])('%s in %s replaced by %s gives %s, as RE2 has it', (pattern, text, substitution, expected) => {
  expect(replaceMatches(pattern, text, substitution)).toBe(expected)
})
