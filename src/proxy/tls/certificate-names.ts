import type { X509Certificate } from 'node:crypto'
import type { NameMatcher, NameType } from './validation-context.ts'

export interface CertificateName {
  readonly type: Exclude<NameType, 'any'>
  readonly value: string
}

const types: Readonly<Record<string, CertificateName['type']>> = {
  DNS: 'DNS',
  URI: 'URI',
  email: 'EMAIL',
  'IP Address': 'IP_ADDRESS',
}

/** The subject alternative names of a certificate. */
export function namesOf(certificate: X509Certificate): readonly CertificateName[] {
  const text = certificate.subjectAltName
  if (text === undefined) return []
  const names: CertificateName[] = []
  // Node writes a value in quotes where it holds what could be taken for another name.
  for (const [, kind, quoted, plain] of text.matchAll(/([A-Za-z ]+):(?:("(?:[^"\\]|\\.)*")|([^,]*))(?:, |$)/g)) {
    const type = types[kind as string]
    if (type === undefined) continue
    const value = quoted === undefined ? (plain ?? '') : (JSON.parse(quoted) as string)
    names.push({ type, value: type === 'IP_ADDRESS' && value.includes(':') ? shortIpv6(value) : value })
  }
  return names
}

/** As it is usually written, and as Envoy compares it: the longest run of zeros is left out. */
const shortIpv6 = (address: string): string => new URL(`http://[${address}]`).hostname.slice(1, -1)

/** Whether one of a certificate's names is one that is asked for. */
export function hasAcceptedName(names: readonly CertificateName[], matchers: readonly NameMatcher[]): boolean {
  return names.some((name) => matchers.some((matcher) => isAccepted(name, matcher)))
}

function isAccepted({ type, value }: CertificateName, matcher: NameMatcher): boolean {
  if (matcher.type !== 'any' && matcher.type !== type) return false
  if (type === 'DNS' && matcher.exact !== undefined) return dnsNameMatches(matcher.exact, value)
  return matcher.matches(value)
}

/** Whether a certificate's name, which may be `*.example.org`, is that of a host. */
function dnsNameMatches(host: string, pattern: string): boolean {
  const name = host.toLowerCase()
  const known = pattern.toLowerCase()
  if (name === known) return true
  if (!known.startsWith('*.')) return false
  const dot = name.indexOf('.')
  return dot > 0 && name.slice(dot) === known.slice(1)
}
