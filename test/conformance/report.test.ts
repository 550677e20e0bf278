import { stripVTControlCharacters } from 'node:util'
import { expect, test } from 'vitest'
import type { Level } from './case.ts'
import type { Failure } from './play-case.ts'
import { resultLines, scoreLines, scores } from './report.ts'
import type { Result } from './run-cases.ts'

function result(level: Level, failure?: Partial<Failure>): Result {
  const whole = {
    file: 'x.yaml',
    line: 7,
    turn: 'server is silent',
    reason: 'it is not',
    isUnsupported: false,
    ...failure,
  }
  return { part: 'P', level, rules: [26], title: 'So it is', protocol: 'sotw', ...(failure && { failure: whole }) }
}

test('a score leaves out what the server has no service for', () => {
  const results = [result('must'), result('must', {}), result('must', { isUnsupported: true }), result('ours')]
  expect(scores(results)).toEqual({
    must: { passed: 1, of: 2, unsupported: 1 },
    should: { passed: 0, of: 0, unsupported: 0 },
    ours: { passed: 1, of: 1, unsupported: 0 },
  })
  expect(stripVTControlCharacters(scoreLines(results)).split('\n')).toEqual([
    'MUST       1 of    2   50 %  (1 n/a)',
    'OURS       1 of    1  100 %',
  ])
})

test.each([
  [result('must'), undefined, ['ok    MUST    26      sotw   So it is']],
  [
    result('should', {}),
    undefined,
    ['FAIL  SHOULD  26      sotw   So it is', 'x.yaml:7  server is silent', 'it is not'],
  ],
  [
    result('ours', {}),
    'not yet',
    ['gap   OURS    26      sotw   So it is', 'x.yaml:7  server is silent', 'it is not', 'known: not yet'],
  ],
  [
    result('must', { isUnsupported: true }),
    undefined,
    ['n/a   MUST    26      sotw   So it is', 'x.yaml:7  server is silent', 'it is not'],
  ],
])('a result has a line, and a failure what went wrong', (given, gap, lines) => {
  const said = stripVTControlCharacters(resultLines(given, gap)).split('\n')
  expect(said.map((line) => line.trimStart())).toEqual(lines)
})
