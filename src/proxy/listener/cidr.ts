import { isIPv4, isIPv6 } from 'node:net'
import type { FieldReader } from '../config/field-reader.ts'

/** A range of addresses: those that begin with the first `length` bits of `bytes`. */
export interface Cidr {
  readonly bytes: readonly number[]
  readonly length: number
}

/** `envoy.config.core.v3.CidrRange`; without `prefix_len` its length is 0, as in Envoy. */
export function readCidr(fields: FieldReader): Cidr {
  const address = fields.string('address_prefix')
  const length = fields.number('prefix_len') ?? 0
  if (!isIPv4(address) && !isIPv6(address)) fields.refuse('address_prefix', `malformed IP address: ${address}`)
  const bytes = addressBytes(address)
  return { bytes: cut(bytes, length), length: Math.min(length, bytes.length * 8) }
}

export function cidrContains(range: Cidr, bytes: readonly number[]): boolean {
  if (range.bytes.length !== bytes.length) return false
  return cut(bytes, range.length).every((byte, at) => byte === range.bytes[at])
}

/** One text for one range. */
export function cidrText({ bytes, length }: Cidr): string {
  return `${bytes.join('.')}/${length}`
}

/** Four, or sixteen; an IPv4 address that is written as IPv6 (`::ffff:1.2.3.4`) is its four. */
export function addressBytes(address: string): readonly number[] {
  const plain = address.replace(/%.*$/, '')
  if (isIPv4(plain)) return plain.split('.').map(Number)
  const [, mapped] = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(plain) ?? []
  if (mapped !== undefined) return mapped.split('.').map(Number)
  const [head = '', tail] = plain.split('::')
  const before = groupsOf(head)
  const after = tail === undefined ? [] : groupsOf(tail)
  const zeros = Array<number>(Math.max(0, 8 - before.length - after.length)).fill(0)
  return [...before, ...zeros, ...after].flatMap((group) => [group >> 8, group & 255])
}

function groupsOf(text: string): readonly number[] {
  if (text === '') return []
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)]
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number)
    return [a * 256 + b, c * 256 + d]
  })
}

function cut(bytes: readonly number[], length: number): readonly number[] {
  return bytes.map((byte, at) => {
    const bits = Math.min(8, Math.max(0, length - at * 8))
    return byte & (0xff << (8 - bits)) & 0xff
  })
}
