import { type DescMessage, fromBinary, type Message } from '@bufbuild/protobuf'
import type { EnvoyApi } from './envoy-api.ts'

/** What an Any holds, decoded. Shared between callers: not to be changed. */
export interface PackedMessage {
  readonly desc: DescMessage
  readonly message: Message
}

interface AnyMessage extends Message {
  readonly typeUrl: string
  readonly value: Uint8Array
}

interface Opened {
  readonly api: EnvoyApi
  readonly typeUrl: string
  readonly value: Uint8Array
  readonly packed: PackedMessage | undefined
}

/** Three readers (rules, references, sensitivity) open the same Anys one after the other. */
const opened = new WeakMap<Message, Opened>()

/** Decodes a `google.protobuf.Any`; undefined for a type that the API does not know, or bytes that are not of that type. */
export function packedMessage(api: EnvoyApi, any: Message): PackedMessage | undefined {
  const { typeUrl, value } = any as AnyMessage
  const memo = opened.get(any)
  if (memo && memo.api === api && memo.typeUrl === typeUrl && memo.value === value) return memo.packed
  const packed = decode(api, typeUrl, value)
  opened.set(any, { api, typeUrl, value, packed })
  return packed
}

function decode(api: EnvoyApi, typeUrl: string, value: Uint8Array): PackedMessage | undefined {
  const desc = api.registry.getMessage(typeUrl.slice(typeUrl.lastIndexOf('/') + 1))
  if (!desc) return undefined
  try {
    return { desc, message: fromBinary(desc, value) }
  } catch {
    return undefined
  }
}
