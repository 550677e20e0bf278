import { create, type DescMessage, fromBinary, toBinary } from '@bufbuild/protobuf'
import { ControlPlaneError } from '../errors.ts'
import type { EnvoyApi } from './envoy-api.ts'

/** A message of proto/fairlead/v1 as plain JavaScript: protobuf-es's field names; a oneof is `{case, value}`. */
export type OwnMessage = Readonly<Record<string, unknown>>

/**
 * The bytes of a message of our own schemas.
 * @throws ControlPlaneError `api` when the descriptors in use lack it.
 */
export function encodeOwn(api: EnvoyApi, typeName: string, message: OwnMessage): Uint8Array {
  const desc = ownMessage(api, typeName)
  return toBinary(desc, create(desc, message as never))
}

/**
 * Reads what `encodeOwn` wrote; fields that are not there have their defaults. The caller knows the shape that the
 * schema gives it.
 * @throws ControlPlaneError `api` when the descriptors in use lack it; Error when the bytes are no such message.
 */
export function decodeOwn(api: EnvoyApi, typeName: string, bytes: Uint8Array): object {
  return fromBinary(ownMessage(api, typeName), bytes)
}

/** @throws ControlPlaneError `api` when the descriptors in use lack it. */
export function ownMessage(api: EnvoyApi, typeName: string): DescMessage {
  const desc = api.registry.getMessage(typeName)
  if (desc === undefined) {
    throw new ControlPlaneError(
      'api',
      `the Envoy API descriptors (${api.label}) lack ${typeName}: import them again with this version of fairlead`,
    )
  }
  return desc
}
