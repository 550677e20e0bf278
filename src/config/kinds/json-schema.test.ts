import { readFileSync } from 'node:fs'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import { describe, expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { loadEnvoyApi } from '../../resource/envoy-api.ts'
import { loadOwnComments } from '../../resource/own-comments.ts'
import { parseDocument } from '../parse-document.ts'
import { type JsonSchema, type JsonSchemaOptions, jsonSchema } from './json-schema.ts'
import { everything, notYet } from './not-yet.ts'

const api = loadEnvoyApi()
const comments = loadOwnComments()

const schemaOf = (options: JsonSchemaOptions): JsonSchema => jsonSchema(api, comments, options)

/** What the schema itself has wrong is an error here. */
function compiled(schema: JsonSchema): ValidateFunction {
  const ajv = new Ajv2020({
    allErrors: true,
    strict: true,
    strictTypes: false,
    strictRequired: false,
    allowUnionTypes: true,
  })
  ajv.addKeyword('markdownDescription')
  ajv.addKeyword('markdownEnumDescriptions')
  ajv.addFormat('ipv4', /^\d+(\.\d+){3}$/)
  ajv.addFormat('ipv6', /^[0-9a-f:.]*:[0-9a-f:.]*$/i)
  return ajv.compile(schema)
}

const all = compiled(schemaOf({ notYet: everything }))
const model = readFileSync(new URL('model-kinds.yaml.txt', import.meta.url), 'utf8')

function valuesIn(text: string): readonly { readonly kind?: string }[] {
  return parseAllDocuments(text).map((document) => document.toJS() as { readonly kind?: string })
}

/** Where it is wrong, in the order of places. */
function wrongIn(validate: ValidateFunction, value: unknown): readonly string[] {
  validate(value)
  return [...new Set((validate.errors ?? []).map(({ instancePath }) => instancePath))].sort()
}

const service = (fields: object): object => ({ kind: 'Service', name: 'cart', ...fields })
const route = (rule: object): object => ({ kind: 'Route', name: 'cart', rules: [rule] })

describe('the examples of the model', () => {
  const built = model
    .replace(/^trustDomain:.*\n/m, '')
    .replace('mtls: permissive', 'mtls: disabled')
    .replace(/^ {2}rateLimit:.*\n/m, '')
    .replace(/^kind: Policy[\s\S]*?^---\n/m, '')

  test.each(valuesIn(built))('of a $kind is right', (document) => {
    all(document)
    expect(all.errors ?? []).toEqual([])
  })

  test('that are of a later version are wrong, each at its place', () => {
    const [mesh, , later] = valuesIn(model)
    expect(wrongIn(all, mesh)).toEqual(['', '/mtls'])
    expect(wrongIn(all, later)).toContain('/rules/1')
  })
})

describe('what the reader takes, the schema takes', () => {
  test.each([
    ['one value for a list', route({ backends: { service: 'cart' } })],
    ['a bare value for a map', route({ backends: 'cart', match: { path: '/api' } })],
    ['a list of bare values', route({ backends: ['cart', { service: 'old', weight: 1 }] })],
    ['a duration of several units', route({ backends: 'cart', timeout: '1m30.5s' })],
    ['a share with a percent sign', route({ backends: 'cart', mirror: { service: 'old', percent: '0.5%' } })],
    ['a share without', route({ backends: 'cart', mirror: { service: 'old', percent: 10 } })],
    ['a size with a unit', route({ backends: 'cart', maxRequestSize: '64KiB' })],
    ['a status without quotes', route({ backends: 'cart', retry: { retryOn: [503, '5xx'] } })],
    ['a header with one value', route({ backends: 'cart', match: { headers: { 'x-group': 'beta' } } })],
    ['a header with several', route({ backends: 'cart', match: { headers: { 'x-group': ['a', { prefix: 'b' }] } } })],
    ['a header that must not be', route({ backends: 'cart', match: { headers: { 'x-group': { not: 'beta' } } } })],
    ['versions by name', service({ endpoints: [], versions: { v1: { version: 'v1' }, v2: { labels: { v: '2' } } } })],
    ['a word for never', service({ endpoints: [], outlierDetection: 'off' })],
    ['a list that is empty and means it', service({ endpoints: [] })],
    ['raw resources', { nodes: { cluster: 'e' }, resources: [{ '@type': 'type.googleapis.com/x.Y', name: 'z' }] }],
    ['one raw resource', { '@type': 'type.googleapis.com/x.Y', name: 'z', nodes: [{ id: 'a' }] }],
  ])('%s', (_, document) => {
    const read = parseDocument(
      api,
      { id: 'x', text: JSON.stringify(document), origin: { name: 'x' } },
      { notYet: everything },
    )
    expect(read.problems.filter(({ code }) => code !== 'unknown-extension')).toEqual([])
    all(document)
    expect(all.errors ?? []).toEqual([])
  })
})

describe('what the reader refuses, the schema marks at its place', () => {
  test.each([
    ['a field that there is not', service({ enpoints: [] }), ''],
    ['a field that is missing', { kind: 'Service' }, ''],
    ['a kind that there is not', { kind: 'Servise', name: 'cart' }, '/kind'],
    ['a port out of range', service({ port: 70_000 }), '/port'],
    ['a word that there is not', service({ protocol: 'htp' }), '/protocol'],
    ['a word of a later version', service({ protocol: 'redis' }), '/protocol'],
    ['a duration without a unit', route({ backends: 'cart', timeout: 5 }), '/rules/0/timeout'],
    ['a list that is empty', { kind: 'Route', name: 'cart', rules: [] }, '/rules'],
    ['two of what excludes each other', route({ backends: 'a', hash: { header: 'x', cookie: 'y' } }), '/rules/0/hash'],
    ['none of what one must be of', route({ backends: 'a', hash: {} }), '/rules/0/hash'],
    ['a pattern that does not hold', route({ backends: 'a', hash: { header: 'x y' } }), '/rules/0/hash/header'],
    ['a document of nothing', { name: 'cart' }, ''],
    ['a raw resource without a type', { resources: [{ name: 'z' }] }, '/resources/0'],
  ])('%s', (_, document, place) => {
    const { problems } = parseDocument(api, { id: 'x', text: JSON.stringify(document), origin: { name: 'x' } })
    expect(problems).not.toEqual([])
    expect(wrongIn(all, document)).toContain(place)
  })
})

test('what is not in this version is not in the schema', () => {
  const kinds = new Set(['Mesh', 'Patch'])
  const fields = new Set(['Service.dns'])
  const words = new Set(['Service.protocol=tcp'])
  const validate = compiled(schemaOf({ notYet: { kinds, fields, words } }))
  expect(wrongIn(validate, { kind: 'Mesh', name: 'shop' })).toEqual(['/kind'])
  expect(wrongIn(validate, service({ dns: { hostname: 'cart', port: 80 } }))).toContain('')
  expect(wrongIn(validate, service({ protocol: 'tcp', endpoints: [] }))).toContain('/protocol')
  expect(wrongIn(validate, service({ protocol: 'http', endpoints: [] }))).toEqual([])
})

test('the schema of one kind is about it alone', () => {
  const schema = schemaOf({ kind: 'Secret', notYet: everything })
  expect(Object.keys(schema['$defs'] as object)).toEqual(['Certificate', 'FileRef', 'Secret'])
  const validate = compiled(schema)
  expect(wrongIn(validate, { kind: 'Secret', name: 'ca', ca: { file: 'ca.pem' } })).toEqual([])
  expect(wrongIn(validate, { kind: 'Service', name: 'cart' })).not.toEqual([])
})

test('every field says in the schema what its comment says', () => {
  const definitions = schemaOf({ notYet })['$defs'] as Record<
    string,
    { properties?: object; anyOf?: readonly object[] }
  >
  const fields = Object.entries(definitions).flatMap(([word, { properties, anyOf }]) =>
    Object.entries(properties ?? (anyOf as readonly { properties: object }[])[0]?.properties ?? {}).map(
      ([name, field]) => [`${word}.${name}`, (field as { description?: string }).description] as const,
    ),
  )
  expect(fields.length).toBeGreaterThan(30)
  expect(fields.filter(([name, said]) => said === undefined && !name.endsWith('.kind'))).toEqual([])
  expect(definitions['Service']?.properties).toMatchObject({
    port: { description: 'The port that callers use.', minimum: 1, maximum: 65_535 },
  })
})
