import { expect, test } from 'vitest'
import { loadEnvoyApi } from '../../resource/envoy-api.ts'
import { type OwnSchema, ownSchema } from '../../resource/own-schema.ts'
import { notYet } from './not-yet.ts'

const api = loadEnvoyApi()

/** Every message below a kind. */
function schemasBelow(schema: OwnSchema, found = new Map<string, OwnSchema>()): ReadonlyMap<string, OwnSchema> {
  if (found.has(schema.word)) return found
  found.set(schema.word, schema)
  for (const field of schema.fields) if (field.schema !== undefined) schemasBelow(field.schema, found)
  return found
}

const kinds = ['Mesh', 'Service', 'Route', 'Gateway', 'Sidecar', 'Secret', 'Patch', 'Instance']
const schemas = kinds.flatMap((kind) => [...schemasBelow(ownSchema(api, kind)).values()])
const fields = schemas.flatMap((schema) =>
  schema.fields.map((field) => ({ name: `${schema.word}.${field.jsonName}`, field })),
)

test('all that the list refuses is in the schema', () => {
  const names = new Set(fields.map(({ name }) => name))
  const words = new Set(fields.flatMap(({ name, field }) => field.words.map(({ word }) => `${name}=${word}`)))
  expect([...notYet.kinds].filter((kind) => !kinds.includes(kind))).toEqual([])
  expect([...notYet.fields].filter((name) => !names.has(name))).toEqual([])
  expect([...notYet.words].filter((word) => !words.has(word))).toEqual([])
})

test('the list refuses no field that its document must have', () => {
  const required = fields.filter(({ name, field }) => field.isRequired && notYet.fields.has(name))
  expect(required.map(({ name }) => name)).toEqual([])
})

test('every bare form stands for a field that its message has', () => {
  for (const { bare, word } of schemas) if (bare !== undefined) expect(`${word}.${bare.jsonName}`).toMatch(/\.\w+$/)
  const bare = new Set(schemas.filter((schema) => schema.bare !== undefined).map(({ word }) => word))
  expect([...bare].sort()).toContain('TextMatch')
})

test('every key of a keyed list is a required field of its items', () => {
  const keyed = fields.filter(({ field }) => field.keyedBy !== undefined)
  expect(keyed.length).toBeGreaterThan(0)
  for (const { field } of keyed) {
    const key = field.schema?.fields.find(({ name }) => name === field.keyedBy)
    expect(key).toMatchObject({ value: 'text', isRequired: true })
  }
})
