import { describe, expect, test } from 'vitest'
import { formatAddress, isLoopback, parseAddress } from './address.ts'

describe('an address', () => {
  test.each<[string, string, number, string, boolean]>([
    ['127.0.0.1:18000', '127.0.0.1', 18000, '127.0.0.1:18000', true],
    ['127.8.9.1:1', '127.8.9.1', 1, '127.8.9.1:1', true],
    ['localhost:0', 'localhost', 0, 'localhost:0', true],
    ['LOCALHOST:0', 'LOCALHOST', 0, 'LOCALHOST:0', true],
    ['[::1]:18000', '::1', 18000, '[::1]:18000', true],
    ['[::ffff:127.0.0.1]:1', '::ffff:127.0.0.1', 1, '[::ffff:127.0.0.1]:1', true],
    [':18000', '0.0.0.0', 18000, '0.0.0.0:18000', false],
    ['0.0.0.0:65535', '0.0.0.0', 65535, '0.0.0.0:65535', false],
    ['[::]:1', '::', 1, '[::]:1', false],
    ['10.0.0.1:1', '10.0.0.1', 1, '10.0.0.1:1', false],
    ['xds.example:1', 'xds.example', 1, 'xds.example:1', false],
    ['127.0.0.1.example:1', '127.0.0.1.example', 1, '127.0.0.1.example:1', false],
  ])('%s', (text, host, port, canonical, loopback) => {
    expect(parseAddress(text)).toEqual({ host, port })
    expect(formatAddress({ host, port })).toBe(canonical)
    expect(isLoopback(text)).toBe(loopback)
  })

  test.each([
    '',
    '18000',
    'localhost',
    'a:65536',
    'a:-1',
    '::1:18000',
    '[::1]',
    '[10.0.0.1]:1',
    '1.2.3:4',
    '999.1.1.1:1',
    'a b:1',
    'http://a:1',
    '-a:1',
  ])('"%s" is none', (text) => {
    expect(parseAddress(text)).toBeUndefined()
    expect(isLoopback(text)).toBe(false)
  })
})
