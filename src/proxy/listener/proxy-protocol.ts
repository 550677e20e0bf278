import { isIPv4, isIPv6 } from 'node:net'
import type { SocketAddress } from '../network/network-filter.ts'

/** What a PROXY protocol header says of who is behind the connection. */
export interface ProxyProtocolHeader {
  readonly version: 1 | 2
  /** How many bytes it has. */
  readonly length: number
  /** Undefined: the connection stands for itself (LOCAL, UNKNOWN). */
  readonly addresses: { readonly source: SocketAddress; readonly destination: SocketAddress } | undefined
}

const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')
const prefix = Buffer.from('PROXY ')
/** With its line end. */
const longestLine = 108

/** Reads the header that a connection begins with: `none` where it begins with something else, `bad` where it is broken. */
export function readProxyProtocol(bytes: Buffer): ProxyProtocolHeader | 'more' | 'none' | 'bad' {
  if (begins(bytes, signature)) return bytes.length < 16 ? 'more' : readBinary(bytes)
  if (begins(bytes, prefix)) return bytes.length < prefix.length ? 'more' : readLine(bytes)
  return 'none'
}

/** Whether it begins so, as far as it has come. */
function begins(bytes: Buffer, start: Buffer): boolean {
  const known = Math.min(bytes.length, start.length)
  return bytes.subarray(0, known).equals(start.subarray(0, known))
}

function readLine(bytes: Buffer): ProxyProtocolHeader | 'more' | 'bad' {
  const end = bytes.subarray(0, longestLine).indexOf('\r\n')
  if (end === -1) return bytes.length >= longestLine ? 'bad' : 'more'
  const [, family, ...rest] = bytes.toString('latin1', 0, end).split(' ')
  const length = end + 2
  if (family === 'UNKNOWN') return { version: 1, length, addresses: undefined }
  const [source = '', destination = '', sourcePort = '', destinationPort = ''] = rest
  const isFamily = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isIPv6 : () => false
  if (rest.length !== 4 || !isFamily(source) || !isFamily(destination)) return 'bad'
  if (!isPort(sourcePort) || !isPort(destinationPort)) return 'bad'
  return {
    version: 1,
    length,
    addresses: {
      source: { ip: source, port: Number(sourcePort) },
      destination: { ip: destination, port: Number(destinationPort) },
    },
  }
}

const isPort = (text: string): boolean => /^\d{1,5}$/.test(text) && Number(text) <= 65_535

function readBinary(bytes: Buffer): ProxyProtocolHeader | 'more' | 'bad' {
  const versionAndCommand = bytes[12] as number
  const familyAndTransport = bytes[13] as number
  const length = 16 + bytes.readUInt16BE(14)
  if (versionAndCommand >> 4 !== 2) return 'bad'
  const command = versionAndCommand & 0x0f
  if (command > 1) return 'bad'
  if (bytes.length < length) return 'more'
  if (command === 0) return { version: 2, length, addresses: undefined }
  const family = familyAndTransport >> 4
  const isStream = (familyAndTransport & 0x0f) === 1
  const size = family === 1 ? 4 : 16
  if (!isStream || (family !== 1 && family !== 2) || length - 16 < 2 * size + 4) return 'bad'
  const at = (from: number): string => addressText(bytes.subarray(from, from + size))
  return {
    version: 2,
    length,
    addresses: {
      source: { ip: at(16), port: bytes.readUInt16BE(16 + 2 * size) },
      destination: { ip: at(16 + size), port: bytes.readUInt16BE(18 + 2 * size) },
    },
  }
}

function addressText(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.')
  const groups = Array.from({ length: 8 }, (_, at) => bytes.readUInt16BE(at * 2).toString(16))
  // As it is usually written: the longest run of zeros is left out.
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1)
}
