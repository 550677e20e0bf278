import { isIPv6 } from 'node:net'
import type { ClientAddresses } from './upstream.ts'

const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')

/** What tells an upstream who the client is: version 1 is a line of text, version 2 is binary. */
export function buildProxyProtocolHeader(version: 1 | 2, client: ClientAddresses | undefined): Buffer {
  return version === 1 ? Buffer.from(buildLine(client)) : buildBinary(client)
}

function buildLine(client: ClientAddresses | undefined): string {
  if (client === undefined) return 'PROXY UNKNOWN\r\n'
  const { remoteAddress: from, localAddress: to } = client
  const family = isIPv6(from.ip) ? 'TCP6' : 'TCP4'
  return `PROXY ${family} ${from.ip} ${to.ip} ${from.port} ${to.port}\r\n`
}

function buildBinary(client: ClientAddresses | undefined): Buffer {
  // LOCAL: the connection is the proxy's own, as a health check's is.
  if (client === undefined) return Buffer.concat([signature, Buffer.from([0x20, 0x00, 0x00, 0x00])])
  const { remoteAddress: from, localAddress: to } = client
  const isSix = isIPv6(from.ip)
  const address = isSix ? bytesOfIpv6 : bytesOfIpv4
  const ports = Buffer.alloc(4)
  ports.writeUInt16BE(from.port, 0)
  ports.writeUInt16BE(to.port, 2)
  const body = Buffer.concat([address(from.ip), address(to.ip), ports])
  return Buffer.concat([signature, Buffer.from([0x21, isSix ? 0x21 : 0x11, 0x00, body.length]), body])
}

function bytesOfIpv4(ip: string): Buffer {
  return Buffer.from(ip.split('.').map(Number))
}

function bytesOfIpv6(ip: string): Buffer {
  const [head = '', tail] = ip.replace(/%.*$/, '').split('::')
  const groups = (text: string): number[] =>
    text === ''
      ? []
      : text.split(':').flatMap((group) => {
          if (!group.includes('.')) return [Number.parseInt(group, 16)]
          const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number)
          return [a * 256 + b, c * 256 + d]
        })
  const before = groups(head)
  const after = tail === undefined ? [] : groups(tail)
  const all = [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after]
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 255]))
}
