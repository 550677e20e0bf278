import type { Resource } from '../resource.ts'
import { fieldsOf } from './wire-field.ts'

/** The fields of `Listener`, of `AdditionalAddress`, of `Address` and of `SocketAddress` that matter. */
const field = { address: 2, additionalAddresses: 33, addressOfAdditional: 1, socket: 1, port: 3 }

const known = new WeakMap<Resource, readonly string[]>()

/**
 * The addresses that a listener is at, whether it binds them or not: Envoy refuses a second one there. Each is encoded:
 * equal ones are equal strings. None for an API listener; and none at port 0, which is another one each time.
 */
export function listenerAddresses(listener: Resource): readonly string[] {
  let addresses = known.get(listener)
  if (addresses === undefined) {
    addresses = fieldsOf(listener.bytes)
      .flatMap(({ number, bytes }) => {
        if (number === field.address) return [bytes]
        if (number !== field.additionalAddresses) return []
        return fieldsOf(bytes).flatMap((inner) => (inner.number === field.addressOfAdditional ? [inner.bytes] : []))
      })
      .filter((address) => !isAnyPort(address))
      .map((bytes) => Buffer.from(bytes).toString('latin1'))
    known.set(listener, addresses)
  }
  return addresses
}

function isAnyPort(address: Uint8Array): boolean {
  return fieldsOf(address).some(
    ({ number, bytes }) =>
      number === field.socket && fieldsOf(bytes).some((part) => part.number === field.port && part.varint === 0),
  )
}
