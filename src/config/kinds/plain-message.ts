import type { OwnMessage } from '../../resource/own-message.ts'
import type { OwnSchema, SchemaField } from '../../resource/own-schema.ts'
import { addressOfText } from './address-text.ts'

/** A message as plain values under the names that people write; what is absent or empty is left out. */
export type Plain = Readonly<Record<string, unknown>>

/** Durations in milliseconds, words in kebab-case, `host:port` in its parts, one member of a oneof beside the others. */
export function plainMessage(schema: OwnSchema, message: OwnMessage): Plain {
  const plain: Record<string, unknown> = {}
  for (const field of schema.fields) {
    const value = plainField(field, message)
    if (value !== undefined) plain[field.jsonName] = value
  }
  return plain
}

function plainField(field: SchemaField, message: OwnMessage): unknown {
  const set = setValue(field, message)
  if (set === undefined) return undefined
  if (field.cardinality === 'list') {
    const items = set as readonly unknown[]
    return items.length === 0 ? undefined : items.map((item) => plainValue(field, item))
  }
  if (field.cardinality === 'map') {
    const members = Object.entries(set as object)
    return members.length === 0
      ? undefined
      : Object.fromEntries(members.map(([key, value]) => [key, plainValue(field, value)]))
  }
  return plainValue(field, set)
}

function setValue(field: SchemaField, message: OwnMessage): unknown {
  if (field.oneof === undefined) return message[field.localName]
  const group = message[field.oneof] as { readonly case?: string; readonly value?: unknown } | undefined
  return group?.case === field.localName ? group.value : undefined
}

function plainValue(field: SchemaField, value: unknown): unknown {
  switch (field.value) {
    case 'message':
      return plainMessage(field.schema as OwnSchema, value as OwnMessage)
    case 'duration': {
      const { seconds, nanos } = value as { readonly seconds: bigint; readonly nanos: number }
      return Number(seconds) * 1000 + nanos / 1_000_000
    }
    case 'enum':
      return field.words.find(({ number }) => number === value)?.word
    case 'selector':
      return plainSelector(value as { readonly cluster: string; readonly id: string; readonly metadata?: object })
    case 'json':
      return jsonOf(value)
    case 'text':
      return field.isAddress ? addressOfText(value as string) : value
    case 'bool':
    case 'number':
      return value
  }
}

/** An empty pattern is refused where a selector is read, so an empty one is an absent one. */
function plainSelector(selector: { readonly cluster: string; readonly id: string; readonly metadata?: object }): Plain {
  const { cluster, id, metadata } = selector
  return { ...(cluster !== '' && { cluster }), ...(id !== '' && { id }), ...(metadata !== undefined && { metadata }) }
}

/** A Struct is kept as plain JSON already; a Value, and what is in one, as messages. */
function jsonOf(value: unknown): unknown {
  const { kind } = value as { readonly kind?: { readonly case?: string; readonly value?: unknown } }
  if (kind === undefined || !('$typeName' in (value as object))) return value
  if (kind.case === 'structValue') {
    const { fields } = kind.value as { readonly fields: object }
    return Object.fromEntries(Object.entries(fields).map(([key, member]) => [key, jsonOf(member)]))
  }
  if (kind.case === 'listValue') return (kind.value as { readonly values: readonly unknown[] }).values.map(jsonOf)
  return kind.case === 'nullValue' ? null : kind.value
}
