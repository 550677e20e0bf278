import jspb from 'google-protobuf'

/** The envelopes as the floor and the clients read and write them: no more of them than they need. */

export type Protocol = 'sotw' | 'delta'

/** Field numbers of the requests; in responses type and nonce are 4 and 5 in both protocols. */
const fields = {
  sotw: { version: 1, node: 2, names: 3, typeUrl: 4, nonce: 5 },
  delta: { version: 0, node: 1, names: 3, typeUrl: 2, nonce: 6 },
} as const

export interface Envelope {
  readonly typeUrl: string
  /** '' in a first request. */
  readonly nonce: string
}

/** Type and nonce of a request; everything else is stepped over. */
export function readRequest(protocol: Protocol, bytes: Buffer): Envelope {
  const { typeUrl, nonce } = fields[protocol]
  return readFields(bytes, typeUrl, nonce)
}

/** Type and nonce of a response. */
export function readResponse(bytes: Buffer): Envelope {
  return readFields(bytes, 4, 5)
}

/** Every field of these messages, but for what nobody here sends, is length-delimited. */
function readFields(bytes: Buffer, typeField: number, nonceField: number): Envelope {
  let typeUrl = ''
  let nonce = ''
  let at = 0
  while (at < bytes.length) {
    const tag = bytes[at++] as number
    let length = bytes[at++] as number
    if (length > 127) {
      length &= 127
      for (let shift = 7, byte = 128; byte > 127; shift += 7) {
        byte = bytes[at++] as number
        length |= (byte & 127) << shift
      }
    }
    const field = tag >> 3
    if (field === typeField) typeUrl = bytes.toString('latin1', at, at + length)
    else if (field === nonceField) nonce = bytes.toString('latin1', at, at + length)
    at += length
  }
  return { typeUrl, nonce }
}

/** By what a client is told from others. */
export interface NodeNames {
  readonly id: string
  readonly cluster: string
}

/** The first request of a type; `node` only in the first of the stream, as Envoy does it. */
export function firstRequest(
  protocol: Protocol,
  typeUrl: string,
  names: readonly string[],
  node: NodeNames | undefined,
): Buffer {
  const numbers = fields[protocol]
  const writer = new jspb.BinaryWriter()
  if (node !== undefined) {
    writer.writeMessage(numbers.node, node, ({ id, cluster }, inner) => {
      inner.writeString(1, id)
      inner.writeString(2, cluster)
      inner.writeString(6, 'envoy')
    })
  }
  writer.writeRepeatedString(numbers.names, [...names])
  writer.writeString(numbers.typeUrl, typeUrl)
  return Buffer.from(writer.getResultBuffer())
}

/** The ACK of a response: in SotW it states all names once more. */
export function ackOf(protocol: Protocol, { typeUrl, nonce }: Envelope, names: readonly string[]): Buffer {
  const numbers = fields[protocol]
  const writer = new jspb.BinaryWriter()
  if (protocol === 'sotw') {
    writer.writeString(numbers.version, '0123456789abcdef0123456789abcdef')
    writer.writeRepeatedString(numbers.names, [...names])
  }
  writer.writeString(numbers.typeUrl, typeUrl)
  writer.writeString(numbers.nonce, nonce)
  return Buffer.from(writer.getResultBuffer())
}

/** A response of exactly `size` bytes with nothing in it but its type, its nonce and one field of zeros. */
export function responseOfSize(typeUrl: string, nonce: string, size: number): Buffer {
  const build = (filler: number): Buffer => {
    const writer = new jspb.BinaryWriter()
    if (filler > 0) writer.writeBytes(2, new Uint8Array(filler))
    writer.writeString(4, typeUrl)
    writer.writeString(5, nonce)
    return Buffer.from(writer.getResultBuffer())
  }
  let filler = Math.max(0, size - build(0).length)
  // Its length takes some bytes too.
  while (filler > 0 && build(filler).length > size) filler--
  return build(filler)
}
