import { expect, it } from 'vitest'
import type { TextMatch } from '../../config/kinds/route-form.ts'
import { isRegex, matchesWhole } from '../../resource/regex.ts'
import { anyOf, regexOf } from './text-pattern.ts'

it.each<readonly [text: TextMatch, whole: string, isMatch: boolean]>([
  [{ exact: 'a.b' }, 'a.b', true],
  [{ exact: 'a.b' }, 'axb', false],
  [{ exact: '(a|b)*[c]{1}^$?+\\' }, '(a|b)*[c]{1}^$?+\\', true],
  [{ prefix: 'a.' }, 'a.bc', true],
  [{ prefix: 'a.' }, 'abc', false],
  [{ suffix: '.c' }, 'ab.c', true],
  [{ suffix: '.c' }, 'abc', false],
  [{ regex: 'a|b' }, 'b', true],
  [{ regex: 'a|b' }, 'ab', false],
])('%j as an expression for %j: %s', (text, whole, isMatch) => {
  expect(matchesWhole(regexOf(text), whole)).toBe(isMatch)
})

it('one expression is for any of several', () => {
  const regex = anyOf([{ exact: 'a' }, { prefix: 'b' }, { regex: 'c|d' }])
  expect(['a', 'bx', 'c', 'd', 'ax', 'cd'].filter((text) => matchesWhole(regex, text))).toEqual(['a', 'bx', 'c', 'd'])
})

it.each<readonly [text: TextMatch, inside: string]>([
  [{ prefix: 'a' }, 'ab'],
  [{ suffix: 'b' }, 'ab'],
  [{ regex: 'a.*b' }, 'axb'],
  [{ regex: 'a[^x]b' }, 'ayb'],
  [{ regex: 'a[^]]b' }, 'ayb'],
  [{ regex: 'a[^[:space:]-]b' }, 'ayb'],
  [{ regex: '\\S+\\D\\W' }, 'aa-'],
  [{ regex: 'a\\.b[.]\\Q.*\\E' }, 'a.b..*'],
])('%j within a list is %j, and does not reach over into the next', (text, inside) => {
  const regex = regexOf(text, ';')
  expect(isRegex(regex)).toBe(true)
  expect(matchesWhole(regex, inside)).toBe(true)
  for (let at = 1; at < inside.length; at++) {
    expect(matchesWhole(regex, `${inside.slice(0, at)};${inside.slice(at)}`)).toBe(false)
    expect(matchesWhole(regex, `${inside.slice(0, at)};${inside.slice(at + 1)}`)).toBe(false)
  }
})
