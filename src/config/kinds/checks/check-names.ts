import { isIP } from 'node:net'
import { below, type Check } from './check.ts'

const namePattern = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/
const nameForm = 'Write small letters, digits, `-` and `.`, beginning and ending with a letter or digit.'
const maxNameLength = 253

/** The name of a document, or of a part of one that resources are named after. */
export function checkName(check: Check, path: string, name: string): void {
  if (namePattern.test(name) && name.length <= maxNameLength) return
  const message = name.length > maxNameLength ? `A name has at most ${maxNameLength} characters.` : 'This is no name.'
  check.error(path, message, nameForm, 'invalid-name')
}

/** A name that generated resources have already. */
export function checkReserved(check: Check, path: string, name: string, reserved: readonly string[]): void {
  if (!reserved.includes(name)) return
  check.error(path, `The name \`${name}\` is taken by generated resources.`, 'Choose another.', 'invalid-name')
}

/** Names of which each may stand once. */
export function checkUnique(check: Check, names: readonly string[], pathOf: (index: number) => string): void {
  const first = new Map<string, number>()
  for (const [index, name] of names.entries()) {
    const before = first.get(name)
    if (before === undefined) first.set(name, index)
    else check.error(pathOf(index), `\`${name}\` stands twice.`, 'Rename or remove one of them.')
  }
}

const hostName = /^([a-z0-9_]([-a-z0-9_]*[a-z0-9_])?\.)*[a-z0-9_]([-a-z0-9_]*[a-z0-9_])?$/i

/** A name that can be resolved, or an IP address. */
export function isHost(text: string): boolean {
  return isIP(text) !== 0 || (hostName.test(text) && text.length <= 253)
}

/** Hosts that requests are for: exact names, `*.suffix`, and where `any` holds `*`. */
export function checkHosts(check: Check, path: string, hosts: readonly string[] | undefined, any: boolean): void {
  for (const [index, host] of (hosts ?? []).entries()) checkHostPattern(check, `${path}[${index}]`, host, any)
  checkUnique(
    check,
    (hosts ?? []).map((host) => host.toLowerCase()),
    (index) => `${path}[${index}]`,
  )
}

function checkHostPattern(check: Check, path: string, host: string, any: boolean): void {
  if (host === '*' && any) return
  const bracketed = /^\[(.*)\]$/.exec(host)?.[1]
  if (bracketed !== undefined && isIP(bracketed) === 6) return
  const rest = host.startsWith('*.') ? host.slice(2) : host
  if (isHost(rest) && isIP(rest) !== 6 && !(rest !== host && isIP(rest) !== 0)) return
  const message = 'This is no host.'
  if (host === '*') {
    check.error(path, '`*` is any host, which has no meaning here.', 'Name the hosts, or remove the list.')
  } else if (/^[^:]+:\d+$/.test(host)) {
    check.error(path, message, 'Remove the port: hosts match with any.')
  } else if (host.includes('://')) {
    check.error(path, message, 'Remove the scheme.')
  } else if (isIP(host) === 6) {
    check.error(path, message, 'Put the IPv6 address in brackets: `[::1]`.')
  } else {
    check.error(
      path,
      message,
      `Write a name such as \`shop.example\`, ${any ? '`*.shop.example` or `*`' : 'or `*.shop.example`'}.`,
    )
  }
}

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

/** The name of a header that people may read or write; what stands in its place for those that Envoy keeps for itself. */
export function checkHeaderName(check: Check, path: string, name: string): void {
  if (name.startsWith(':')) {
    check.error(path, 'This is no header of a request, but a part of it.', 'Use `path`, `methods` or `hosts`.')
  } else if (!token.test(name)) {
    check.error(path, 'This is no name of a header.', 'Write letters, digits and `-`.')
  }
}

/**
 * Methods are compared as they are, and nobody sends them in small letters.
 * @param any whether `*` stands for all of them.
 */
export function checkMethods(check: Check, path: string, methods: readonly string[] | undefined, any = false): void {
  for (const [index, method] of (methods ?? []).entries()) {
    if (/^[A-Z][A-Z0-9-]*$/.test(method) || (any && method === '*')) continue
    const isSmall = /^[a-zA-Z][a-zA-Z0-9-]*$/.test(method)
    const fix = isSmall ? `Write \`${method.toUpperCase()}\`.` : 'Write a method such as `GET`.'
    check.error(`${path}[${index}]`, 'This is no method.', fix)
  }
}

/** Names of other documents, which are only looked up. */
export function checkNamesIn(check: Check, path: string, of: object, fields: readonly string[]): void {
  for (const field of fields) {
    const name = (of as Readonly<Record<string, unknown>>)[field]
    if (typeof name === 'string') checkName(check, below(path, field), name)
  }
}
