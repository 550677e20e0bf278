import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { loadEnvoyApi } from '../src/resource/envoy-api.ts'
import { type OwnSchema, ownSchema } from '../src/resource/own-schema.ts'

const api = loadEnvoyApi()
const comments = JSON.parse(readFileSync(new URL('../dist/api/comments.json', import.meta.url), 'utf8')) as Readonly<
  Record<string, string>
>

function schemasBelow(schema: OwnSchema, found: Map<string, OwnSchema>): void {
  if (found.has(schema.word)) return
  found.set(schema.word, schema)
  for (const field of schema.fields) if (field.schema !== undefined) schemasBelow(field.schema, found)
}

test('every message and field of a kind says in one line what it is', () => {
  const schemas = new Map<string, OwnSchema>()
  for (const kind of ['Mesh', 'Service', 'Route', 'Gateway', 'Sidecar', 'Secret', 'Patch', 'Instance']) {
    schemasBelow(ownSchema(api, kind), schemas)
  }
  const names = [...schemas.values()].flatMap(({ word, fields }) => [
    `fairlead.v1.${word}`,
    ...fields.map(({ name }) => `fairlead.v1.${word}.${name}`),
  ])
  expect(names.length).toBeGreaterThan(200)
  expect(names.filter((name) => !/^\S.*[.:]$/.test(comments[name] ?? ''))).toEqual([])
})
