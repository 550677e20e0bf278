/** The proto3 JSON form of a message, for people: proto field names, Anys expanded. */
import {
  type DescField,
  type DescMessage,
  fromBinary,
  type JsonValue,
  type Message,
  ScalarType,
} from '@bufbuild/protobuf'
import { type Any, FeatureSet_FieldPresence, hasCustomJsonRepresentation, isWrapperDesc } from '@bufbuild/protobuf/wkt'
import type { EnvoyApi } from '../envoy-api.ts'
import { messageNameOf, type TypeUrl } from '../type-url.ts'
import { maxDepth } from './reading.ts'

export interface Writing {
  readonly api: EnvoyApi
  readonly redact: boolean
  /** Anys around the writer; each is decoded afresh, so only this bounds them. */
  readonly depth: number
}

type Properties = Record<string, unknown>
type JsonMembers = Record<string, JsonValue>

/** `json` with the `@type` that says what it is. */
export function typedJson(desc: DescMessage, json: JsonValue): JsonMembers {
  const type = `type.googleapis.com/${desc.typeName}`
  return hasCustomJsonRepresentation(desc)
    ? { '@type': type, value: json }
    : { '@type': type, ...(json as JsonMembers) }
}

/** Bytes of a type that the API does not know. Whether they are secret it does not know either. */
export function unknownJson(writing: Writing, typeUrl: TypeUrl, bytes: Uint8Array): JsonMembers {
  return { '@type': typeUrl, value: writing.redact ? '[redacted]' : base64(bytes) }
}

const base64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')

export function messageJson(writing: Writing, desc: DescMessage, message: Message): JsonValue {
  const properties = message as unknown as Properties
  switch (desc.typeName) {
    case 'google.protobuf.Any':
      return anyJson(writing, properties as unknown as Any)
    case 'google.protobuf.Duration':
      return `${secondsText(properties['seconds'] as bigint, properties['nanos'] as number)}s`
    case 'google.protobuf.Timestamp':
      return timestampText(properties['seconds'] as bigint, properties['nanos'] as number)
    case 'google.protobuf.FieldMask':
      return (properties['paths'] as string[]).join(',')
    case 'google.protobuf.Struct':
      return recordJson(properties['fields'] as Record<string, Properties>, valueJson)
    case 'google.protobuf.ListValue':
      return (properties['values'] as Properties[]).map(valueJson)
    case 'google.protobuf.Value':
      return valueJson(properties)
    default:
      break
  }
  const [inner] = desc.fields
  if (inner && isWrapperDesc(desc)) return singleJson(writing, inner, properties['value'])
  return fieldsJson(writing, desc, properties)
}

function fieldsJson(writing: Writing, desc: DescMessage, message: Properties): JsonMembers {
  const json: JsonMembers = {}
  for (const field of desc.fields) {
    const value = setValue(field, message)
    if (value !== undefined) json[field.name] = fieldJson(writing, field, value)
  }
  return json
}

/** The value of a field that is set: for one without presence, that differs from its default. */
function setValue(field: DescField, message: Properties): unknown {
  if (field.oneof) {
    const chosen = message[field.oneof.localName] as { case?: string; value?: unknown }
    return chosen.case === field.localName ? chosen.value : undefined
  }
  const value = message[field.localName]
  if (field.presence !== FeatureSet_FieldPresence.IMPLICIT) {
    return Object.hasOwn(message, field.localName) ? value : undefined
  }
  return isDefault(value) ? undefined : value
}

function isDefault(value: unknown): boolean {
  if (value instanceof Uint8Array || Array.isArray(value)) return value.length === 0
  if (typeof value === 'object' && value !== null) return Object.keys(value).length === 0
  return value === undefined || value === '' || value === false || value === 0n || Object.is(value, 0)
}

function fieldJson(writing: Writing, field: DescField, value: unknown): JsonValue {
  const json = (item: unknown): JsonValue => singleJson(writing, field, item)
  if (field.fieldKind === 'list') return (value as unknown[]).map(json)
  return field.fieldKind === 'map' ? recordJson(value as Properties, json) : json(value)
}

function singleJson(writing: Writing, field: DescField, value: unknown): JsonValue {
  if (field.enum) {
    if (field.enum.typeName === 'google.protobuf.NullValue') return null
    return field.enum.value[value as number]?.name ?? (value as number)
  }
  if (field.message) {
    // A wrapper or a Struct in a field is kept as its plain value.
    const isMessage = typeof value === 'object' && value !== null && '$typeName' in value
    if (isMessage) return messageJson(writing, field.message, value as unknown as Message)
    const [inner] = field.message.fields
    return inner && isWrapperDesc(field.message) ? singleJson(writing, inner, value) : (value as JsonValue)
  }
  if (value instanceof Uint8Array) return base64(value)
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'number') return value as JsonValue
  return finiteJson(field.scalar === ScalarType.FLOAT ? shortestFloat(value) : value)
}

/** The JSON name of `NaN` and the infinities is a string. */
const finiteJson = (value: number): JsonValue => (Number.isFinite(value) ? value : String(value))

/** The shortest decimal that is this 32-bit float: 0.1, not 0.10000000149011612. */
function shortestFloat(value: number): number {
  if (!Number.isFinite(value)) return value
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits))
    if (Math.fround(short) === value) return short
  }
  return value
}

function recordJson<T>(record: Record<string, T>, json: (item: T) => JsonValue): JsonMembers {
  return Object.fromEntries(Object.entries(record).map(([key, item]) => [key, json(item)]))
}

function valueJson(value: Properties): JsonValue {
  const kind = value['kind'] as { case?: string; value?: Properties | number | string | boolean }
  const { value: held } = kind
  if (kind.case === 'structValue') {
    return recordJson((held as Properties)['fields'] as Record<string, Properties>, valueJson)
  }
  if (kind.case === 'listValue') return ((held as Properties)['values'] as Properties[]).map(valueJson)
  if (kind.case === 'numberValue') return finiteJson(held as number)
  return kind.case === 'stringValue' || kind.case === 'boolValue' ? (held as JsonValue) : null
}

/** With no, three, six or nine decimals, as protobuf writes them. */
function secondsText(seconds: bigint, nanos: number): string {
  const sign = seconds < 0n || nanos < 0 ? '-' : ''
  return `${sign}${seconds < 0n ? -seconds : seconds}${fractionText(Math.abs(nanos))}`
}

function fractionText(nanos: number): string {
  if (nanos === 0) return ''
  const digits = String(nanos).padStart(9, '0')
  return `.${digits.replace(/(000){1,2}$/, '')}`
}

function timestampText(seconds: bigint, nanos: number): string {
  const date = new Date(Number(seconds) * 1000)
  if (Number.isNaN(date.getTime())) return `${seconds} seconds`
  return date.toISOString().replace(/\.\d+Z$/, `${fractionText(nanos)}Z`)
}

function anyJson(writing: Writing, any: Any): JsonMembers {
  if (any.typeUrl === '') return {}
  const desc = writing.api.registry.getMessage(messageNameOf(any.typeUrl))
  if (desc === undefined || writing.depth >= maxDepth) return unknownJson(writing, any.typeUrl, any.value)
  let message: Message
  try {
    message = fromBinary(desc, any.value)
  } catch {
    return unknownJson(writing, any.typeUrl, any.value)
  }
  return typedJson(desc, messageJson({ ...writing, depth: writing.depth + 1 }, desc, message))
}
