import { type DescField, type DescMessage, fromBinary, ScalarType, toBinary } from '@bufbuild/protobuf'
import { type ReflectList, type ReflectMap, type ReflectMessage, reflect } from '@bufbuild/protobuf/reflect'
import type { Any } from '@bufbuild/protobuf/wkt'
import type { EnvoyApi } from '../envoy-api.ts'
import { isAnyType } from '../references/reach.ts'
import { messageNameOf } from '../type-url.ts'

const redacted = '[redacted]'

/** Says where a secret is, not what it is. */
function isPointer(field: DescField): boolean {
  return (
    field.parent.typeName === 'envoy.config.core.v3.DataSource' &&
    ['filename', 'environment_variable', 'watched_directory'].includes(field.name)
  )
}

/** Whether a field that is set holds anything, at any depth, beyond pointers to where a secret is kept. */
export function hasContent(message: ReflectMessage, field: DescField): boolean {
  if (isPointer(field)) return false
  const value: unknown = message.get(field)
  if (field.fieldKind === 'list') return [...(value as ReflectList)].some(holdsContent)
  if (field.fieldKind === 'map') return [...(value as ReflectMap).values()].some(holdsContent)
  return holdsContent(value)
}

function holdsContent(value: unknown): boolean {
  if (typeof value === 'string' || value instanceof Uint8Array) return value.length > 0
  if (typeof value !== 'object' || value === null) return true
  const message = value as ReflectMessage
  if (isAnyType(message.desc)) return (message.message as Any).value.length > 0
  if (message.getUnknown()?.length) return true
  return message.fields.some((field) => message.isSet(field) && hasContent(message, field))
}

/** Replaces all content of a field that is set: strings and bytes by `[redacted]`, numbers by nothing; map keys stay. */
export function wipe(api: EnvoyApi, message: ReflectMessage, field: DescField): void {
  if (isPointer(field)) return
  const value: unknown = message.get(field)
  if (field.fieldKind === 'list') {
    const list = value as ReflectList
    const items = [...list].map((item) => wiped(api, field, item))
    list.clear()
    for (const item of items) if (item !== undefined) list.add(item)
    return
  }
  if (field.fieldKind === 'map') {
    const map = value as ReflectMap
    for (const [key, item] of Array.from(map)) {
      const replacement = wiped(api, field, item)
      if (replacement === undefined) map.delete(key)
      else map.set(key, replacement)
    }
    return
  }
  const replacement = wiped(api, field, value)
  if (replacement === undefined) message.clear(field)
  else message.set(field, replacement)
}

/** What stands in the place of one value; undefined for nothing. */
function wiped(api: EnvoyApi, field: DescField, value: unknown): unknown {
  if (field.message) return wipedMessage(api, value as ReflectMessage)
  if (field.scalar === ScalarType.STRING) return redacted
  if (field.scalar === ScalarType.BYTES) return new TextEncoder().encode(redacted)
  return undefined
}

function wipedMessage(api: EnvoyApi, message: ReflectMessage): ReflectMessage {
  if (isAnyType(message.desc)) {
    const any = message.message as Any
    any.value = wipedBytes(api, api.registry.getMessage(messageNameOf(any.typeUrl)), any.value)
    return message
  }
  if (message.desc.typeName === 'google.protobuf.Value') return wipedValue(api, message)
  message.setUnknown([])
  for (const field of message.fields) if (message.isSet(field)) wipe(api, message, field)
  return message
}

/** A known message keeps its shape, so that it can still be printed; of another, nothing is kept. */
function wipedBytes(api: EnvoyApi, desc: DescMessage | undefined, bytes: Uint8Array): Uint8Array {
  if (!desc) return new Uint8Array(0)
  try {
    return toBinary(desc, wipedMessage(api, reflect(desc, fromBinary(desc, bytes), false)).message)
  } catch {
    return new Uint8Array(0)
  }
}

/** A Value that holds nothing has no JSON, so one that is not a list or a struct becomes a string. */
function wipedValue(api: EnvoyApi, value: ReflectMessage): ReflectMessage {
  const kind = value.fields.find((field) => value.isSet(field))
  const text = value.fields.find((field) => field.name === 'string_value')
  if (kind?.message) wipe(api, value, kind)
  else if (text) value.set(text, redacted)
  return value
}
