import { isUtf8 } from 'node:buffer'
import jspb from 'google-protobuf'
import { resourceTypeOf, type TypeUrl } from './type-url.ts'

/**
 * The envelopes of xDS, read and written by hand because they are the hot path: an ACK of a thousand names is read
 * without decoding one of them.
 */

/** What `error_detail` says: its presence, not a version, makes a request a NACK (rule 28). */
export interface ErrorDetail {
  readonly code: number
  readonly message: string
}

/** A `DiscoveryRequest`, its names still encoded. */
export interface SotwRequest {
  readonly versionInfo: string
  /** The encoded `Node`; undefined when absent. */
  readonly node: Uint8Array | undefined
  /** All encoded `resource_names` fields, tags included; empty when it names none. A view on the request's bytes. */
  readonly nameBytes: Uint8Array
  readonly typeUrl: TypeUrl
  readonly responseNonce: string
  readonly errorDetail: ErrorDetail | undefined
}

/** A `DeltaDiscoveryRequest`. */
export interface DeltaRequest {
  /** The encoded `Node`; undefined when absent. */
  readonly node: Uint8Array | undefined
  readonly typeUrl: TypeUrl
  readonly subscribe: readonly string[]
  readonly unsubscribe: readonly string[]
  readonly initialVersions: ReadonlyMap<string, string>
  readonly responseNonce: string
  readonly errorDetail: ErrorDetail | undefined
}

/** Of a known type, the string that we have of it ourselves: comparing one with itself reads none of it. */
const sameUrl = (typeUrl: string): TypeUrl => resourceTypeOf(typeUrl)?.typeUrl ?? typeUrl

const noBytes = new Uint8Array(0)

/**
 * Reads a `DiscoveryRequest`. Fields that we do not know are skipped (rule 67). `known` are encoded names that were read
 * before: where the request repeats them byte for byte they are not even walked through.
 * @throws Error when the bytes are no message.
 */
export function scanSotwRequest(bytes: Uint8Array, known: Iterable<Uint8Array> = []): SotwRequest {
  const reader = new jspb.BinaryReader(bytes)
  let versionInfo = ''
  let node: Uint8Array | undefined
  let typeUrl = ''
  let responseNonce = ''
  let errorDetail: ErrorDetail | undefined
  const ranges: [start: number, end: number][] = []
  while (reader.nextField()) {
    if (!reader.isDelimited()) {
      reader.skipField()
      continue
    }
    switch (reader.getFieldNumber()) {
      case 1:
        versionInfo = reader.readString()
        break
      case 2:
        node = readRange(reader, bytes)
        break
      case 3: {
        const start = reader.getFieldCursor()
        const knownLength = ranges.length === 0 ? knownLengthAt(bytes, start, known) : 0
        if (knownLength > 0) reader.advance(start + knownLength - reader.getCursor())
        else skipText(reader, bytes)
        const last = ranges[ranges.length - 1]
        if (last !== undefined && last[1] === start) last[1] = reader.getCursor()
        else ranges.push([start, reader.getCursor()])
        break
      }
      case 4:
        typeUrl = reader.readString()
        break
      case 5:
        responseNonce = reader.readString()
        break
      case 6:
        errorDetail = readErrorDetail(reader.readBytes())
        break
      default:
        reader.skipField()
    }
  }
  const nameBytes = joinRanges(bytes, ranges)
  return { versionInfo, node, nameBytes, typeUrl: sameUrl(typeUrl), responseNonce, errorDetail }
}

/** Passes a text by without decoding it. @throws Error when it is none: the client is told so here, not where it is read. */
function skipText(reader: jspb.BinaryReader, bytes: Uint8Array): void {
  let start = reader.getCursor()
  reader.skipField()
  // Behind the length.
  while ((bytes[start++] ?? 0) >= 0x80);
  if (!isUtf8(bytes.subarray(start, reader.getCursor()))) throw new Error('a resource name is not UTF-8')
}

/** The names in `SotwRequest.nameBytes`, as the client wrote them. */
export function readNames(nameBytes: Uint8Array): string[] {
  const names: string[] = []
  const reader = new jspb.BinaryReader(nameBytes)
  while (reader.nextField()) names.push(reader.readString())
  return names
}

/**
 * Reads a `DeltaDiscoveryRequest`. Fields that we do not know are skipped (rule 67).
 * @throws Error when the bytes are no message.
 */
export function scanDeltaRequest(bytes: Uint8Array): DeltaRequest {
  const reader = new jspb.BinaryReader(bytes)
  let node: Uint8Array | undefined
  let typeUrl = ''
  let responseNonce = ''
  let errorDetail: ErrorDetail | undefined
  const subscribe: string[] = []
  const unsubscribe: string[] = []
  const initialVersions = new Map<string, string>()
  while (reader.nextField()) {
    if (!reader.isDelimited()) {
      reader.skipField()
      continue
    }
    switch (reader.getFieldNumber()) {
      case 1:
        node = readRange(reader, bytes)
        break
      case 2:
        typeUrl = reader.readString()
        break
      case 3:
        subscribe.push(reader.readString())
        break
      case 4:
        unsubscribe.push(reader.readString())
        break
      case 5: {
        const [name, version] = readStringEntry(reader.readBytes())
        initialVersions.set(name, version)
        break
      }
      case 6:
        responseNonce = reader.readString()
        break
      case 7:
        errorDetail = readErrorDetail(reader.readBytes())
        break
      default:
        reader.skipField()
    }
  }
  return { node, typeUrl: sameUrl(typeUrl), subscribe, unsubscribe, initialVersions, responseNonce, errorDetail }
}

/** What a response holds besides its nonce. */
export interface ResponseContent {
  /** `version_info`, or `system_version_info` in delta (for people only: rule 66). */
  readonly version: string
  readonly typeUrl: TypeUrl
  /** Encoded `resources` fields, tags included: field 2 in both protocols. */
  readonly frames: readonly Uint8Array[]
  /** `removed_resources`; delta only. */
  readonly removed: readonly string[]
  /** `control_plane.identifier`; '' leaves it out. */
  readonly identifier: string
}

/** A `DiscoveryResponse` or `DeltaDiscoveryResponse` less its nonce: `withNonce` completes it. */
export function responseWithoutNonce(protocol: 'sotw' | 'delta', content: ResponseContent): Buffer {
  const head = new jspb.BinaryWriter()
  head.writeString(1, content.version)
  const tail = new jspb.BinaryWriter()
  tail.writeString(4, content.typeUrl)
  if (protocol === 'delta' && content.removed.length > 0) tail.writeRepeatedString(6, content.removed)
  if (content.identifier !== '') {
    tail.writeMessage(protocol === 'sotw' ? 6 : 7, content.identifier, (identifier, writer) => {
      writer.writeString(1, identifier)
    })
  }
  return Buffer.concat([head.getResultBuffer(), ...content.frames, tail.getResultBuffer()])
}

/** Appends the nonce (field 5 in both protocols): last, so that the rest of a response is encoded once for every nonce. */
export function withNonce(response: Uint8Array, nonce: string): Buffer {
  const writer = new jspb.BinaryWriter()
  writer.writeString(5, nonce)
  return Buffer.concat([response, writer.getResultBuffer()])
}

/** How many bytes from `start` on are the longest of the known ranges that stands there. */
function knownLengthAt(bytes: Uint8Array, start: number, known: Iterable<Uint8Array>): number {
  let longest = 0
  for (const range of known) {
    const end = start + range.length
    if (range.length <= longest || end > bytes.length) continue
    if (Buffer.compare(range, bytes.subarray(start, end)) === 0) longest = range.length
  }
  return longest
}

/** The bytes of the delimited field that the reader is at, without a copy. */
function readRange(reader: jspb.BinaryReader, bytes: Uint8Array): Uint8Array {
  const length = reader.readBytes().length
  return bytes.subarray(reader.getCursor() - length, reader.getCursor())
}

function joinRanges(bytes: Uint8Array, ranges: readonly [start: number, end: number][]): Uint8Array {
  const [first] = ranges
  if (first === undefined) return noBytes
  if (ranges.length === 1) return bytes.subarray(first[0], first[1])
  return Buffer.concat(ranges.map(([start, end]) => bytes.subarray(start, end)))
}

/** Envoy says at most 4,096 characters; what is made of a message must not cost more for a client that says more. */
const maxMessageLength = 16_384

const bounded = (message: string): string =>
  message.length <= maxMessageLength ? message : `${message.slice(0, maxMessageLength)}...(truncated)`

/** `google.rpc.Status`. */
function readErrorDetail(bytes: Uint8Array): ErrorDetail {
  let code = 0
  let message = ''
  const reader = new jspb.BinaryReader(bytes)
  while (reader.nextField()) {
    const wireType: number = reader.getWireType()
    if (reader.getFieldNumber() === 1 && wireType === 0) code = reader.readInt32()
    else if (reader.getFieldNumber() === 2 && reader.isDelimited()) message = bounded(reader.readString())
    else reader.skipField()
  }
  return { code, message }
}

/** One entry of a `map<string, string>`. */
function readStringEntry(bytes: Uint8Array): [key: string, value: string] {
  let key = ''
  let value = ''
  const reader = new jspb.BinaryReader(bytes)
  while (reader.nextField()) {
    if (reader.getFieldNumber() === 1 && reader.isDelimited()) key = reader.readString()
    else if (reader.getFieldNumber() === 2 && reader.isDelimited()) value = reader.readString()
    else reader.skipField()
  }
  return [key, value]
}
