import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parseAllDocuments, stringify } from 'yaml'
import { createRandom, type Random, seedsOf } from '../../../test/support/random.ts'
import { loadEnvoyApi } from '../../resource/envoy-api.ts'
import { parseDocument } from '../parse-document.ts'
import { formOfResource } from './form-of-resource.ts'
import { everything } from './not-yet.ts'

const api = loadEnvoyApi()
const model = readFileSync(new URL('model-kinds.yaml.txt', import.meta.url), 'utf8')
const documents = parseAllDocuments(model).map((document) => document.toJS() as Json)

type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

const odd: readonly Json[] = [
  null,
  true,
  0,
  -1,
  1e30,
  1.5,
  '',
  'x',
  '*',
  'off',
  '10%',
  '5s',
  '/a',
  'a:1',
  '\u0000',
  [],
  {},
  [null],
  [[]],
  [{}],
  { a: 1 },
  { '': '' },
  { any: [{}] },
  { not: {} },
  { labels: [] },
  [{ path: {} }, { exact: 'a', prefix: 'b' }],
]

const oddKeys = ['constructor', '__proto__', 'toString', 'name', 'nodes', 'hash', 'tls', 'match', 'path', 'x y']

/** The same, with one place of it changed. */
function mutated(random: Random, value: Json): Json {
  if (Array.isArray(value) && value.length > 0 && random.chance(0.85)) {
    const index = random.below(value.length)
    if (random.chance(0.1)) return value.filter((_, at) => at !== index)
    return value.map((item, at) => (at === index ? mutated(random, item) : item))
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value) && random.chance(0.9)) {
    const entries = Object.entries(value)
    if (entries.length === 0 || random.chance(0.1)) {
      return Object.fromEntries([...entries, [random.pick(oddKeys), random.pick(odd)]])
    }
    const index = random.below(entries.length)
    if (random.chance(0.1)) return Object.fromEntries(entries.filter((_, at) => at !== index))
    return Object.fromEntries(entries.map(([key, item], at) => [key, at === index ? mutated(random, item) : item]))
  }
  return random.pick(odd)
}

test('a document of any shape is read, or refused with a place and a fix', () => {
  let inForce = 0
  for (const seed of seedsOf(1500)) {
    const random = createRandom(seed)
    let document = random.pick(documents)
    for (let count = 1 + random.below(3); count > 0; count--) document = mutated(random, document)
    // A text without a document is no error.
    if (document === null) continue
    const text = stringify(document)
    const lines = text.split('\n').length
    const parsed = parseDocument(api, { id: 'a', text, origin: { name: 'a.yaml' } }, { notYet: everything })
    for (const { origin, path, message, fix, severity } of parsed.problems) {
      const told = `seed ${seed}: ${origin.line}:${origin.column} ${path}: ${message} ${fix}`
      expect(severity, told).toBe('error')
      expect(origin.line, told).toBeGreaterThan(0)
      expect(origin.line, told).toBeLessThanOrEqual(lines)
      expect(fix, told).toMatch(/\S/)
      expect(told).not.toMatch(/placeholder|undefined|fairlead\.v1/)
    }
    expect(parsed.documents.length === 0, `seed ${seed}: ${text}`).toBe(parsed.problems.length > 0)
    for (const { resources } of parsed.documents) {
      for (const resource of resources) {
        inForce++
        const restored = comparable(formOfResource(api, { ...resource }))
        expect(restored, `seed ${seed}`).toEqual(comparable(formOfResource(api, resource)))
      }
    }
  }
  expect(inForce).toBeGreaterThan(0)
}, 60_000)

/** What a Patch merges stands nowhere when it is read from bytes, and in the order of its keys. */
function comparable(form: unknown): unknown {
  return JSON.parse(
    JSON.stringify(form, (key, value: unknown) => {
      if (key === 'line' || key === 'column') return undefined
      return key === 'entries' ? (value as { key: string }[]).toSorted((a, b) => (a.key < b.key ? -1 : 1)) : value
    }),
  )
}
