import { BlockList, isIPv4 } from 'node:net'
import { type FieldReader, type Read } from '../config/field-reader.ts'
import { readHeaderMatcher } from '../config/header-matcher.ts'
import { readStringMatcher, type TextTest } from '../config/string-matcher.ts'
import type { Headers } from '../http/headers.ts'
import type { DownstreamConnection } from '../network/network-filter.ts'
import { endOfPath } from '../route/path-rewrite.ts'

/** Who asks for what. */
export interface RbacSubject {
  readonly connection: DownstreamConnection
  /** Of the client, behind the proxies that are trusted; of a raw connection its own. */
  readonly remoteIp: string
  /** Absent of a raw connection: conditions on headers and paths hold for none. */
  readonly request: Headers | undefined
  /** Of `metadata` that filters have set, by namespace. */
  readonly metadata: ReadonlyMap<string, Readonly<Record<string, unknown>>>
}

export type RbacTest = (subject: RbacSubject) => boolean

export interface RbacRules {
  readonly action: 'ALLOW' | 'DENY' | 'LOG'
  readonly policies: readonly RbacPolicy[]
}

export interface RbacPolicy {
  readonly name: string
  readonly test: RbacTest
}

/** `envoy.config.rbac.v3.RBAC`. Policies are asked in the order of their names. */
export function readRbacRules(fields: FieldReader): RbacRules {
  const action = fields.choice('action', ['ALLOW', 'DENY', 'LOG'])
  const policies = fields.map('policies', (policy, name): RbacPolicy => {
    const permissions = policy.list('permissions', readPermission)
    const principals = policy.list('principals', readPrincipal)
    return { name, test: both(anyOf(permissions), anyOf(principals)) }
  })
  return { action, policies: [...policies.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1)) }
}

/** Whether the rules let it pass, and the policy that matched. */
export function judge({ action, policies }: RbacRules, subject: RbacSubject): { allowed: boolean; policy?: string } {
  const policy = policies.find(({ test }) => test(subject))?.name
  const allowed = action === 'LOG' || (action === 'ALLOW') === (policy !== undefined)
  return { allowed, ...(policy !== undefined && { policy }) }
}

const both =
  (one: RbacTest, other: RbacTest): RbacTest =>
  (subject) =>
    one(subject) && other(subject)

const anyOf =
  (tests: readonly RbacTest[]): RbacTest =>
  (subject) =>
    tests.some((test) => test(subject))

const allOf =
  (tests: readonly RbacTest[]): RbacTest =>
  (subject) =>
    tests.every((test) => test(subject))

const notOf =
  (test: RbacTest): RbacTest =>
  (subject) =>
    !test(subject)

const nobody: RbacTest = () => false

/** The first of the kinds that the message has; the API makes them a oneof. */
function readKind(fields: FieldReader, kinds: Readonly<Record<string, Read<RbacTest>>>): RbacTest {
  for (const [name, read] of Object.entries(kinds)) if (fields.has(name)) return fields.message(name, read) ?? nobody
  return nobody
}

function readPermission(fields: FieldReader): RbacTest {
  if (fields.has('any')) return fields.flag('any') ? () => true : nobody
  if (fields.has('destination_port')) {
    const port = fields.number('destination_port')
    return ({ connection }) => connection.localAddress.port === port
  }
  return readKind(fields, {
    and_rules: (set) => allOf(set.list('rules', readPermission)),
    or_rules: (set) => anyOf(set.list('rules', readPermission)),
    not_rule: (rule) => notOf(readPermission(rule)),
    header: readHeader,
    url_path: readUrlPath,
    destination_ip: (range) => inRange(range, ({ connection }) => connection.localAddress.ip),
    destination_port_range: (range) => {
      const [start, end] = [range.number('start') ?? 0, range.number('end') ?? 0]
      return ({ connection: { localAddress } }) => localAddress.port >= start && localAddress.port < end
    },
    requested_server_name: (matcher) => {
      const test = readStringMatcher(matcher)
      return ({ connection }) => test(connection.serverName)
    },
    metadata: readMetadata,
  })
}

function readPrincipal(fields: FieldReader): RbacTest {
  if (fields.has('any')) return fields.flag('any') ? () => true : nobody
  return readKind(fields, {
    and_ids: (set) => allOf(set.list('ids', readPrincipal)),
    or_ids: (set) => anyOf(set.list('ids', readPrincipal)),
    not_id: (id) => notOf(readPrincipal(id)),
    authenticated: readAuthenticated,
    source_ip: (range) => inRange(range, ({ connection }) => connection.directRemoteAddress.ip),
    direct_remote_ip: (range) => inRange(range, ({ connection }) => connection.directRemoteAddress.ip),
    remote_ip: (range) => inRange(range, ({ remoteIp }) => remoteIp),
    header: readHeader,
    url_path: readUrlPath,
    metadata: readMetadata,
  })
}

function readHeader(fields: FieldReader): RbacTest {
  const test = readHeaderMatcher(fields)
  return ({ request }) => request !== undefined && test(request)
}

/** `envoy.type.matcher.v3.PathMatcher`: of the path without its query. */
function readUrlPath(fields: FieldReader): RbacTest {
  const test = fields.message('path', readStringMatcher) ?? ((): boolean => false)
  return ({ request }) => {
    const path = request?.get(':path')
    return path !== undefined && test(path.slice(0, endOfPath(path)))
  }
}

/** The names of the client's certificate: URIs, then DNS names, then the subject; the first kind that there is counts. */
function readAuthenticated(fields: FieldReader): RbacTest {
  const test: TextTest = fields.message('principal_name', readStringMatcher) ?? ((): boolean => true)
  return ({ connection }) => {
    const peer = connection.tls?.peer
    if (connection.tls === undefined || peer === undefined) return false
    if (peer.uriNames.length > 0) return peer.uriNames.some(test)
    return peer.dnsNames.length > 0 ? peer.dnsNames.some(test) : test(peer.subject)
  }
}

/** `envoy.type.matcher.v3.MetadataMatcher`, of texts. */
function readMetadata(fields: FieldReader): RbacTest {
  const filter = fields.string('filter')
  const path = fields.list('path', (segment) => segment.string('key'))
  const isInverted = fields.flag('invert')
  const test = fields.message('value', (value) => {
    if (value.has('present_match')) {
      const wanted = value.flag('present_match')
      return (found: unknown) => (found !== undefined) === wanted
    }
    const text = value.message('string_match', readStringMatcher) ?? ((): boolean => false)
    return (found: unknown) => typeof found === 'string' && text(found)
  })
  return ({ metadata }) => {
    let found: unknown = metadata.get(filter)
    for (const key of path) {
      found = typeof found === 'object' && found !== null ? (found as Record<string, unknown>)[key] : undefined
    }
    return (test?.(found) ?? false) !== isInverted
  }
}

/** `envoy.config.core.v3.CidrRange`. */
function inRange(fields: FieldReader, ipOf: (subject: RbacSubject) => string): RbacTest {
  const prefix = fields.string('address_prefix')
  const length = fields.number('prefix_len') ?? 0
  const range = new BlockList()
  try {
    range.addSubnet(prefix, length, isIPv4(prefix) ? 'ipv4' : 'ipv6')
  } catch {
    fields.refuse('address_prefix', `invalid ip/mask combination ${prefix}/${length}`)
  }
  return (subject) => {
    const ip = ipOf(subject)
    return range.check(ip, isIPv4(ip) ? 'ipv4' : 'ipv6')
  }
}
