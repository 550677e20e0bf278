import jspb from 'google-protobuf'
import type { TypeUrl } from './type-url.ts'

/** What one `envoy.service.discovery.v3.Resource` on the wire holds. Without `bytes` it has no body (rules 50, 82). */
export interface ResourceFrame {
  readonly name: string
  readonly version: string
  readonly typeUrl: TypeUrl
  readonly bytes?: Uint8Array
  readonly aliases?: readonly string[]
  readonly ttlMs?: number
}

/** Field 2 of DiscoveryResponse and of DeltaDiscoveryResponse alike. */
const resourcesField = 2

/** `DiscoveryResponse.resources`: one Any, with tag and length. */
export function sotwFrame(typeUrl: TypeUrl, bytes: Uint8Array): Uint8Array {
  const writer = new jspb.BinaryWriter()
  writer.writeMessage(resourcesField, bytes, (value, inner) => writeAny(inner, typeUrl, value))
  return writer.getResultBuffer()
}

/**
 * `DeltaDiscoveryResponse.resources`: one `discovery.v3.Resource` with tag and length. To a SotW client that lists the
 * feature `xds.config.resource-in-sotw` the same message goes inside an Any (rule 81).
 */
export function deltaFrame(resource: ResourceFrame): Uint8Array {
  const writer = new jspb.BinaryWriter()
  writer.writeMessage(resourcesField, resource, (value, inner) => writeResource(inner, value))
  return writer.getResultBuffer()
}

/** The bytes of `envoy.service.discovery.v3.Resource` itself. */
export function resourceMessage(resource: ResourceFrame): Uint8Array {
  const writer = new jspb.BinaryWriter()
  writeResource(writer, resource)
  return writer.getResultBuffer()
}

function writeAny(writer: jspb.BinaryWriter, typeUrl: TypeUrl, bytes: Uint8Array): void {
  writer.writeString(1, typeUrl)
  if (bytes.length > 0) writer.writeBytes(2, bytes)
}

/** In field order: version 1, resource 2, name 3, aliases 4, ttl 6. */
function writeResource(writer: jspb.BinaryWriter, resource: ResourceFrame): void {
  const { bytes, ttlMs } = resource
  if (resource.version !== '') writer.writeString(1, resource.version)
  if (bytes !== undefined) writer.writeMessage(2, bytes, (value, inner) => writeAny(inner, resource.typeUrl, value))
  writer.writeString(3, resource.name)
  for (const alias of resource.aliases ?? []) writer.writeRepeatedString(4, [alias])
  if (ttlMs !== undefined) {
    writer.writeMessage(6, ttlMs, (value, inner) => {
      if (value >= 1000) inner.writeInt64(1, Math.floor(value / 1000))
      if (value % 1000 !== 0) inner.writeInt32(2, (value % 1000) * 1_000_000)
    })
  }
}
