import { describe, expect, test } from 'vitest'
import { plainValue } from '../resource/tree.ts'
import { parseYaml } from './yaml-tree.ts'

const limits = { maxValues: 1000, maxDepth: 50 }

const values = (text: string): unknown[] => parseYaml(text, limits).map(({ tree }) => plainValue(tree))
const places = (text: string): string[] =>
  parseYaml(text, limits).flatMap(({ problems }) => problems.map(({ line, column }) => `${line}:${column}`))

describe('what YAML means', () => {
  test.each<[string, string, unknown[]]>([
    ['on and off are words', 'a: on\nb: off\nc: yes\nd: true', [{ a: 'on', b: 'off', c: 'yes', d: true }]],
    ['they stay words under a %YAML 1.1 directive', '%YAML 1.1\n---\na: on', [{ a: 'on' }]],
    ['numbers are numbers', 'a: 1\nb: 1.5\nc: 0x10\nd: -3', [{ a: 1, b: 1.5, c: 16, d: -3 }]],
    ['a quoted number is text', "a: '1'", [{ a: '1' }]],
    ['a date is text', 'a: 2024-01-01', [{ a: '2024-01-01' }]],
    ['JSON is YAML', '{"a": [1, {"b": null}], "c": "\\u00e9\\/"}', [{ a: [1, { b: null }], c: 'é/' }]],
    ['JSON may be indented with tabs', '{\n\t"a": [\n\t\t1\n\t]\n}', [{ a: [1] }]],
    ['keys that are numbers are text', '1: a\n1.10: b\ntrue: c', [{ 1: 'a', '1.10': 'b', true: 'c' }]],
    ['an absent value is null', 'a:\nb: {c}', [{ a: null, b: { c: null } }]],
    ['an alias is what its anchor is', 'a: &x {b: [1]}\nc: *x', [{ a: { b: [1] }, c: { b: [1] } }]],
    ['the nearest anchor before an alias counts', 'a: &x 1\nb: *x\nc: &x 2\nd: *x', [{ a: 1, b: 1, c: 2, d: 2 }]],
    ['an alias may be a key', 'a: &x n\n*x : 1', [{ a: 'n', n: 1 }]],
    [
      '<< merges, and what the map says itself wins',
      'a: &x {b: 1, c: 1}\nd: {c: 2, <<: *x}',
      [{ a: { b: 1, c: 1 }, d: { c: 2, b: 1 } }],
    ],
    ['<< merges a list, the first map first', '<<: [{a: 1}, {a: 2, b: 2}]', [{ a: 1, b: 2 }]],
    ["a quoted '<<' is a key", "'<<': {a: 1}", [{ '<<': { a: 1 } }]],
    ['__proto__ is a key like any other', '__proto__: {a: 1}', [JSON.parse('{"__proto__": {"a": 1}}')]],
    ['a byte order mark and CRLF are nothing', '\ufeffa: 1\r\nb: 2\r\n', [{ a: 1, b: 2 }]],
    ['documents are split at ---', 'a: 1\n---\nb: 2\n...\n', [{ a: 1 }, { b: 2 }]],
    ['empty documents are left out', '# only\n---\n---\n# a comment\n---\na: 1\n---\nnull\n---\n', [{ a: 1 }]],
    ['nothing is no document', '', []],
  ])('%s', (_, text, expected) => {
    expect(values(text)).toEqual(expected)
    expect(places(text)).toEqual([])
  })

  test('a 64-bit number keeps its digits', () => {
    const [document] = parseYaml('a: 18446744073709551615\nb: 1.10\nc: 7', limits)
    expect(document?.tree).toMatchObject({
      entries: [
        { key: 'a', value: { value: 18446744073709551615n, source: '18446744073709551615' } },
        { key: 'b', value: { value: 1.1, source: '1.10' } },
        { key: 'c', value: { value: 7 } },
      ],
    })
    expect(document?.tree).not.toHaveProperty('entries.2.value.source')
  })

  test('every value knows where it was written, an aliased one where its anchor is', () => {
    const [, document] = parseYaml('x: 1\n---\na: &x\n- {b: 1}\nc: *x', limits)
    expect(document).toMatchObject({ line: 3, column: 1 })
    expect(document?.tree).toMatchObject({
      entries: [
        { key: 'a', line: 3, column: 1, value: { line: 4, column: 1, items: [{ line: 4, column: 3 }] } },
        { key: 'c', line: 5, column: 1, value: { line: 4, column: 1 } },
      ],
    })
  })
})

describe('what is wrong with YAML', () => {
  test.each<[string, string, string, RegExp]>([
    ['a tab as indentation', 'a:\n\tb: 1', '2:1', /tab/],
    ['an unquoted @', '@type: x', '1:1', /reserves/],
    ['two colons in a line', 'a: b: c', '1:4', /second `:`/],
    ['an open quote', 'a: "b\nc: 1', '2:5', /not closed/],
    ['an open bracket', 'a: [1,\nb: 2', '2:1', /indentation/],
    ['an unknown escape', 'a: "\\q"', '1:5', /backslash/],
    ['a key without a colon', 'a: 1\nb\nc: 2', '2:1', /stand alone|`:`/],
    ['a wrong indentation', 'a:\n  b: 1\n c: 2', '3:1', /indentation/],
    ['a tag', 'a: !vault x', '1:4', /tag/],
    ['a tag that YAML 1.1 knows', 'a: !!binary aGk=', '1:4', /tag/],
    ['a key twice', 'a: 1\nb: 2\na: 3', '3:1', /`a` stands twice.*line 1/],
    ['a key twice in two spellings', '1: a\n"1": b', '2:1', /stands twice/],
    ['an alias of nothing', 'a: *x', '1:4', /anchor/],
    ['an alias of a later anchor', 'a: *x\nb: &x 1', '1:4', /anchor/],
    ['an alias within its own anchor', 'a: &x [*x]', '1:8', /anchor/],
    ['a merge of what is no map', '<<: 1', '1:1', /`<<` merges/],
    ['a list as key', '? [a]\n: 1', '1:3', /map or list/],
    ['an empty key', ': 1', '1:1', /empty/],
    ['too deep', `a: ${'['.repeat(60)}${']'.repeat(60)}`, '1:53', /deep/],
    [
      'too deep through aliases',
      `a: &a ${'['.repeat(30)}${']'.repeat(30)}\nb: ${'['.repeat(30)}*a${']'.repeat(30)}`,
      '2:34',
      /deep/,
    ],
  ])('%s', (_, text, place, message) => {
    const [document] = parseYaml(text, limits)
    expect(places(text)[0]).toBe(place)
    expect(document?.problems[0]?.message).toMatch(message)
    expect(
      document?.problems.every(({ severity, code, fix }) => severity === 'error' && code === 'syntax' && fix !== ''),
    ).toBe(true)
  })

  test('a hundred thousand brackets are a problem, not a crash', () => {
    const problems = parseYaml('['.repeat(100_000), limits).flatMap((document) => document.problems)
    expect(problems[0]?.message).toMatch(/deep/)
  })

  test('aliases of aliases that grow without bound are refused at once', () => {
    const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]']
    for (let i = 1; i < 40; i++)
      lines.push(
        `a${i}: &a${i} [${Array(10)
          .fill(`*a${i - 1}`)
          .join(', ')}]`,
      )
    const [document] = parseYaml(lines.join('\n'), { ...limits, maxValues: 1_000_000 })
    expect(document?.isBroken).toBe(true)
    expect(document?.problems[0]?.message).toMatch(/more than 1000000 values/)
  })

  test('ten thousand keys in one map are read without comparing each with each', () => {
    const text = Array.from({ length: 10_000 }, (_, index) => `k${index}: 1`).join('\n')
    expect(Object.keys(values(text)[0] as object)).toHaveLength(10_000)
  })

  test('the other documents of a stream are read', () => {
    const documents = parseYaml('a: 1\n---\nb: [\n---\nc: 1', limits)
    expect(documents.map(({ isBroken }) => isBroken)).toEqual([false, true, false])
  })

  test.each<[string, string, boolean]>([
    ['a dash too few', 'a: 1\n--\nb: 2', true],
    ['an indented separator', 'a: 1\n ---\nb: 2', true],
    ['a separator within an open quote', 'a: "x\n---\nb: 2', true],
    ['the keys of two documents in one', 'a: 1\na: 2', true],
    ['none of these', '---\na: {b: 1, b: 2}\n---\n', false],
  ])('a document that may have swallowed another is marked: %s', (_, text, expected) => {
    expect(parseYaml(text, limits)[0]?.mayHideAnother).toBe(expected)
  })
})
