import { describe, expect, it } from 'vitest'
import { FieldReader, type JsonObject } from '../config/field-reader.ts'
import { type ConnectionFacts, FilterChainIndex } from './filter-chain-index.ts'
import { readFilterChainMatch } from './filter-chain-match.ts'

function indexOf(chains: Readonly<Record<string, JsonObject>>): FilterChainIndex<string> {
  const index = new FilterChainIndex<string>()
  for (const [name, match] of Object.entries(chains)) {
    expect(index.add(FieldReader.read(match, readFilterChainMatch), name)).toBe(true)
  }
  return index
}

const usual: ConnectionFacts = {
  localAddress: { ip: '10.0.0.1', port: 443 },
  remoteAddress: { ip: '192.0.2.7', port: 5000 },
  directRemoteAddress: { ip: '192.0.2.7', port: 5000 },
  serverName: '',
  transportProtocol: 'raw_buffer',
  applicationProtocols: [],
}
const prefix = (address_prefix: string, prefix_len: number): JsonObject => ({ address_prefix, prefix_len })

describe('the filter chain of a connection', () => {
  const names = {
    exact: { server_names: ['a.example.org'] },
    wild: { server_names: ['*.example.org'] },
    wilder: { server_names: ['*.org'] },
    none: {},
  }
  const cases: readonly [string, Readonly<Record<string, JsonObject>>, Partial<ConnectionFacts>, string | undefined][] =
    [
      ['by its name', names, { serverName: 'a.example.org' }, 'exact'],
      ['by the longest wildcard', names, { serverName: 'b.example.org' }, 'wild'],
      ['by a wildcard for several labels', names, { serverName: 'c.b.example.org' }, 'wild'],
      ['by a shorter wildcard', names, { serverName: 'example.org' }, 'wilder'],
      ['that asks for no name', names, { serverName: 'example.net' }, 'none'],
      ['of a client without a name', names, {}, 'none'],
      ['by the port it went to', { port: { destination_port: 443 }, any: {} }, {}, 'port'],
      ['by no port', { port: { destination_port: 80 }, any: {} }, {}, 'any'],
      [
        'with a port, and none below it',
        { port: { destination_port: 443, server_names: ['a'] }, any: {} },
        {},
        undefined,
      ],
      [
        'by the narrowest range',
        {
          wide: { prefix_ranges: [prefix('10.0.0.0', 8)] },
          narrow: { prefix_ranges: [prefix('10.0.0.0', 24)] },
          any: {},
        },
        {},
        'narrow',
      ],
      [
        'by the narrowest range, though nothing below it fits',
        {
          wide: { prefix_ranges: [prefix('10.0.0.0', 8)] },
          narrow: { prefix_ranges: [prefix('10.0.0.1', 32)], server_names: ['a'] },
        },
        {},
        undefined,
      ],
      [
        'by a range of IPv6',
        { six: { prefix_ranges: [prefix('2001:db8::', 32)] }, any: {} },
        { localAddress: { ip: '2001:db8::1', port: 1 } },
        'six',
      ],
      [
        'of IPv6 by none',
        { four: { prefix_ranges: [prefix('0.0.0.0', 0)] }, any: {} },
        { localAddress: { ip: '::1', port: 1 } },
        'any',
      ],
      [
        'by TLS',
        { tls: { transport_protocol: 'tls' }, raw: { transport_protocol: 'raw_buffer' } },
        { transportProtocol: 'tls' },
        'tls',
      ],
      ['by plain text', { tls: { transport_protocol: 'tls' }, any: {} }, {}, 'any'],
      [
        'by the name before the transport',
        { name: { server_names: ['a'], transport_protocol: 'raw_buffer' }, tls: { transport_protocol: 'tls' } },
        { serverName: 'a', transportProtocol: 'tls' },
        undefined,
      ],
      [
        'by the first protocol that a chain asks for',
        { h1: { application_protocols: ['http/1.1'] }, h2: { application_protocols: ['h2'] } },
        { applicationProtocols: ['x', 'h2', 'http/1.1'] },
        'h2',
      ],
      ['by no protocol', { h2: { application_protocols: ['h2'] }, any: {} }, { applicationProtocols: ['x'] }, 'any'],
      [
        'by who is connected',
        { near: { direct_source_prefix_ranges: [prefix('172.16.0.0', 12)] }, any: {} },
        { directRemoteAddress: { ip: '172.16.9.9', port: 1 } },
        'near',
      ],
      [
        'from this machine',
        { here: { source_type: 'SAME_IP_OR_LOOPBACK' }, away: { source_type: 'EXTERNAL' } },
        { remoteAddress: { ip: '127.0.0.1', port: 1 } },
        'here',
      ],
      [
        'from an address that is nearly loopback',
        { here: { source_type: 'SAME_IP_OR_LOOPBACK' }, away: { source_type: 'EXTERNAL' } },
        { remoteAddress: { ip: '127.0.0.9', port: 1 } },
        'away',
      ],
      [
        'from its own address',
        { here: { source_type: 'SAME_IP_OR_LOOPBACK' }, away: { source_type: 'EXTERNAL' } },
        { remoteAddress: { ip: '10.0.0.1', port: 1 } },
        'here',
      ],
      [
        'from elsewhere',
        { here: { source_type: 'SAME_IP_OR_LOOPBACK' }, away: { source_type: 'EXTERNAL' }, any: {} },
        {},
        'away',
      ],
      ['from anywhere', { here: { source_type: 'SAME_IP_OR_LOOPBACK' }, any: {} }, {}, 'any'],
      ['by the client', { net: { source_prefix_ranges: [prefix('192.0.2.0', 24)] }, any: {} }, {}, 'net'],
      [
        'by the client and its port',
        {
          port: { source_prefix_ranges: [prefix('192.0.2.0', 24)], source_ports: [5000, 5001] },
          net: { source_prefix_ranges: [prefix('192.0.2.0', 24)] },
        },
        {},
        'port',
      ],
      ['by the client behind another port', { port: { source_ports: [5001] }, any: {} }, {}, 'any'],
      ['that there is none for', { tls: { transport_protocol: 'tls' } }, {}, undefined],
    ]
  it.each(cases)('%s', (_, chains, facts, expected) => {
    expect(indexOf(chains).find({ ...usual, ...facts })).toBe(expected)
  })

  it('cannot be two: rules that overlap are refused', () => {
    const index = new FilterChainIndex<string>()
    const add = (match: JsonObject): boolean => index.add(FieldReader.read(match, readFilterChainMatch), 'x')
    expect(add({ server_names: ['a', 'b'] })).toBe(true)
    expect(add({ server_names: ['b', 'c'] })).toBe(false)
    expect(add({ server_names: ['d'] })).toBe(true)
  })
})
