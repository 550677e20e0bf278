import type { EnvoyApi } from '../../resource/envoy-api.ts'
import type { OwnComments } from '../../resource/own-comments.ts'
import { type OwnSchema, ownSchema, type SchemaField } from '../../resource/own-schema.ts'
import type { Kind } from './kind-form.ts'
import { documentKinds } from './kind-name.ts'
import type { NotYet } from './not-yet.ts'

export interface JsonSchemaOptions {
  /** Absent: any document, raw ones too. */
  readonly kind?: Exclude<Kind, 'Instance'>
  /** What is left out, so that an editor marks it as the server would. */
  readonly notYet: NotYet
}

export type JsonSchema = { readonly [key: string]: unknown }

/**
 * The JSON Schema (draft 2020-12) of what people write: every short form that the reader understands, and no field that
 * would be refused. It knows nothing of what goes together; that is `fairlead validate`'s.
 */
export function jsonSchema(api: EnvoyApi, comments: OwnComments, { kind, notYet }: JsonSchemaOptions): JsonSchema {
  const writer: Writer = { api, comments, notYet, definitions: new Map() }
  const kinds = documentKinds.filter((one) => !notYet.kinds.has(one) && (kind === undefined || one === kind))
  for (const one of kinds) define(writer, ownSchema(api, one), one)
  const root = kind === undefined ? documentSchema(writer, kinds) : reference(kind)
  const definitions = [...writer.definitions].sort(([a], [b]) => (a < b ? -1 : 1))
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: kind === undefined ? 'fairlead configuration' : `fairlead ${kind}`,
    ...root,
    $defs: Object.fromEntries(definitions),
  }
}

interface Writer {
  readonly api: EnvoyApi
  readonly comments: OwnComments
  readonly notYet: NotYet
  readonly definitions: Map<string, JsonSchema>
}

const reference = (name: string): JsonSchema => ({ $ref: `#/$defs/${name}` })

/**
 * Conditions instead of alternatives: an editor then says what is wrong with a Service, not that the document is none of
 * seven kinds.
 */
function documentSchema(writer: Writer, kinds: readonly string[]): JsonSchema {
  return {
    type: 'object',
    properties: {
      kind: { enum: kinds, ...described('What the document is; absent in one of raw Envoy resources.') },
    },
    ...when(
      { required: ['kind'] },
      {
        allOf: kinds.map((kind) => when({ properties: { kind: { const: kind } } }, reference(kind))),
      },
    ),
    else: {
      ...described('Raw Envoy resources: a list `resources`, or one with its `@type` at the top.'),
      anyOf: [{ required: ['resources'] }, { required: ['@type'] }],
      properties: {
        nodes: oneOrList(selectorReference(writer)),
        resources: {
          type: 'array',
          items: {
            type: 'object',
            required: ['@type'],
            properties: { '@type': { type: 'string', pattern: '^type\\.googleapis\\.com/.+$' } },
          },
        },
      },
    },
  }
}

function when(condition: JsonSchema, consequence: JsonSchema): JsonSchema {
  // oxlint-disable-next-line unicorn/no-thenable -- a word of JSON Schema
  return { if: condition, then: consequence }
}

function described(comment: string | undefined): JsonSchema {
  return comment === undefined ? {} : { description: comment, markdownDescription: comment }
}

const nameOf = ({ word }: OwnSchema): string => `fairlead.v1.${word}`

/** @param kind the message is a document of this kind. */
function define(writer: Writer, schema: OwnSchema, kind?: string): void {
  if (writer.definitions.has(schema.word)) return
  // It may hold itself.
  writer.definitions.set(schema.word, {})
  const { bare } = schema
  const own = objectSchema(writer, schema, { ...(kind !== undefined && { kind }) })
  const comment = described(writer.comments[nameOf(schema)])
  const definition =
    bare === undefined ? { ...own, ...comment } : { ...comment, anyOf: [own, bareSchema(writer, bare)] }
  writer.definitions.set(schema.word, definition)
}

/** What stands for a map of the message's fields. */
function bareSchema(writer: Writer, bare: SchemaField): JsonSchema {
  return bare.value === 'bool' ? { const: bare.jsonName } : fieldSchema(writer, bare)
}

interface ObjectOptions {
  readonly kind?: string
  /** A field that the key in the map around it gives. */
  readonly keyedBy?: string
}

function objectSchema(writer: Writer, schema: OwnSchema, { kind, keyedBy }: ObjectOptions): JsonSchema {
  const fields = schema.fields.filter((field) => isBuilt(writer.notYet, schema, field) && field.name !== keyedBy)
  const required = fields.filter(({ isRequired }) => isRequired).map(({ jsonName }) => jsonName)
  if (kind !== undefined) required.unshift('kind')
  const properties: Record<string, JsonSchema> = kind === undefined ? {} : { kind: { const: kind } }
  for (const field of fields) {
    const comment = described(writer.comments[`${nameOf(schema)}.${field.name}`])
    properties[field.jsonName] = { ...comment, ...fieldSchema(writer, field, schema) }
  }
  const groups = requiredGroups(fields)
  return {
    type: 'object',
    properties,
    additionalProperties: false,
    ...(required.length > 0 && { required }),
    ...(groups.length === 1 && { oneOf: groups[0] }),
    ...(groups.length > 1 && { allOf: groups.map((oneOf) => ({ oneOf })) }),
  }
}

function isBuilt({ fields }: NotYet, { word }: OwnSchema, { jsonName, later }: SchemaField): boolean {
  return later === undefined && !fields.has(`${word}.${jsonName}`)
}

/** For each group of fields that exclude each other, and of which one must be given, that one is. */
function requiredGroups(fields: readonly SchemaField[]): readonly JsonSchema[][] {
  const groups = new Map<string, JsonSchema[]>()
  for (const { oneof, isOneofRequired, jsonName } of fields) {
    if (oneof === undefined || !isOneofRequired) continue
    groups.set(oneof, [...(groups.get(oneof) ?? []), { required: [jsonName] }])
  }
  return [...groups.values()]
}

function fieldSchema(writer: Writer, field: SchemaField, owner?: OwnSchema): JsonSchema {
  const { keyedBy, cardinality, mayBeEmpty, bounds } = field
  if (keyedBy !== undefined) return keyedSchema(writer, field, keyedBy)
  const value = valueSchema(writer, field, owner)
  if (cardinality === 'one') return value
  if (cardinality === 'map') return { type: 'object', additionalProperties: value }
  const size = { ...(!mayBeEmpty && { minItems: 1 }), ...(bounds.isUnique && { uniqueItems: true }) }
  return oneOrList(value, size)
}

function oneOrList(value: JsonSchema, size: JsonSchema = { minItems: 1 }): JsonSchema {
  return { anyOf: [value, { type: 'array', items: value, ...size }] }
}

/** A list of named things as a map: the name is the key. */
function keyedSchema(writer: Writer, field: SchemaField, keyedBy: string): JsonSchema {
  const schema = field.schema as OwnSchema
  const own = objectSchema(writer, schema, { keyedBy })
  const value = schema.bare === undefined ? own : { anyOf: [own, bareSchema(writer, schema.bare)] }
  return { type: 'object', additionalProperties: value }
}

const durationPattern =
  '^(?=.)(\\d{1,9}(\\.\\d{1,9})?d)?(\\d{1,9}(\\.\\d{1,9})?h)?(\\d{1,9}(\\.\\d{1,9})?m(?!s))?(\\d{1,9}(\\.\\d{1,9})?s)?(\\d{1,9}(\\.\\d{1,9})?ms)?$'

function valueSchema(writer: Writer, field: SchemaField, owner?: OwnSchema): JsonSchema {
  switch (field.value) {
    case 'message':
      return messageReference(writer, field.schema as OwnSchema)
    case 'selector':
      return selectorReference(writer)
    case 'duration':
      return { type: 'string', pattern: durationPattern, examples: ['500ms', '5s', '1m30s'] }
    case 'enum':
      return enumSchema(writer, field, owner)
    case 'text':
      return textSchema(field)
    case 'number':
      return numberSchema(field)
    case 'bool':
      return field.bounds.values === undefined ? { type: 'boolean' } : { enum: field.bounds.values }
    case 'json':
      return {}
  }
}

function messageReference(writer: Writer, schema: OwnSchema): JsonSchema {
  define(writer, schema)
  return reference(schema.word)
}

function selectorReference(writer: Writer): JsonSchema {
  return messageReference(writer, ownSchema(writer.api, 'NodeSelector'))
}

function enumSchema({ comments, notYet }: Writer, { words, jsonName }: SchemaField, owner?: OwnSchema): JsonSchema {
  const built = words.filter(
    ({ word, later }) => later === undefined && !notYet.words.has(`${owner?.word}.${jsonName}=${word}`),
  )
  // Editors show this list beside the values.
  const markdownEnumDescriptions = built.map(({ fullName }) => comments[fullName] ?? '')
  const isSaid = markdownEnumDescriptions.some((comment) => comment !== '')
  return { enum: built.map(({ word }) => word), ...(isSaid && { markdownEnumDescriptions }) }
}

function textSchema({ bounds, isDigits, isAddress }: SchemaField): JsonSchema {
  const { minLength, maxLength, prefix, pattern, values, isIp } = bounds
  const text: JsonSchema = {
    type: 'string',
    ...(minLength !== undefined && { minLength }),
    ...(maxLength !== undefined && { maxLength }),
    ...(prefix !== undefined && { pattern: `^${escaped(prefix)}` }),
    ...(pattern !== undefined && { pattern: `^(?:${pattern})$` }),
    ...(isAddress && { pattern: '^(\\[[0-9a-fA-F:.]+\\]|[^\\s:/@\\[\\]]+):\\d{1,5}$' }),
    ...(isIp && { anyOf: [{ format: 'ipv4' }, { format: 'ipv6' }] }),
    ...(values !== undefined && { enum: values }),
  }
  if (!isDigits) return text
  return { anyOf: [text, { type: 'number', ...(values !== undefined && { enum: values.map(Number) }) }] }
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')

function numberSchema({ bounds, isPercent, isSize }: SchemaField): JsonSchema {
  const { isInteger, minimum = 0, maximum, values } = bounds
  const number: JsonSchema = {
    type: isInteger ? 'integer' : 'number',
    minimum,
    ...(maximum !== undefined && { maximum }),
    ...(values !== undefined && { enum: values }),
  }
  if (isPercent) return { anyOf: [number, { type: 'string', pattern: '^\\d{1,3}(\\.\\d{1,6})?%?$' }] }
  if (isSize) return { anyOf: [number, { type: 'string', pattern: '^\\d{1,10} ?(B|KiB|MiB|GiB)?$' }] }
  return number
}
