import { clone, type DescField, type DescMessage, fromBinary, type Message, toBinary } from '@bufbuild/protobuf'
import { type ReflectList, type ReflectMap, type ReflectMessage, reflect } from '@bufbuild/protobuf/reflect'
import type { Any } from '@bufbuild/protobuf/wkt'
import { optionOf } from '../descriptor-option.ts'
import type { EnvoyApi } from '../envoy-api.ts'
import { unpackAny } from '../json/any.ts'
import { isTypedStruct, openTypedStruct, storeTypedStruct } from '../json/typed-struct.ts'
import { createReach, isAnyType } from '../references/reach.ts'
import { messageNameOf } from '../type-url.ts'
import { hasContent, wipe } from './wipe.ts'

/**
 * Whether `message`, or a known message packed in it, holds content in a field that the API marks sensitive
 * (`udpa.annotations.sensitive`). A key that is only pointed at, by file name or environment variable, is no content.
 */
export function isSensitiveMessage(api: EnvoyApi, desc: DescMessage, message: Message): boolean {
  return isSensitive(markingOf(api), reflect(desc, message, false))
}

/**
 * A copy of `message` whose sensitive content reads `[redacted]` (numbers in it are cleared); names of files and
 * environment variables stay readable. What is not marked is unchanged.
 */
export function redactMessage(api: EnvoyApi, desc: DescMessage, message: Message): Message {
  const copy = clone(desc, message)
  redact(markingOf(api), reflect(desc, copy, false))
  return copy
}

/** What one API marks, looked up a message type at a time. */
interface Marking {
  readonly api: EnvoyApi
  /** The fields of a type that are marked or that may hold marked ones. */
  readonly fields: Map<DescMessage, readonly MarkedField[]>
  readonly mayHoldMarked: (desc: DescMessage) => boolean
}

interface MarkedField {
  readonly field: DescField
  readonly isMarked: boolean
}

const markings = new WeakMap<EnvoyApi, Marking>()

function markingOf(api: EnvoyApi): Marking {
  const known = markings.get(api)
  if (known) return known
  const mayHoldMarked = createReach(
    (desc) => isTypedStruct(desc) || desc.fields.some((field) => isMarkedField(api, field)),
  )
  const marking: Marking = { api, fields: new Map(), mayHoldMarked }
  markings.set(api, marking)
  return marking
}

/** Whether the API marks a field sensitive. */
export function isMarkedField(api: EnvoyApi, field: DescField): boolean {
  return ['udpa.annotations.sensitive', 'xds.annotations.v3.sensitive'].some(
    (option) => optionOf(api, field, option) === true,
  )
}

function markedFields(marking: Marking, desc: DescMessage): readonly MarkedField[] {
  const known = marking.fields.get(desc)
  if (known) return known
  const fields = desc.fields
    .map((field) => ({ field, isMarked: isMarkedField(marking.api, field) }))
    .filter(({ field, isMarked }) => isMarked || (field.message && marking.mayHoldMarked(field.message)))
  marking.fields.set(desc, fields)
  return fields
}

function isSensitive(marking: Marking, message: ReflectMessage): boolean {
  if (isAnyType(message.desc)) {
    const any = message.message as Any
    const desc = marking.api.registry.getMessage(messageNameOf(any.typeUrl))
    if (!desc || !marking.mayHoldMarked(desc)) return false
    const packed = unpackAny(marking.api, any)
    // Bytes that do not decode cannot be judged, so they are taken for the worst.
    return packed === undefined || isSensitive(marking, reflect(packed.desc, packed.message, false))
  }
  if (isTypedStruct(message.desc)) return isSensitiveStruct(marking, message)
  return markedFields(marking, message.desc).some(({ field, isMarked }) => {
    if (!message.isSet(field)) return false
    if (isMarked) return hasContent(message, field)
    return nestedIn(message, field).some((nested) => isSensitive(marking, nested))
  })
}

function redact(marking: Marking, message: ReflectMessage): void {
  if (isAnyType(message.desc)) {
    redactAny(marking, message.message as Any)
    return
  }
  if (isTypedStruct(message.desc)) {
    redactStruct(marking, message)
    return
  }
  for (const { field, isMarked } of markedFields(marking, message.desc)) {
    if (!message.isSet(field)) continue
    if (!isMarked) for (const nested of nestedIn(message, field)) redact(marking, nested)
    else if (hasContent(message, field)) wipe(marking.api, message, field)
  }
}

function nestedIn(message: ReflectMessage, field: DescField): ReflectMessage[] {
  const value: unknown = message.get(field)
  if (field.fieldKind === 'list') return [...(value as ReflectList<ReflectMessage>)]
  if (field.fieldKind === 'map') return [...(value as ReflectMap<unknown, ReflectMessage>).values()]
  return [value as ReflectMessage]
}

/** Repacks only what needs it, so that the bytes of everything else stay as they were. */
function redactAny(marking: Marking, any: Any): void {
  const desc = marking.api.registry.getMessage(messageNameOf(any.typeUrl))
  if (!desc || !marking.mayHoldMarked(desc)) return
  const packed = decode(desc, any.value)
  if (!packed) {
    any.value = new Uint8Array(0)
    return
  }
  if (!isSensitive(marking, packed)) return
  redact(marking, packed)
  any.value = toBinary(desc, packed.message)
}

/** Not unpackAny: it shares what it returns, and this is to be changed. */
function decode(desc: DescMessage, bytes: Uint8Array): ReflectMessage | undefined {
  try {
    return reflect(desc, fromBinary(desc, bytes), false)
  } catch {
    return undefined
  }
}

/** Envoy reads a TypedStruct of a type that it knows as that type, so what the type marks is sensitive here too. */
function isSensitiveStruct(marking: Marking, struct: ReflectMessage): boolean {
  const opened = openTypedStruct(marking.api, struct)
  if (!opened || !marking.mayHoldMarked(opened.desc)) return false
  return opened.message === undefined || isSensitive(marking, reflect(opened.desc, opened.message, false))
}

function redactStruct(marking: Marking, struct: ReflectMessage): void {
  const opened = openTypedStruct(marking.api, struct)
  if (!opened || !isSensitiveStruct(marking, struct)) return
  if (opened.message) redact(marking, reflect(opened.desc, opened.message, false))
  storeTypedStruct(marking.api, struct, opened)
}
