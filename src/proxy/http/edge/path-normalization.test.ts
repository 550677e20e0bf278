import { expect, test } from 'vitest'
import { Headers } from '../headers.ts'
import { normalizePath } from './path-normalization.ts'

const all = { normalizesPath: true, mergesSlashes: true, escapedSlashes: 'KEEP_UNCHANGED' } as const

function normalized(path: string, rules: Parameters<typeof normalizePath>[1] = all): string {
  const request = Headers.of({ ':path': path })
  const verdict = normalizePath(request, rules)
  return verdict === 'ok' ? (request.get(':path') as string) : `${verdict} ${request.get(':path')}`
}

test.each([
  ['/', '/'],
  ['/a/b', '/a/b'],
  ['/a/../b', '/b'],
  ['/a/./b/.', '/a/b/'],
  ['/a/b/..', '/a/'],
  ['/../../a', '/a'],
  ['/a//b///c', '/a/b/c'],
  ['/a\\b', '/a/b'],
  ['/%41%2e%2E/b', '/A../b'],
  ['/a/%2e%2e/b', '/b'],
  ['/a%2Fb', '/a%2Fb'],
  ['/a"<>`{}|^', '/a%22%3C%3E%60%7B%7D%7C%5E'],
  ['/a%zz', '/a%zz'],
  ['/a?b=../c//d', '/a?b=../c//d'],
  ['/.a/..b', '/.a/..b'],
  ['/a%00', 'reject /a%00'],
  ['/a#b', 'reject /a#b'],
])('%s becomes %s', (path, expected) => {
  expect(normalized(path)).toBe(expected)
})

test('escaped slashes are dealt with as the rules say', () => {
  const escaped = (escapedSlashes: 'REJECT_REQUEST' | 'UNESCAPE_AND_REDIRECT' | 'UNESCAPE_AND_FORWARD'): string =>
    normalized('/a%2Fb%5c?x=%2F', { ...all, escapedSlashes })
  expect(escaped('REJECT_REQUEST')).toMatch(/^reject/)
  expect(escaped('UNESCAPE_AND_REDIRECT')).toBe('redirect /a/b/?x=%2F')
  expect(escaped('UNESCAPE_AND_FORWARD')).toBe('/a/b/?x=%2F')
})

test('nothing is changed where nothing is asked for', () => {
  const none = { normalizesPath: false, mergesSlashes: false, escapedSlashes: 'KEEP_UNCHANGED' } as const
  expect(normalized('/a/../b//c', none)).toBe('/a/../b//c')
})
