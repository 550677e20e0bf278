import type { DescField, DescMessage } from '@bufbuild/protobuf'
import { ScalarType } from '@bufbuild/protobuf'
import { optionOf } from './descriptor-option.ts'
import type { EnvoyApi } from './envoy-api.ts'
import { type Bounds, boundsOf } from './own-bounds.ts'
import { ownMessage } from './own-message.ts'

/** One of our own messages (proto/fairlead/v1) with the options that say how people may write it. */
export interface OwnSchema {
  /** Its name without the package: `HealthCheck`. */
  readonly word: string
  readonly fields: readonly SchemaField[]
  /** What a value that is no map of these fields stands for. */
  readonly bare: SchemaField | undefined
}

export type ValueKind = 'text' | 'bool' | 'number' | 'enum' | 'duration' | 'message' | 'selector' | 'json'

/** A field as a person writes it. */
export interface SchemaField {
  readonly name: string
  readonly jsonName: string
  /** Under which protobuf-es keeps it in a message, or in its `oneof`. */
  readonly localName: string
  /** Under which protobuf-es keeps the group that excludes each other. */
  readonly oneof: string | undefined
  /** One of that group must be given. */
  readonly isOneofRequired: boolean
  readonly cardinality: 'one' | 'list' | 'map'
  readonly value: ValueKind
  /** The schema of a `message`. */
  readonly schema: OwnSchema | undefined
  /** Of an `enum`, in the order of the schema, without the one that means absence. */
  readonly words: readonly EnumWord[]
  readonly isRequired: boolean
  readonly isPercent: boolean
  readonly isSize: boolean
  readonly isDigits: boolean
  readonly isAddress: boolean
  readonly isFile: boolean
  readonly mayBeEmpty: boolean
  readonly keyedBy: string | undefined
  /** Not in this version; the text says what to do. */
  readonly later: string | undefined
  readonly bounds: Bounds
}

export interface EnumWord {
  /** `fairlead.v1.LoadBalancing.Policy.LEAST_REQUEST` */
  readonly fullName: string
  /** `least-request` */
  readonly word: string
  /** `LEAST_REQUEST` */
  readonly name: string
  readonly number: number
  /** Not in this version; the text says what to do. */
  readonly later: string | undefined
}

/**
 * The schema of a message of fairlead.v1, by its name without the package.
 * @throws ControlPlaneError `api` when the descriptors in use lack it.
 */
export function ownSchema(api: EnvoyApi, word: string): OwnSchema {
  return schemaOf(api, ownMessage(api, ownPackage + word))
}

const ownPackage = 'fairlead.v1.'

/** Descriptors belong to one API each, so what is derived from one is kept by it. */
const schemas = new WeakMap<DescMessage, OwnSchema>()

function schemaOf(api: EnvoyApi, desc: DescMessage): OwnSchema {
  const known = schemas.get(desc)
  if (known !== undefined) return known
  const fields: SchemaField[] = []
  const bare = optionOf(api, desc, 'fairlead.v1.bare')
  const schema = {
    word: desc.typeName.slice(desc.typeName.lastIndexOf('.') + 1),
    fields,
    get bare(): SchemaField | undefined {
      return fields.find(({ name }) => name === bare)
    },
  }
  schemas.set(desc, schema)
  for (const field of desc.fields) fields.push(fieldOf(api, field))
  return schema
}

function fieldOf(api: EnvoyApi, field: DescField): SchemaField {
  const option = (name: string): unknown => optionOf(api, field, `fairlead.v1.${name}`)
  const is = (name: string): boolean => option(name) === true
  const value = valueOf(field)
  return {
    name: field.name,
    jsonName: field.jsonName,
    localName: field.localName,
    oneof: field.oneof?.localName,
    isOneofRequired: field.oneof !== undefined && optionOf(api, field.oneof, 'validate.required') === true,
    cardinality: field.fieldKind === 'list' || field.fieldKind === 'map' ? field.fieldKind : 'one',
    value,
    schema: value === 'message' && field.message ? schemaOf(api, field.message) : undefined,
    words: wordsOf(api, field),
    isRequired: is('required'),
    isPercent: is('as_percent'),
    isSize: is('as_size'),
    isDigits: is('as_digits'),
    isAddress: is('as_address'),
    isFile: is('as_file'),
    mayBeEmpty: is('may_be_empty'),
    keyedBy: option('keyed_by') as string | undefined,
    later: option('later') as string | undefined,
    get bounds(): Bounds {
      return boundsOf(api, field)
    },
  }
}

function valueOf(field: DescField): ValueKind {
  if (field.enum) return 'enum'
  if (field.message) {
    const { typeName } = field.message
    if (typeName === 'google.protobuf.Duration') return 'duration'
    if (typeName === `${ownPackage}NodeSelector`) return 'selector'
    return typeName.startsWith(ownPackage) ? 'message' : 'json'
  }
  if (field.scalar === ScalarType.STRING) return 'text'
  return field.scalar === ScalarType.BOOL ? 'bool' : 'number'
}

function wordsOf(api: EnvoyApi, field: DescField): readonly EnumWord[] {
  return (field.enum?.values ?? [])
    .filter(({ number }) => number !== 0)
    .map((value) => ({
      fullName: `${value.parent.typeName}.${value.name}`,
      word: value.name.toLowerCase().replaceAll('_', '-'),
      name: value.name,
      number: value.number,
      later: optionOf(api, value, 'fairlead.v1.later_value') as string | undefined,
    }))
}

/** The field that a key means, in either spelling that proto3 JSON accepts. */
export function fieldOfKey(schema: OwnSchema, key: string): SchemaField | undefined {
  return schema.fields.find(({ name, jsonName }) => jsonName === key || name === key)
}
