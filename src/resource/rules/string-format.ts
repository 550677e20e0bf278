import { isIPv6 as isAnyIPv6, isIPv4 } from 'node:net'

/** A format that a `StringRules` option asks for by name. */
export interface StringFormat {
  readonly test: (value: string) => boolean
  /** After `must be`. */
  readonly text: string
}

/** RFC 6874 zones name an interface of one machine, so no API field takes them. */
const isIPv6 = (value: string): boolean => !value.includes('%') && isAnyIPv6(value)
const isIp = (value: string): boolean => isIPv4(value) || isIPv6(value)

/** RFC 1034, with letters in both cases and an optional final dot. */
function isHostname(value: string): boolean {
  const name = value.endsWith('.') ? value.slice(0, -1) : value
  return (
    name.length <= 253 &&
    name.split('.').every((label) => /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/.test(label))
  )
}

function isEmail(value: string): boolean {
  const at = value.lastIndexOf('@')
  const local = value.slice(0, Math.max(at, 0))
  const isLocal = local.length <= 64 && /^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+$/.test(local)
  return value.length <= 254 && isLocal && isHostname(value.slice(at + 1))
}

const uriCharacters = /^(?:[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*$/
const isUriReference = (value: string): boolean =>
  uriCharacters.test(value) && !/^[^/?#]*:/.test(value.replace(/^[A-Za-z][A-Za-z0-9+.-]*:/, ''))
const isUri = (value: string): boolean => uriCharacters.test(value) && /^[A-Za-z][A-Za-z0-9+.-]*:./.test(value)

/** By the names of the fields of `StringRules`. */
export const stringFormats: Readonly<Record<string, StringFormat>> = {
  email: { test: isEmail, text: 'an email address' },
  hostname: { test: isHostname, text: 'a host name' },
  ip: { test: isIp, text: 'an IP address' },
  ipv4: { test: isIPv4, text: 'an IPv4 address' },
  ipv6: { test: isIPv6, text: 'an IPv6 address' },
  uri: { test: isUri, text: 'an absolute URI' },
  uri_ref: { test: isUriReference, text: 'a URI or a relative reference' },
  address: { test: (value) => isHostname(value) || isIp(value), text: 'a host name or an IP address' },
  uuid: { test: (value) => /^[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$/.test(value), text: 'a UUID' },
}

const looseHeader = (value: string): boolean => !/[\0\n\r]/.test(value)
// Control characters are the very thing that these rules are about.
// oxlint-disable-next-line no-control-regex
const hasHeaderControl = /[\x00-\x08\x0A-\x1F\x7F]/

/** `well_known_regex` 1 and 2, as protoc-gen-validate defines them; `strict` is on unless switched off. */
export function headerFormat(knownRegex: number, isStrict: boolean): StringFormat | undefined {
  if (knownRegex === 1) {
    const strict = (value: string): boolean => /^:?[0-9A-Za-z!#$%&'*+,\-.^_|~`]+$/.test(value)
    return { test: isStrict ? strict : looseHeader, text: 'an HTTP header name' }
  }
  if (knownRegex === 2) {
    const strict = (value: string): boolean => !hasHeaderControl.test(value)
    return { test: isStrict ? strict : looseHeader, text: 'an HTTP header value' }
  }
  return undefined
}
