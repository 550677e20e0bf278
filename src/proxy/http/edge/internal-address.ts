import { BlockList, isIPv6 } from 'node:net'
import type { FieldReader } from '../../config/field-reader.ts'

/** Whose requests are trusted to come from within; nobody's where nothing is said. */
export interface InternalAddresses {
  readonly ranges?: BlockList
}

/** `…HttpConnectionManager.InternalAddressConfig` */
export function readInternalAddresses(fields: FieldReader): InternalAddresses {
  fields.ignore('unix_sockets', 'this proxy listens on no Unix socket')
  const ranges = new BlockList()
  fields.list('cidr_ranges', (range) => {
    const prefix = range.string('address_prefix')
    const length = range.message('prefix_len', (value) => value.number('value')) ?? 0
    ranges.addSubnet(prefix, length, isIPv6(prefix) ? 'ipv6' : 'ipv4')
  })
  return { ranges }
}

export function isInternalAddress(ip: string, { ranges }: InternalAddresses): boolean {
  return ranges?.check(ip, isIPv6(ip) ? 'ipv6' : 'ipv4') ?? false
}
