import type { Resource } from '../resource.ts'
import { fieldsOf } from './wire-field.ts'

/** The fields of `Listener`, and of `AdditionalAddress`, that hold an address. */
const field = { address: 2, additionalAddresses: 33, addressOfAdditional: 1 }

const known = new WeakMap<Resource, readonly string[]>()

/** The addresses that a listener binds, each encoded: equal ones are equal strings. None for one that binds none. */
export function listenerAddresses(listener: Resource): readonly string[] {
  let addresses = known.get(listener)
  if (addresses === undefined) {
    addresses = fieldsOf(listener.bytes)
      .flatMap(({ number, bytes }) => {
        if (number === field.address) return [bytes]
        if (number !== field.additionalAddresses) return []
        return fieldsOf(bytes).flatMap((inner) => (inner.number === field.addressOfAdditional ? [inner.bytes] : []))
      })
      .map((bytes) => Buffer.from(bytes).toString('latin1'))
    known.set(listener, addresses)
  }
  return addresses
}
