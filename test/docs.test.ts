import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { generateDocs } from '../scripts/generated-docs.ts'
import { formatProblems } from '../src/cli/problem-text.ts'
import { parseDocument } from '../src/config/parse-document.ts'
import type { Problem } from '../src/errors.ts'
import { createMetrics } from '../src/metrics.ts'
import { flagOf, optionTable, variableOf } from '../src/options/options.ts'
import { loadEnvoyApi } from '../src/resource/envoy-api.ts'
import { resourceTypes } from '../src/resource/type-url.ts'
import { createWorld } from '../src/snapshot/world.ts'
import { anchorsOf } from './support/anchors.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (path: string): string => readFileSync(join(root, path), 'utf8')

const markdown = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...['docs', 'examples', 'snapshots'].flatMap((directory) =>
    readdirSync(join(root, directory), { recursive: true, encoding: 'utf8' }).map((name) => join(directory, name)),
  ),
].filter((name) => name.endsWith('.md'))

describe('links', () => {
  test.each(markdown)('every link of %s leads somewhere', (path) => {
    expect(brokenLinks(path)).toEqual([])
  })
})

describe('generated pages', () => {
  test('are as `npm run docs` writes them', async () => {
    const generated = await generateDocs()
    expect(generated.size).toBeGreaterThan(1)
    for (const [path, text] of generated) expect(read(path), path).toBe(text)
  })

  test('name every option of serve with its flag and its variable', () => {
    const page = read('docs/cli.md')
    expect(optionTable.length).toBeGreaterThan(20)
    for (const { name, isFileOnly } of optionTable) {
      expect(page).toContain(`\`${name}\``)
      if (isFileOnly === true) continue
      expect(page).toContain(`\`${flagOf(name)}`)
      expect(page).toContain(`\`${variableOf(name)}\``)
    }
  })
})

describe('the README', () => {
  const readme = read('README.md')
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
  const ciLine = /^line='(.+)'$/m.exec(read('.ci/run'))?.[1]

  test('has a first command that the package has', () => {
    expect(readme).toContain('\nnpm ci && npm run demo\n')
    expect(scripts).toHaveProperty('demo')
  })

  test('has a second command that is the one of CI', () => {
    expect(ciLine).toBeDefined()
    expect(readme).toContain(`\n${ciLine}\n`)
  })

  test.each(markdown)('and %s name only npm scripts that there are', (path) => {
    const named = [...read(path).matchAll(/npm run ([a-z:]+)/g)].map(([, name]) => name as string)
    for (const name of named) expect(scripts).toHaveProperty([name])
  })
})

describe('docs/errors.md', () => {
  const sections = sectionsOf(read('docs/errors.md'))

  test('has a section for every code of a problem, and for no other', () => {
    expect([...sections.keys()].sort()).toEqual(problemCodes().sort())
  })

  test.each([...sections])('says of %s what it means, what it looks like and how to mend it', (code, section) => {
    expect(section.meaning.length).toBeGreaterThan(20)
    expect(section.message).toContain(`(${code})`)
    expect(section.text).toContain('**Fix:**')
  })

  test.each([...sections].filter(([, { document }]) => document !== undefined))(
    'shows for %s what its document really gives',
    (code, { document, message }) => {
      const problems = problemsOf(document as string).filter((problem) => problem.code === code)
      expect(formatProblems(problems, { color: false })).toBe(message)
    },
  )
})

test.each(['docs/routes.md', 'docs/gateways.md', 'docs/sidecars.md'])(
  'the documents that %s shows are right',
  (path) => {
    const texts = [...read(path).matchAll(/^```yaml\n([\s\S]*?)^```/gm)].map(([, text]) => text as string)
    expect(texts.length).toBeGreaterThan(0)
    for (const text of texts) {
      const { problems } = parseDocument(loadEnvoyApi(), { id: path, text, origin: { name: path } })
      expect(problems).toEqual([])
    }
  },
)

test('docs/operations.md explains every metric of ours, and no other', async () => {
  const metrics = await createMetrics().registry.getMetricsAsJSON()
  const ours = metrics.map(({ name }) => name).filter((name) => name.startsWith('fairlead_'))
  const rows = [...read('docs/operations.md').matchAll(/^\| `(fairlead_\w+)/gm)].map(([, name]) => name as string)
  expect(ours.length).toBeGreaterThan(5)
  expect([...new Set(rows)].sort()).toEqual(ours.sort())
})

test('docs/admin-api.md names every path of REST xDS', () => {
  const page = read('docs/admin-api.md')
  for (const { rest } of Object.values(resourceTypes)) if (rest !== undefined) expect(page).toContain(`\`${rest}\``)
})

test('every decision has a context, a decision and a consequence, and stands in the list', () => {
  const names = readdirSync(join(root, 'docs/decisions')).filter((name) => /^\d{4}-/.test(name))
  expect(names.length).toBeGreaterThan(0)
  for (const name of names) {
    const text = read(`docs/decisions/${name}`)
    for (const heading of ['Context', 'Decision', 'Consequence']) expect(text, name).toContain(`\n## ${heading}\n`)
    expect(read('docs/decisions/README.md')).toContain(`(${name})`)
  }
})

// ---- links

function brokenLinks(path: string): string[] {
  const withoutCode = read(path).replace(/^```[\s\S]*?^```/gm, '')
  const targets = [...withoutCode.matchAll(/\]\(([^)\s]+)\)|(?:src|srcset)="([^"]+)"/g)]
    .map(([, link, source]) => link ?? source ?? '')
    .filter((target) => !/^[a-z]+:/.test(target))
  return targets.filter((target) => {
    const [file = '', anchor] = target.split('#')
    const linked = file === '' ? path : join(dirname(path), file)
    if (!existsSync(join(root, linked))) return true
    return anchor !== undefined && linked.endsWith('.md') && !anchorsOf(read(linked)).includes(anchor)
  })
}

// ---- docs/errors.md

interface Section {
  readonly text: string
  readonly meaning: string
  readonly document: string | undefined
  readonly message: string
}

function sectionsOf(page: string): ReadonlyMap<string, Section> {
  const parts = page.split(/^### `([a-z-]+)`$/m).slice(1)
  const sections = new Map<string, Section>()
  for (let at = 0; at < parts.length; at += 2) {
    const text = (parts[at + 1] ?? '').replace(/^## [\s\S]*/m, '')
    sections.set(parts[at] as string, {
      text,
      meaning: text.replace(/^```[\s\S]*/m, '').trim(),
      document: /^```yaml\n([\s\S]*?)^```/m.exec(text)?.[1],
      message: (/^```text\n([\s\S]*?)^```/m.exec(text)?.[1] ?? '').trimEnd(),
    })
  }
  return sections
}

/** From the source: a type leaves nothing behind to ask. */
function problemCodes(): string[] {
  const union = /export type ProblemCode =\n((?: {2}\| '[a-z-]+'\n)+)/.exec(read('src/errors.ts'))?.[1] ?? ''
  return [...union.matchAll(/'([a-z-]+)'/g)].map(([, code]) => code as string)
}

function problemsOf(text: string): readonly Problem[] {
  const { documents, invalid, problems } = parseDocument(loadEnvoyApi(), {
    id: 'file:shop.yaml',
    text,
    origin: { name: 'shop.yaml' },
  })
  const world = createWorld({ staticNames: {}, allowPartial: true })
  const step = world.apply(
    [
      ...documents.map((unit) => ({ kind: 'valid', unit }) as const),
      ...invalid.map((document) => ({ kind: 'invalid', ...document }) as const),
    ],
    { isFirst: true },
  )
  return [...problems, ...step.problems]
}
