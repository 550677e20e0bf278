import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { expect, test } from 'vitest'
import { documentKinds, kindOfType } from '../../src/config/kinds/kind-name.ts'
import { parseDocument } from '../../src/config/parse-document.ts'
import { loadEnvoyApi } from '../../src/resource/envoy-api.ts'
import { messageToJson } from '../../src/resource/json/codec.ts'
import { type OwnSchema, ownSchema, type SchemaField } from '../../src/resource/own-schema.ts'

const directory = import.meta.dirname
const api = loadEnvoyApi()

const inputs = readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter(
  (file) => file.endsWith('.yaml') && !file.endsWith('.golden.yaml'),
)

type Json = unknown
type JsonMap = Readonly<Record<string, Json>>

/** What documents say: `Service.port` for a field, `fairlead.v1.Mesh.Outbound.DENY` for a word. */
function said(schema: OwnSchema, json: Json): readonly string[] {
  return schema.fields.flatMap((field) => {
    const value = (json as JsonMap)[field.name]
    if (value === undefined) return []
    const values: readonly Json[] = field.cardinality === 'map' ? Object.values(value as JsonMap) : [value].flat()
    return [nameOf(schema, field), ...values.flatMap((one) => saidIn(field, one))]
  })
}

function saidIn({ schema, words }: SchemaField, value: Json): readonly string[] {
  if (schema !== undefined) return said(schema, value)
  return words.flatMap((word) => (word.name === value ? word.fullName : []))
}

/** What documents can say, but for what this version refuses. */
function sayable(schema: OwnSchema, seen = new Set<OwnSchema>()): readonly string[] {
  if (seen.has(schema)) return []
  seen.add(schema)
  return schema.fields
    .filter(({ later }) => later === undefined)
    .flatMap((field) => [
      nameOf(schema, field),
      ...field.words.flatMap((word) => (word.later === undefined ? word.fullName : [])),
      ...(field.schema === undefined ? [] : sayable(field.schema, seen)),
    ])
}

const nameOf = ({ word }: OwnSchema, { jsonName }: SchemaField): string => `${word}.${jsonName}`

const inGoldens = new Set(
  inputs.flatMap((file) => {
    const text = readFileSync(join(directory, file), 'utf8')
    const { documents } = parseDocument(api, { id: file, origin: { name: basename(file) }, text })
    return documents.flatMap(({ resources }) =>
      resources.flatMap(({ typeUrl, bytes }) => {
        const kind = kindOfType(typeUrl)
        return kind === undefined ? [] : said(ownSchema(api, kind), messageToJson(api, typeUrl, bytes))
      }),
    )
  }),
)

test.each(documentKinds)('each field and word of the kind %s is in the documents of some golden file', (kind) => {
  const wanted = sayable(ownSchema(api, kind))
  expect(wanted.length).toBeGreaterThan(0)
  expect(wanted.filter((one) => !inGoldens.has(one))).toEqual([])
})
