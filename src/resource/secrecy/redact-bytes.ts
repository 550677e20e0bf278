import { fromBinary, toBinary } from '@bufbuild/protobuf'
import type { EnvoyApi } from '../envoy-api.ts'
import { messageNameOf, type TypeUrl } from '../type-url.ts'
import { redactMessage } from './sensitive.ts'

/**
 * An encoded resource without its sensitive content. Undefined where the API does not know the type: then nobody
 * can tell what in it is sensitive, and none of it may be kept.
 */
export function redactBytes(api: EnvoyApi, typeUrl: TypeUrl, bytes: Uint8Array): Uint8Array | undefined {
  const desc = api.registry.getMessage(messageNameOf(typeUrl))
  if (desc === undefined) return undefined
  // Fields that the API does not know cannot be judged either, so they are not kept.
  const message = fromBinary(desc, bytes, { readUnknownFields: false })
  return toBinary(desc, redactMessage(api, desc, message), { writeUnknownFields: false })
}
