import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { type Case, nameOf } from './case.ts'
import { resourceJson } from './kinds.ts'
import { CaseFileError, readCases, readParts } from './read-cases.ts'
import { choose } from './run-cases.ts'
import { loadWire } from './wire.ts'

const directory = fileURLToPath(new URL('cases', import.meta.url))

const head = 'part: P\ncases:\n'

/** The problems of a file with these cases. */
function problemsOf(text: string): readonly string[] {
  try {
    readParts([{ file: 'x.yaml', text: `${head}${text}` }])
    return []
  } catch (error) {
    if (error instanceof CaseFileError) return error.problems
    throw error
  }
}

function casesOf(text: string): readonly Case[] {
  return readParts([{ file: 'x.yaml', text: `${head}${text}` }]).flatMap(({ cases }) => cases)
}

const good = `- must: A thing is so
  rule: 26
  turns:
    - given: {cluster: [a]}
    - client subscribes: {cluster: []}
`

describe('a case', () => {
  test('is played over both protocols, or over those that it names', () => {
    expect(casesOf(good).map(({ protocol }) => protocol)).toEqual(['sotw', 'delta'])
    expect(casesOf(`${good}  over: delta\n`).map(({ protocol }) => protocol)).toEqual(['delta'])
  })

  test('is one for each value of its variables', () => {
    const text = good.replaceAll('cluster', '<type>').replace('A thing', 'A <type>')
    const cases = casesOf(`${text}  each: {type: [cluster, listener]}\n  over: sotw\n`)
    expect(cases.map(nameOf)).toEqual(['A cluster is so (sotw)', 'A listener is so (sotw)'])
    expect(cases[1]?.turns[1]).toMatchObject({ kind: 'subscribe', names: { listener: [] } })
  })

  test('has turns for one protocol alone', () => {
    const cases = casesOf(`${good}    - client says: {type: cluster}\n      over: sotw\n`)
    expect(cases.map(({ turns }) => turns.length)).toEqual([3, 2])
  })

  test('gives lists to the group edge, and maps to other groups', () => {
    const [one] = casesOf(good.replace('{cluster: [a]}', '{cluster: [a@2, "c{1..3}"], cart: {route: [r -> x + y]}}'))
    const given = one?.turns[0]
    const world = given?.kind === 'given' ? given.world : {}
    expect(world['edge']?.map(({ name, revision }) => `${name}@${revision}`)).toEqual(['a@2', 'c1@1', 'c2@1', 'c3@1'])
    expect(world['cart']).toMatchObject([{ kind: 'route', name: 'r', targets: ['x', 'y'] }])
  })

  test('tells what is removed, and by whom nothing is said', () => {
    const [one] = casesOf(`${good}    - server sends only: {cluster: [a, removed b]}\n      then: {reject: a}\n`)
    expect(one?.turns[2]).toMatchObject({
      kind: 'send',
      isOnly: true,
      expected: { cluster: { removed: ['b'] } },
      reply: { kind: 'reject', names: ['a'] },
      place: { file: 'x.yaml', line: 8 },
      text: 'server sends only: {cluster: [a, removed b]}  then: {reject: a}',
    })
  })
})

describe('mistakes in a file', () => {
  test.each([
    ['no rule', good.replace('  rule: 26\n', ''), 'x.yaml:3:3: a case cites its `rule`'],
    ['no level', good.replace('must', 'can'), 'x.yaml:3:3: a case has no `can`'],
    ['two levels', `${good}  should: so\n`, 'x.yaml:3:3: a case says `must` or `should` or `ours`, one of them'],
    ['an unknown key', `${good}  ovr: delta\n`, 'x.yaml:8:3: a case has no `ovr`; did you mean `over`?'],
    ['an unknown protocol', `${good}  over: rest\n`, 'x.yaml:8:9: `over` is sotw or delta, not `rest`'],
    [
      'an unknown turn',
      good.replace('subscribes', 'subscribe'),
      'x.yaml:7:7: no turn is called `client subscribe`; did',
    ],
    [
      'an unknown type',
      good.replace('subscribes: {cluster', 'subscribes: {clutser'),
      'x.yaml:7:27: there is no type `clu',
    ],
    [
      'an unknown kind',
      good.replace('given: {cluster', 'given: {clusters'),
      'x.yaml:6:15: there is no kind `clusters`; did',
    ],
    ['an unknown client', good.replace('client sub', 'second sub'), 'x.yaml:7:7: there is no client `second`'],
    ['a missing target', good.replace('cluster: [a]', 'tcpListener: [a]'), 'x.yaml:6:29: a tcpListener names another'],
    ['no given', good.replace('given: {cluster: [a]}', 'server is silent'), 'x.yaml:6:5: the first turn is a `given`'],
    ['a reply to a request', `${good}      then: reject\n`, 'x.yaml:8:7: `then` goes with what a server sends'],
    ['a title that is there twice', good + good, 'x.yaml:8: the title is that of x.yaml:3, too'],
    ['a rule that is no number', good.replace('26', 'x26'), 'x.yaml:4:9: a rule is a number, not `x26`'],
    ['what is no YAML', `${good}  - [\n`, 'x.yaml:8:'],
  ])('%s', (_what, text, problem) => {
    expect(problemsOf(text)[0]?.slice(0, problem.length)).toBe(problem)
  })

  test('are told all at once, each once', () => {
    const text = `${good.replace('26', 'x')}${good.replace('thing', 'second').replace('subscribes', 'sings')}`
    expect(problemsOf(text)).toHaveLength(2)
  })
})

describe('the cases', () => {
  const parts = readCases(directory)
  const cases = parts.flatMap((part) => part.cases)

  test('are in the files of the directory, a part each', () => {
    expect(parts).toHaveLength(readdirSync(directory).length)
    expect(new Set(parts.map(({ title }) => title)).size).toBe(parts.length)
  })

  test('cite rules that exist', () => {
    for (const { rules, title } of cases) {
      expect(rules.length, title).toBeGreaterThan(0)
      for (const rule of rules) expect(rule, title).toBeLessThanOrEqual(106)
    }
  })

  test('call OURS what rules 101 to 106 say, and nothing else', () => {
    for (const { level, rules, title } of cases) {
      if (level === 'ours')
        expect(
          rules.some((rule) => rule > 100),
          title,
        ).toBe(true)
      if (level === 'must')
        expect(
          rules.every((rule) => rule <= 100),
          title,
        ).toBe(true)
    }
  })

  test('give resources that Envoy knows', () => {
    const wire = loadWire()
    for (const { turns } of cases) {
      for (const turn of turns) {
        if (turn.kind !== 'given') continue
        for (const spec of Object.values(turn.world).flat().slice(0, 20)) wire.check(resourceJson(spec))
      }
    }
  })

  test.each(['rule-26', 'ours', 'delta', 'newly named'])('can be chosen by %s', (word) => {
    const chosen = choose(parts, [word]).flatMap((part) => part.cases)
    expect(chosen.length).toBeGreaterThan(0)
    expect(chosen.length).toBeLessThan(cases.length)
  })
})

test('the README counts the cases as they are', () => {
  const readme = readFileSync(fileURLToPath(new URL('README.md', import.meta.url)), 'utf8')
  const cases = readCases(directory).flatMap((part) => part.cases)
  const count = (level: string): number => cases.filter((one) => one.level === level).length
  const counted = `${cases.length} cases: ${count('must')} MUST, ${count('should')} SHOULD, ${count('ours')} OURS`
  expect(readme).toContain(counted)
})
