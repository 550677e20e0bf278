import { expect, test } from 'vitest'
import { resourceTypes } from '../../resource/type-url.ts'
import { nackMessage } from './nack-message.ts'

const { cluster, secret, route } = resourceTypes

test('A failed validation is shown without the resource that it dumps', () => {
  const message =
    'Proto constraint validation failed (ClusterValidationError.ConnectTimeout: value must be greater than 0s): name: "c"\ninline_string: "PRIVATE"'
  expect(nackMessage(cluster.typeUrl, message)).toBe(
    'Proto constraint validation failed (ClusterValidationError.ConnectTimeout: value must be greater than 0s)',
  )
})

test('Other messages are shown as they are, up to 500 characters', () => {
  const message = 'Only unique values for domains are permitted. Duplicate entry of domain a in route r1'
  expect(nackMessage(route.typeUrl, message)).toBe(message)
  expect(nackMessage(route.typeUrl, 'x'.repeat(600))).toHaveLength(500)
})

test.each(['PRIVATE KEY', 'RSA PRIVATE KEY', 'ENCRYPTED PRIVATE KEY'])('A %s in a message is not shown', (kind) => {
  const key = `-----BEGIN ${kind}-----\nMIGH\n-----END ${kind}-----`
  expect(nackMessage(cluster.typeUrl, `cluster a: "${key}" does not fit "${key}"`)).toBe(
    'cluster a: "***" does not fit "***"',
  )
  expect(nackMessage(cluster.typeUrl, `cluster a: ${key.slice(0, -10)}`)).toBe('cluster a: ***')
  expect(nackMessage(secret.typeUrl, `a (bad: ${key})`)).toBe('bad: ***')
})

test('A long message is read in a time that grows with its length alone', () => {
  // By the square of it, this would take minutes.
  expect(nackMessage(secret.typeUrl, '('.repeat(1_000_000))).toContain('not shown')
})

test('Of a rejected secret only the reason is shown', () => {
  expect(nackMessage(secret.typeUrl, 'PRIVATE (failed to load certificate chain)')).toBe(
    'failed to load certificate chain',
  )
  expect(nackMessage(secret.typeUrl, 'PRIVATE')).not.toContain('PRIVATE')
  const reason =
    'Failed to load private key from <inline>, Cause: error:0b000074:X.509 certificate routines:OPENSSL_internal:KEY_VALUES_MISMATCH'
  expect(nackMessage(secret.typeUrl, `PRIVATE: ${reason} PRIVATE (PRIVATE)`)).toBe(reason)
})

const failure =
  'Proto constraint validation failed (ClusterValidationError.ConnectTimeout: value must be greater than 0s)'

test.each([['goo.gle/debugproto   '], ['goo.gle/debugstr  ']])(
  'A resource that is dumped before the failure, after %s, is not shown',
  (mark) => {
    const dump = `${mark}\nname: "c"\nweight: 12\nratio: 0.5\nisolate: true\n5: "x"\nload {\n  [type.googleapis.com/x.Y] {\n    inline_string: "PRIVATE \\" {\\n"\n    inline_bytes: [REDACTED]\n  }\n}\n`
    expect(nackMessage(cluster.typeUrl, `${dump}: ${failure}`)).toBe(failure)
    expect(nackMessage(cluster.typeUrl, `Error adding/updating cluster(s) c: ${dump}: ${failure}, d: ${dump}`)).toBe(
      `Error adding/updating cluster(s) c: ${failure}, d:`,
    )
  },
)
