import jspb from 'google-protobuf'
import type { Resource } from '../resource.ts'

/** The fields of `Listener`, and of `AdditionalAddress`, that hold an address. */
const field = { address: 2, additionalAddresses: 33, addressOfAdditional: 1 }

const known = new WeakMap<Resource, readonly string[]>()

/** The addresses that a listener binds, each encoded: equal ones are equal strings. None for one that binds none. */
export function listenerAddresses(listener: Resource): readonly string[] {
  let addresses = known.get(listener)
  if (addresses === undefined) {
    addresses = fieldsOf(listener.bytes, (number) => number === field.address || number === field.additionalAddresses)
      .flatMap(({ number, bytes }) =>
        number === field.address
          ? [bytes]
          : fieldsOf(bytes, (n) => n === field.addressOfAdditional).map((f) => f.bytes),
      )
      .map((bytes) => Buffer.from(bytes).toString('latin1'))
    known.set(listener, addresses)
  }
  return addresses
}

function fieldsOf(
  bytes: Uint8Array,
  isWanted: (number: number) => boolean,
): readonly { readonly number: number; readonly bytes: Uint8Array }[] {
  const found: { number: number; bytes: Uint8Array }[] = []
  const reader = new jspb.BinaryReader(bytes)
  while (reader.nextField()) {
    const number = reader.getFieldNumber()
    if (isWanted(number) && reader.isDelimited()) found.push({ number, bytes: reader.readBytes() })
    else reader.skipField()
  }
  return found
}
