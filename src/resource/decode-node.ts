import jspb from 'google-protobuf'
import { type Node, staticNamesOf } from './node.ts'

/** Deepest nesting of `node.metadata` that is read; the wire could otherwise exhaust the stack. */
const maxDepth = 64

/**
 * Reads `envoy.config.core.v3.Node`. Unknown fields are skipped.
 * @throws Error when the bytes are no message.
 */
export function decodeNode(bytes: Uint8Array): Node {
  const reader = new jspb.BinaryReader(bytes)
  let id = ''
  let cluster = ''
  let metadata: Record<string, unknown> = {}
  let locality: Node['locality']
  let userAgentName = ''
  let userAgentVersion = ''
  const clientFeatures: string[] = []
  while (reader.nextField()) {
    if (!reader.isDelimited()) {
      reader.skipField()
      continue
    }
    switch (reader.getFieldNumber()) {
      case 1:
        id = reader.readString()
        break
      case 2:
        cluster = reader.readString()
        break
      case 3:
        metadata = { ...metadata, ...readStruct(reader.readBytes(), 0) }
        break
      case 4:
        locality = readLocality(reader.readBytes())
        break
      case 6:
        userAgentName = reader.readString()
        break
      case 7:
        userAgentVersion = reader.readString()
        break
      case 8:
        userAgentVersion = readBuildVersion(reader.readBytes())
        break
      case 10:
        clientFeatures.push(reader.readString())
        break
      default:
        reader.skipField()
    }
  }
  return {
    id,
    cluster,
    metadata,
    ...(locality && { locality }),
    userAgentName,
    userAgentVersion,
    clientFeatures,
    staticNames: staticNamesOf(metadata),
  }
}

/**
 * Reads `node.id` alone: a client may repeat its whole node in every request.
 * @throws Error when the bytes are no message.
 */
export function decodeNodeId(bytes: Uint8Array): string {
  const reader = new jspb.BinaryReader(bytes)
  while (reader.nextField()) {
    if (reader.getFieldNumber() === 1 && reader.isDelimited()) return reader.readString()
    reader.skipField()
  }
  return ''
}

function readLocality(bytes: Uint8Array): NonNullable<Node['locality']> {
  const found = new Map<number, string>()
  const reader = new jspb.BinaryReader(bytes)
  while (reader.nextField()) {
    if (reader.isDelimited() && reader.getFieldNumber() <= 3) found.set(reader.getFieldNumber(), reader.readString())
    else reader.skipField()
  }
  return { region: found.get(1) ?? '', zone: found.get(2) ?? '', subZone: found.get(3) ?? '' }
}

/** `BuildVersion.version` as `1.40.0`. */
function readBuildVersion(bytes: Uint8Array): string {
  const reader = new jspb.BinaryReader(bytes)
  const parts = [0, 0, 0]
  while (reader.nextField()) {
    if (reader.getFieldNumber() !== 1 || !reader.isDelimited()) {
      reader.skipField()
      continue
    }
    const version = new jspb.BinaryReader(reader.readBytes())
    while (version.nextField()) {
      const index = version.getFieldNumber() - 1
      if (index < parts.length && wireTypeOf(version) === 0) parts[index] = version.readUint32()
      else version.skipField()
    }
  }
  return parts.join('.')
}

function readStruct(bytes: Uint8Array, depth: number): Record<string, unknown> {
  if (depth > maxDepth) throw new Error('node.metadata is nested too deeply')
  const entries: [string, unknown][] = []
  const reader = new jspb.BinaryReader(bytes)
  while (reader.nextField()) {
    if (reader.getFieldNumber() !== 1 || !reader.isDelimited()) {
      reader.skipField()
      continue
    }
    let key = ''
    let value: unknown = null
    const entry = new jspb.BinaryReader(reader.readBytes())
    while (entry.nextField()) {
      if (entry.getFieldNumber() === 1 && entry.isDelimited()) key = entry.readString()
      else if (entry.getFieldNumber() === 2 && entry.isDelimited()) value = readValue(entry.readBytes(), depth)
      else entry.skipField()
    }
    entries.push([key, value])
  }
  // fromEntries defines `__proto__` as a plain key; an assignment would set the prototype.
  return Object.fromEntries(entries)
}

function readValue(bytes: Uint8Array, depth: number): unknown {
  let value: unknown = null
  const reader = new jspb.BinaryReader(bytes)
  while (reader.nextField()) {
    const wireType = wireTypeOf(reader)
    const field = reader.getFieldNumber()
    if (field === 2 && wireType === 1) value = reader.readDouble()
    else if (field === 3 && wireType === 2) value = reader.readString()
    else if (field === 4 && wireType === 0) value = reader.readBool()
    else if (field === 5 && wireType === 2) value = readStruct(reader.readBytes(), depth + 1)
    else if (field === 6 && wireType === 2) value = readList(reader.readBytes(), depth + 1)
    else reader.skipField()
  }
  return value
}

function readList(bytes: Uint8Array, depth: number): unknown[] {
  if (depth > maxDepth) throw new Error('node.metadata is nested too deeply')
  const items: unknown[] = []
  const reader = new jspb.BinaryReader(bytes)
  while (reader.nextField()) {
    if (reader.getFieldNumber() === 1 && reader.isDelimited()) items.push(readValue(reader.readBytes(), depth))
    else reader.skipField()
  }
  return items
}

/** As a plain number: the package declares its wire types as an enum without giving the enum. */
const wireTypeOf = (reader: jspb.BinaryReader): number => reader.getWireType()
