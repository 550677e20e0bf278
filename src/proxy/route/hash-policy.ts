import { xxHash64 } from '../balance/xx-hash.ts'
import type { FieldReader } from '../config/field-reader.ts'
import type { Headers } from '../http/headers.ts'
import type { HttpStream } from '../http/http-filter.ts'
import { readSubstitution } from './path-rewrite.ts'
import { cookieOf, firstParameter } from './route-match.ts'

/** Whom a request belongs to, for consistent hashing. */
export interface HashPolicy {
  readonly isTerminal: boolean
  hash(subject: HashSubject): bigint | undefined
}

export interface HashSubject {
  readonly request: Headers
  readonly remoteIp: string
  /** `10.0.0.1:43210` and `10.0.0.2:80`, of which a new cookie is made. */
  readonly remoteAddress: string
  readonly localAddress: string
  /** Called with a cookie that the response is to set. */
  setCookie(line: string): void
}

type Subject = Pick<HttpStream, 'request' | 'info' | 'connection'>

export function hashSubjectOf(
  { request, info, connection: { remoteAddress, localAddress } }: Subject,
  setCookie: (line: string) => void,
): HashSubject {
  const client = info.clientAddress ?? remoteAddress
  return {
    request,
    remoteIp: client.ip,
    remoteAddress: `${client.ip}:${client.port}`,
    localAddress: `${localAddress.ip}:${localAddress.port}`,
    setCookie,
  }
}

/** `envoy.config.route.v3.RouteAction.HashPolicy`. */
export function readHashPolicy(fields: FieldReader): HashPolicy {
  const isTerminal = fields.flag('terminal')
  const hash =
    fields.message('header', readHeaderHash) ??
    fields.message('cookie', readCookieHash) ??
    fields.message('connection_properties', readConnectionHash) ??
    fields.message('query_parameter', readQueryHash) ??
    (() => undefined)
  return { isTerminal, hash }
}

type Hash = HashPolicy['hash']

function readHeaderHash(fields: FieldReader): Hash {
  const name = fields.string('header_name').toLowerCase()
  const rewrite = fields.message('regex_rewrite', readSubstitution)
  return ({ request }) => {
    const values = [...request.all(name)]
    if (values.length === 0) return undefined
    // Repeated headers hash the same in any order.
    const text = (rewrite === undefined ? values : values.map(rewrite)).toSorted().join('')
    return xxHash64(text)
  }
}

function readCookieHash(fields: FieldReader): Hash {
  const name = fields.string('name')
  const ttlMs = fields.durationMs('ttl')
  const path = fields.string('path')
  const attributes = fields.list('attributes', (attribute) => {
    const value = attribute.string('value')
    return `; ${attribute.string('name')}${value === '' ? '' : `=${value}`}`
  })
  return (subject) => {
    const known = cookieOf(subject.request, name)
    if (known !== undefined && known !== '') return xxHash64(known)
    if (ttlMs === undefined) return undefined
    const value = xxHash64(subject.remoteAddress + subject.localAddress).toString(16)
    const age = ttlMs === 0 ? '' : `; Max-Age=${Math.trunc(ttlMs / 1000)}`
    subject.setCookie(`${name}="${value}"${age}${path === '' ? '' : `; Path=${path}`}${attributes.join('')}; HttpOnly`)
    return xxHash64(value)
  }
}

function readConnectionHash(fields: FieldReader): Hash {
  return fields.flag('source_ip') ? ({ remoteIp }) => xxHash64(remoteIp) : () => undefined
}

function readQueryHash(fields: FieldReader): Hash {
  const name = fields.string('name')
  return ({ request }) => {
    const path = request.get(':path') ?? ''
    const value = firstParameter(path.slice(path.indexOf('?') + 1 || path.length), name)
    return value === undefined ? undefined : xxHash64(value)
  }
}

const allBits = (1n << 64n) - 1n

/** What all policies together say: each one's hash is mixed into that of those before it. */
export function hashOf(policies: readonly HashPolicy[], subject: HashSubject): bigint | undefined {
  let hash: bigint | undefined
  for (const policy of policies) {
    const own = policy.hash(subject)
    if (own !== undefined) {
      const before = hash ?? 0n
      hash = (((before << 1n) | (before >> 63n)) & allBits) ^ own
    }
    if (policy.isTerminal && hash !== undefined) break
  }
  return hash
}
