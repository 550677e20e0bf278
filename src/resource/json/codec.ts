/** Messages to bytes and back, and to the JSON that people are shown. */
import { type DescMessage, fromBinary, type JsonValue, type Message, toBinary } from '@bufbuild/protobuf'
import { ControlPlaneError } from '../../errors.ts'
import type { EnvoyApi } from '../envoy-api.ts'
import { redactMessage } from '../secrecy/sensitive.ts'
import { messageNameOf, type TypeUrl } from '../type-url.ts'
import { inCanonicalOrder } from './canonical-order.ts'
import { messageJson, typedJson, unknownJson } from './message-json.ts'

/** Deterministic: fields in number order, maps in the order of their keys. What an Any holds is taken as it is. */
export function encodeMessage(desc: DescMessage, message: Message): Uint8Array {
  return toBinary(desc, inCanonicalOrder(desc, message))
}

export interface DecodedMessage {
  readonly desc: DescMessage
  readonly message: Message
}

/** @throws ControlPlaneError `api` when the API does not know the type or the bytes are none of it. */
export function decodeMessage(api: EnvoyApi, typeUrl: TypeUrl, bytes: Uint8Array): DecodedMessage {
  const name = messageNameOf(typeUrl)
  const desc = api.registry.getMessage(name)
  if (desc === undefined) throw new ControlPlaneError('api', `the Envoy API (${api.label}) has no message ${name}`)
  try {
    return { desc, message: fromBinary(desc, bytes) }
  } catch (error) {
    throw new ControlPlaneError('api', `cannot decode the bytes of a ${name}`, { cause: error })
  }
}

export interface JsonOptions {
  /** Hide sensitive content, and all of what the API does not know and so cannot tell. */
  readonly redact?: boolean
}

/**
 * A message as its author would have written it: `@type` first, proto field names, Anys expanded. One that the API does
 * not know, or that does not decode, is its `@type` and base64.
 */
export function messageToJson(
  api: EnvoyApi,
  typeUrl: TypeUrl,
  bytes: Uint8Array,
  options: JsonOptions = {},
): JsonValue {
  const redact = options.redact ?? false
  const writing = { api, redact, depth: 0 }
  try {
    const { desc, message } = decodeMessage(api, typeUrl, bytes)
    const shown = redact ? redactMessage(api, desc, message) : message
    return typedJson(desc, messageJson(writing, desc, shown))
  } catch (error) {
    if (error instanceof ControlPlaneError) return unknownJson(writing, typeUrl, bytes)
    throw error
  }
}
