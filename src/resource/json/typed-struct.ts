import { type DescMessage, fromJson, type JsonObject, type Message, toJson } from '@bufbuild/protobuf'
import type { ReflectMessage } from '@bufbuild/protobuf/reflect'
import type { EnvoyApi } from '../envoy-api.ts'
import { messageNameOf } from '../type-url.ts'

/** A message written as `xds.type.v3.TypedStruct` (or its older twin): the name of its type, and its fields as JSON. */
export function isTypedStruct(desc: DescMessage): boolean {
  return desc.typeName === 'xds.type.v3.TypedStruct' || desc.typeName === 'udpa.type.v1.TypedStruct'
}

/** protobuf-es keeps a Struct in a field as a plain object. */
interface TypedStruct extends Message {
  readonly typeUrl: string
  value?: JsonObject
}

export interface OpenedStruct {
  readonly desc: DescMessage
  /** Undefined where the fields do not fit the type. Made for the caller, who may change it. */
  readonly message: Message | undefined
}

/** Reads a TypedStruct as the type that it names; undefined for a type that the API does not know. */
export function openTypedStruct(api: EnvoyApi, struct: ReflectMessage): OpenedStruct | undefined {
  const { typeUrl, value } = struct.message as TypedStruct
  const desc = api.registry.getMessage(messageNameOf(typeUrl))
  if (!desc) return undefined
  try {
    return { desc, message: fromJson(desc, value ?? {}, { registry: api.registry, ignoreUnknownFields: true }) }
  } catch {
    return { desc, message: undefined }
  }
}

/** Puts the fields of `content` in the place of those in a TypedStruct; where it has no message, none. */
export function storeTypedStruct(api: EnvoyApi, struct: ReflectMessage, content: OpenedStruct): void {
  const target = struct.message as TypedStruct
  target.value = content.message
    ? (toJson(content.desc, content.message, { registry: api.registry, useProtoFieldName: true }) as JsonObject)
    : {}
}
