import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseDocument } from '../src/config/parse-document.ts'
import { loadEnvoyApi } from '../src/resource/envoy-api.ts'

const api = loadEnvoyApi()
const pages = ['config', 'services', 'routes', 'gateways']

/** The documents of kinds that a page shows; what it shows without a kind is a part of one. */
const shown = (page: string): readonly string[] => {
  const text = readFileSync(join(import.meta.dirname, '..', 'docs', `${page}.md`), 'utf8')
  return [...text.matchAll(/^```yaml\n(.*?)^```/gms)].flatMap(([, yaml = '']) => (/^kind:/m.test(yaml) ? yaml : []))
}

describe.each(pages)('what docs/%s.md shows', (page) => {
  test.each(shown(page).map((yaml, index) => [index + 1, yaml] as const))('is in force: example %d', (_, text) => {
    const { problems, documents } = parseDocument(api, { id: 'file:a.yaml', origin: { name: `${page}.md` }, text })
    expect(problems).toEqual([])
    expect(documents.length).toBeGreaterThan(0)
  })
})
