import { hostname } from 'node:os'
import { expect, test } from 'vitest'
import { isOwnHost } from './own-host.ts'

test.each<[string | undefined, boolean]>([
  ['127.0.0.1:18001', true],
  ['127.0.0.1', true],
  ['10.1.2.3:18001', true],
  ['[::1]:18001', true],
  ['[::1]', true],
  ['localhost:18001', true],
  ['LocalHost', true],
  ['fairlead:18001', true],
  [hostname(), true],
  ['cp.example:18001', true],
  ['CP.Example', true],
  ['evil.example', false],
  ['evil.example:18001', false],
  ['localhost.evil.example', false],
  ['127.0.0.1.evil.example', false],
  ['127.0.0.1.nip.io:18001', false],
  ['cp.example.evil', false],
  ['localhost.', false],
  [':18001', false],
  ['', false],
  [undefined, false],
])('a request for the host %j is ours: %s', (header, expected) => {
  expect(isOwnHost(header, 'cp.example')).toBe(expected)
})
