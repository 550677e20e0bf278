import { describe, expect, test } from 'vitest'
import { FieldReader, type JsonObject } from '../config/field-reader.ts'
import { Headers } from '../http/headers.ts'
import type { DownstreamConnection, PeerCertificate } from '../network/network-filter.ts'
import { judge, type RbacSubject, readRbacRules } from './rbac-rules.ts'

interface Asked {
  readonly path?: string
  readonly ip?: string
  readonly remoteIp?: string
  readonly peer?: Partial<PeerCertificate>
  readonly serverName?: string
  readonly headers?: Readonly<Record<string, string>>
}

function subjectOf({ path = '/', ip = '10.0.0.1', remoteIp = ip, peer, serverName = '', headers }: Asked): RbacSubject {
  const whole = peer && { subject: '', uriNames: [], dnsNames: [], sha256: '', pem: '', ...peer }
  return {
    connection: {
      directRemoteAddress: { ip, port: 1 },
      localAddress: { ip: '10.1.0.1', port: 8080 },
      serverName,
      tls: whole && { version: 'TLSv1.3', cipher: '', peer: whole },
    } as unknown as DownstreamConnection,
    remoteIp,
    request: Headers.of({ ':method': 'GET', ':path': path, ...headers }),
    metadata: new Map([['jwt', { claims: { role: 'admin' } }]]),
  }
}

const any = { any: true }

const allows = (permission: JsonObject, principal: JsonObject, asked: Asked): boolean =>
  judge(
    FieldReader.read({ policies: { one: { permissions: [permission], principals: [principal] } } }, readRbacRules),
    subjectOf(asked),
  ).allowed

describe('a permission', () => {
  test.each<[JsonObject, Asked, boolean]>([
    [any, {}, true],
    [{ url_path: { path: { prefix: '/a' } } }, { path: '/a/b?c' }, true],
    [{ url_path: { path: { exact: '/a' } } }, { path: '/a?b' }, true],
    [{ url_path: { path: { exact: '/a' } } }, { path: '/b' }, false],
    [{ header: { name: 'x-a', string_match: { exact: 'b' } } }, { headers: { 'x-a': 'b' } }, true],
    [{ destination_port: 8080 }, {}, true],
    [{ destination_port_range: { start: 8000, end: 8080 } }, {}, false],
    [{ destination_ip: { address_prefix: '10.1.0.0', prefix_len: 16 } }, {}, true],
    [{ requested_server_name: { suffix: '.example' } }, { serverName: 'a.example' }, true],
    [{ and_rules: { rules: [any, { not_rule: any }] } }, {}, false],
    [{ or_rules: { rules: [{ not_rule: any }, any] } }, {}, true],
  ])('%j of %j: %s', (permission, asked, isAllowed) => {
    expect(allows(permission, any, asked)).toBe(isAllowed)
  })
})

describe('a principal', () => {
  test.each<[JsonObject, Asked, boolean]>([
    [{ direct_remote_ip: { address_prefix: '10.0.0.0', prefix_len: 24 } }, { ip: '10.0.0.9' }, true],
    [{ direct_remote_ip: { address_prefix: '10.0.0.0', prefix_len: 24 } }, { ip: '10.0.1.9' }, false],
    [{ remote_ip: { address_prefix: 'fd00::', prefix_len: 8 } }, { remoteIp: 'fd12::1' }, true],
    [{ remote_ip: { address_prefix: '0.0.0.0', prefix_len: 0 } }, { remoteIp: 'fd12::1' }, false],
    [{ authenticated: {} }, {}, false],
    [{ authenticated: {} }, { peer: {} }, true],
    [{ authenticated: { principal_name: { exact: 'spiffe://a/b' } } }, { peer: { uriNames: ['spiffe://a/b'] } }, true],
    // A URI stands before the DNS names, which then do not count.
    [
      { authenticated: { principal_name: { exact: 'b' } } },
      { peer: { uriNames: ['spiffe://a/b'], dnsNames: ['b'] } },
      false,
    ],
    [{ authenticated: { principal_name: { exact: 'b' } } }, { peer: { dnsNames: ['a', 'b'] } }, true],
    [{ authenticated: { principal_name: { exact: 'CN=c' } } }, { peer: { subject: 'CN=c' } }, true],
    [
      {
        metadata: {
          filter: 'jwt',
          path: [{ key: 'claims' }, { key: 'role' }],
          value: { string_match: { exact: 'admin' } },
        },
      },
      {},
      true,
    ],
    [
      {
        metadata: {
          filter: 'jwt',
          path: [{ key: 'claims' }, { key: 'none' }],
          value: { string_match: { exact: 'admin' } },
        },
      },
      {},
      false,
    ],
    [{ not_id: any }, {}, false],
  ])('%j of %j: %s', (principal, asked, isAllowed) => {
    expect(allows(any, principal, asked)).toBe(isAllowed)
  })
})

describe('the rules', () => {
  const of = (action: string, isMatched: boolean): object => {
    const policy = { permissions: [isMatched ? any : { not_rule: any }], principals: [any] }
    return judge(FieldReader.read({ action, policies: { one: policy } }, readRbacRules), subjectOf({}))
  }

  test('allow what matches, or deny it, or do neither', () => {
    expect(of('ALLOW', true)).toEqual({ allowed: true, policy: 'one' })
    expect(of('ALLOW', false)).toEqual({ allowed: false })
    expect(of('DENY', true)).toEqual({ allowed: false, policy: 'one' })
    expect(of('DENY', false)).toEqual({ allowed: true })
    expect(of('LOG', true)).toEqual({ allowed: true, policy: 'one' })
  })

  test('without policies let nobody pass', () => {
    expect(judge(FieldReader.read({}, readRbacRules), subjectOf({})).allowed).toBe(false)
  })
})
