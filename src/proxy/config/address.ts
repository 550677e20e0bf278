import type { FieldReader } from './field-reader.ts'

/** Where something is: an IP address, or a name that is looked up where DNS is asked. */
export interface AddressConfig {
  readonly address: string
  readonly port: number
}

/** `envoy.config.core.v3.Address`, of which this proxy knows sockets of TCP. */
export function readAddress(fields: FieldReader): AddressConfig {
  return fields.message('socket_address', readSocketAddress) ?? { address: '', port: 0 }
}

/** `envoy.config.core.v3.SocketAddress` */
function readSocketAddress(fields: FieldReader): AddressConfig {
  fields.choice('protocol', ['TCP'])
  return { address: fields.string('address'), port: fields.number('port_value') ?? 0 }
}
