import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { readCases } from './conformance/read-cases.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (path: string): string => readFileSync(join(root, path), 'utf8')

interface Row {
  readonly rule: number
  readonly text: string
  /** Paths from the repository's root. */
  readonly sources: readonly string[]
  readonly tests: readonly string[]
}

const rows = read('docs/protocol.md')
  .split('\n')
  .flatMap((line): Row[] => {
    const [, rule, text, sources, tests] = /^\| (\d+) \| (.*) \| (.*) \| (.*) \|$/.exec(line) ?? []
    if (rule === undefined) return []
    return [{ rule: Number(rule), text: text ?? '', sources: linksIn(sources), tests: linksIn(tests) }]
  })

function linksIn(cell = ''): readonly string[] {
  return [...cell.matchAll(/\]\(\.\.\/([^)]+)\)/g)].map(([, path]) => path as string)
}

/** The rules that the names of a file's tests cite: `rule 52: …`, `rules 14 and 27: …`, or in parentheses beside the code. */
function rulesCitedBy(path: string): ReadonlySet<number> {
  const pattern = path.startsWith('test/protocol/') ? /['"`]rules? ([^:'"`]+):/g : /\brules? ([\d–, and]+)/g
  const numbers = new Set<number>()
  for (const [, list = ''] of read(path).matchAll(pattern)) {
    for (const [, from, to] of list.matchAll(/(\d+)(?:–(\d+))?/g)) {
      for (let rule = Number(from); rule <= Number(to ?? from); rule++) numbers.add(rule)
    }
  }
  return numbers
}

const transcripts = readdirSync(join(root, 'test/protocol'))
  .filter((name) => name.startsWith('rule-') && name.endsWith('.test.ts'))
  .map((name) => `test/protocol/${name}`)

describe('docs/protocol.md', () => {
  test('has a row for every rule, in order', () => {
    expect(rows.map(({ rule }) => rule)).toEqual(Array.from({ length: 106 }, (_, index) => index + 1))
  })

  test.each(rows)('names files that exist for rule $rule', ({ sources, tests }) => {
    for (const path of sources) expect(path).toMatch(/^src\/.*(?<!\.test)\.ts$/)
    for (const path of tests) expect(path).toMatch(/^(src|test)\/.*\.test\.ts$/)
    for (const path of [...sources, ...tests]) expect(existsSync(join(root, path)), path).toBe(true)
  })

  test.each(rows.filter(({ rule }) => rule <= 67))('has a transcript for rule $rule', ({ rule, tests }) => {
    const citing = tests.filter((path) => path.startsWith('test/protocol/') && rulesCitedBy(path).has(rule))
    expect(citing).not.toEqual([])
  })

  test('says of every rule without a test that it is for another issue', () => {
    for (const { rule, text, tests } of rows) {
      if (tests.length === 0) expect(text, `rule ${rule}`).toMatch(/next issue|later issue/)
    }
  })
})

describe('transcripts', () => {
  test('are named by rules that exist, in whose rows they stand', () => {
    expect(transcripts.length).toBeGreaterThan(40)
    for (const path of transcripts) {
      const cited = rulesCitedBy(path)
      expect(cited.size, path).toBeGreaterThan(0)
      for (const rule of cited) {
        expect(rows.find((row) => row.rule === rule)?.tests, `rule ${rule}, cited in ${path}`).toContain(path)
      }
    }
  })

  test.each(transcripts)('each test of %s cites a rule first', (path) => {
    const titles = [...read(path).matchAll(/(?:^|\W)(?:test|transcript)\(\s*['"`]([^'"`]*)/g)].map(([, title]) => title)
    expect(titles).not.toEqual([])
    for (const title of titles) expect(title).toMatch(/^rules? \d+[\d, and]*:/)
  })
})

describe('the table of the conformance cases', () => {
  const directory = 'test/conformance/cases'
  const cited = new Map<string, Set<number>>()
  for (const { rules, place } of readCases(join(root, directory)).flatMap(({ cases }) => cases)) {
    const path = `${directory}/${place.file}`
    cited.set(path, new Set([...(cited.get(path) ?? []), ...rules]))
  }

  test('has a row for every file, with the rules that its cases cite', () => {
    const table = read('docs/protocol.md').matchAll(/^\| \[[\w-]+\]\(\.\.\/(\S+\.yaml)\) \| ([\d ]+) \|$/gm)
    const said = [...table].map(([, path, rules = '']) => [path, rules.split(' ').map(Number)])
    const isLess = (a: number, b: number): number => a - b
    expect(said).toEqual([...cited].map(([path, rules]) => [path, [...rules].sort(isLess)]))
  })
})
