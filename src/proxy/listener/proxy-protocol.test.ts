import { describe, expect, it } from 'vitest'
import { buildProxyProtocolHeader } from '../upstream/proxy-protocol-header.ts'
import { readProxyProtocol } from './proxy-protocol.ts'

const signature = '0d0a0d0a000d0a515549540a'
const line = (text: string): Buffer => Buffer.from(text)
const binary = (hex: string): Buffer => Buffer.from(signature + hex.replaceAll(' ', ''), 'hex')

describe('a PROXY protocol header', () => {
  it.each([
    [
      'TCP4',
      'PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n',
      { ip: '192.0.2.1', port: 56324 },
      { ip: '198.51.100.2', port: 443 },
    ],
    ['TCP6', 'PROXY TCP6 2001:db8::1 ::1 1 65535\r\n', { ip: '2001:db8::1', port: 1 }, { ip: '::1', port: 65535 }],
  ])('of version 1, %s', (_, text, source, destination) => {
    const header = { version: 1, length: text.length, addresses: { source, destination } }
    expect(readProxyProtocol(line(`${text}GET / HTTP/1.1`))).toEqual(header)
    for (let size = 1; size < text.length; size++) expect(readProxyProtocol(line(text.slice(0, size)))).toBe('more')
  })

  it('may say nothing', () => {
    expect(readProxyProtocol(line('PROXY UNKNOWN\r\n'))).toEqual({ version: 1, length: 15, addresses: undefined })
    expect(readProxyProtocol(line('PROXY UNKNOWN a b c d\r\nx'))).toMatchObject({ length: 23, addresses: undefined })
    expect(readProxyProtocol(binary('20 00 0000'))).toEqual({ version: 2, length: 16, addresses: undefined })
    expect(readProxyProtocol(binary('20 11 000c c0000201 c6336402 dc04 01bb'))).toMatchObject({
      length: 28,
      addresses: undefined,
    })
  })

  it.each([
    [
      'IPv4',
      '21 11 000c c0000201 c6336402 dc04 01bb',
      28,
      { ip: '192.0.2.1', port: 56324 },
      { ip: '198.51.100.2', port: 443 },
    ],
    [
      'IPv4 with more behind it',
      '21 11 0010 c0000201 c6336402 dc04 01bb 04000100',
      32,
      { ip: '192.0.2.1', port: 56324 },
      { ip: '198.51.100.2', port: 443 },
    ],
    [
      'IPv6',
      `21 21 0024 20010db8000000000000000000000001 ${'00'.repeat(15)}01 0001 ffff`,
      52,
      { ip: '2001:db8::1', port: 1 },
      { ip: '::1', port: 65535 },
    ],
  ])('of version 2, %s', (_, hex, length, source, destination) => {
    const bytes = binary(hex)
    expect(readProxyProtocol(Buffer.concat([bytes, Buffer.from('x')]))).toEqual({
      version: 2,
      length,
      addresses: { source, destination },
    })
    for (let size = 1; size < bytes.length; size++) expect(readProxyProtocol(bytes.subarray(0, size))).toBe('more')
  })

  it.each([
    ['a word that is none', line('PROXY TCP5 a b 1 2\r\n')],
    ['an address of the other family', line('PROXY TCP4 ::1 ::1 1 2\r\n')],
    ['a port that is none', line('PROXY TCP4 1.1.1.1 2.2.2.2 1 65536\r\n')],
    ['too few words', line('PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n')],
    ['a line without an end', line(`PROXY TCP4 ${' '.repeat(200)}`)],
    ['another version', binary('31 11 000c c0000201 c6336402 dc04 01bb')],
    ['another command', binary('22 11 000c c0000201 c6336402 dc04 01bb')],
    ['datagrams', binary('21 12 000c c0000201 c6336402 dc04 01bb')],
    ['addresses that are too short', binary('21 11 0004 c0000201')],
  ])('may be broken: %s', (_, bytes) => {
    expect(readProxyProtocol(bytes)).toBe('bad')
  })

  it('is missing where anything else begins', () => {
    expect(readProxyProtocol(line('GET / HTTP/1.1\r\n'))).toBe('none')
    expect(readProxyProtocol(line('PROXX'))).toBe('none')
    expect(readProxyProtocol(Buffer.from([22, 3, 1]))).toBe('none')
  })

  it.each([
    { remoteAddress: { ip: '192.0.2.1', port: 56324 }, localAddress: { ip: '198.51.100.2', port: 443 } },
    { remoteAddress: { ip: '2001:db8::1', port: 1 }, localAddress: { ip: '::ffff:1.2.3.4', port: 2 } },
  ])('that goes to an upstream says the same', ({ remoteAddress: source, localAddress }) => {
    const destination = { ip: localAddress.ip.replace('::ffff:1.2.3.4', '::ffff:102:304'), port: localAddress.port }
    const client = { remoteAddress: source, localAddress }
    expect(readProxyProtocol(buildProxyProtocolHeader(2, client))).toMatchObject({ addresses: { source, destination } })
    expect(readProxyProtocol(buildProxyProtocolHeader(1, client))).toMatchObject({ addresses: { source } })
    expect(readProxyProtocol(buildProxyProtocolHeader(1, undefined))).toMatchObject({ addresses: undefined })
    expect(readProxyProtocol(buildProxyProtocolHeader(2, undefined))).toMatchObject({ addresses: undefined })
  })
})
