import type { DescField, DescMessage, JsonValue, Message } from '@bufbuild/protobuf'
import { sortedRecord } from './well-known.ts'

type Properties = Record<string, unknown>

/**
 * The message with every map in the order of its keys, which is the order in which protobuf-es encodes them. Returns the
 * message itself where nothing is out of order, else a copy that shares the rest.
 */
export function inCanonicalOrder(desc: DescMessage, message: Message): Message {
  let copy: Properties | undefined
  for (const field of orderedFields(desc)) {
    const value = valueOf(field, message)
    if (value === undefined) continue
    const ordered = orderedValue(field, value)
    if (ordered === value) continue
    copy ??= Object.assign(Object.create(Object.getPrototypeOf(message)) as Properties, message)
    if (field.oneof) copy[field.oneof.localName] = { case: field.localName, value: ordered }
    else copy[field.localName] = ordered
  }
  return (copy as unknown as Message | undefined) ?? message
}

const fieldsWithMaps = new WeakMap<DescMessage, readonly DescField[]>()

/** The fields in which a map can be. */
function orderedFields(desc: DescMessage): readonly DescField[] {
  let fields = fieldsWithMaps.get(desc)
  if (fields === undefined) {
    fields = desc.fields.filter(
      (field) => field.fieldKind === 'map' || (field.message !== undefined && reachesMap(field.message, new Set())),
    )
    fieldsWithMaps.set(desc, fields)
  }
  return fields
}

function reachesMap(desc: DescMessage, visited: Set<DescMessage>): boolean {
  if (visited.has(desc)) return false
  visited.add(desc)
  return desc.fields.some(
    (field) => field.fieldKind === 'map' || (field.message !== undefined && reachesMap(field.message, visited)),
  )
}

function valueOf(field: DescField, message: Message): unknown {
  const properties = message as unknown as Properties
  if (!field.oneof) return properties[field.localName]
  const chosen = properties[field.oneof.localName] as { case?: string; value?: unknown } | undefined
  return chosen?.case === field.localName ? chosen.value : undefined
}

function orderedValue(field: DescField, value: unknown): unknown {
  const { message: desc } = field
  if (field.fieldKind === 'map') {
    return orderedRecord(value as Properties, (item) => (desc ? orderedItem(desc, item) : item))
  }
  if (!desc) return value
  if (field.fieldKind === 'list') return orderedList(value as unknown[], (item) => orderedItem(desc, item))
  return orderedItem(desc, value)
}

/** A message, or the plain JSON as which protobuf-es keeps a Struct in a field. */
function orderedItem(desc: DescMessage, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  return '$typeName' in value && value.$typeName === desc.typeName
    ? inCanonicalOrder(desc, value as Message)
    : orderedJson(value as JsonValue)
}

function orderedJson(value: unknown): unknown {
  if (Array.isArray(value)) return orderedList(value, orderedJson)
  return typeof value === 'object' && value !== null ? orderedRecord(value as Properties, orderedJson) : value
}

function orderedList(items: unknown[], order: (item: unknown) => unknown): unknown[] {
  const ordered = items.map(order)
  return ordered.every((item, index) => item === items[index]) ? items : ordered
}

function orderedRecord(record: Properties, order: (item: unknown) => unknown): Properties {
  const keys = Object.keys(record)
  const members = keys.map((key): [string, unknown] => [key, order(record[key])])
  const ordered = sortedRecord(members)
  const orderedKeys = Object.keys(ordered)
  const isSame = keys.every((key, index) => key === orderedKeys[index] && record[key] === ordered[key])
  return isSame ? record : ordered
}
