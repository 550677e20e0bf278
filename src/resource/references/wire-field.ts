import jspb from 'google-protobuf'

export interface WireField {
  readonly number: number
  /** Empty where the field is no message, text or bytes. */
  readonly bytes: Uint8Array
  /** Where it is a number without a sign, a truth value or an enum's. */
  readonly varint: number | undefined
}

const nothing = new Uint8Array()

/** The wire type of numbers in as few bytes as they need. */
const varintWire = 0

/** The fields of an encoded message, in their order: for those who must know a few of them, and have no descriptors. */
export function fieldsOf(bytes: Uint8Array): readonly WireField[] {
  const found: WireField[] = []
  const reader = new jspb.BinaryReader(bytes)
  while (reader.nextField()) {
    const number = reader.getFieldNumber()
    const wireType: number = reader.getWireType()
    if (reader.isDelimited()) found.push({ number, bytes: reader.readBytes(), varint: undefined })
    else if (wireType === varintWire) {
      found.push({ number, bytes: nothing, varint: reader.readUint64() })
    } else {
      reader.skipField()
      found.push({ number, bytes: nothing, varint: undefined })
    }
  }
  return found
}
