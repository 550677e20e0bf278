import { messageNameOf, resourceTypes, type TypeUrl } from '../../resource/type-url.ts'
import { dumpsIn, nackMessage, withoutDumps } from './nack-message.ts'

/** Whose fault a rejection is. */
export type Blame =
  /**
   * The client says so; with the reason of each, fit for people (rule 102). `isRestApplied`: it also says that it took
   * the rest of the response.
   */
  | { readonly kind: 'named'; readonly reasons: ReadonlyMap<string, string>; readonly isRestApplied: boolean }
  /** Perhaps theirs: the message has their names, where it may mean something else. */
  | { readonly kind: 'suspected'; readonly names: readonly string[] }
  | { readonly kind: 'unknown' }

/** What a rejected response held. */
export interface Rejected {
  readonly typeUrl: TypeUrl
  /** Names of all resources in it. */
  readonly sent: ReadonlySet<string>
  /** Those of them that the client had not accepted before. */
  readonly suspects: readonly string[]
}

/**
 * Finds the resources that a client rejected, by what it says (rule 102): those that Envoy lists as not added or updated;
 * the one that it dumps; the route configuration whose domains it complains of; the only one that was new; or one that it
 * mentions.
 */
export function blame(message: string, { typeUrl, sent, suspects }: Rejected): Blame {
  // Of a list that was cut the rest is unknown.
  const isRestApplied = !message.endsWith(cutOff)
  const listed = listedReasons(typeUrl, message, new Set(suspects))
  if (listed.size > 0) return { kind: 'named', reasons: listed, isRestApplied }
  const known = listedReasons(typeUrl, message, sent)
  if (known.size > 0) return { kind: 'named', reasons: known, isRestApplied }
  const [only, ...others] = suspects
  const dumped = dumpedNames(message).filter((name) => sent.has(name))
  const named = isDumpedWhole(typeUrl, message) && dumped.length === 1 ? dumped[0] : undefined
  const name = named ?? routeWithBadDomains(typeUrl, message, sent) ?? (others.length === 0 ? only : undefined)
  if (name !== undefined) {
    return { kind: 'named', reasons: new Map([[name, nackMessage(typeUrl, message)]]), isRestApplied: false }
  }
  const text = withoutDumps(message)
  const names = suspects.filter((suspect) => dumped.includes(suspect) || mentions(text, suspect))
  // What all are suspected of is suspected of none.
  return names.length === 0 || names.length === suspects.length ? { kind: 'unknown' } : { kind: 'suspected', names }
}

/** By what clients said, word for word. */
const known = new WeakMap<Rejected, Map<string, Blame>>()

/** Of one response: a fleet is of one kind, and rejects for one reason. */
const maxKnown = 16

/** Envoy's messages are shorter. */
const maxKnownLength = 8192

/** The same as `blame`, found out once for all clients that say the same of the same `rejected`. */
export function sharedBlame(message: string, rejected: Rejected): Blame {
  if (message.length > maxKnownLength) return blame(message, rejected)
  let byMessage = known.get(rejected)
  if (byMessage === undefined) {
    byMessage = new Map()
    known.set(rejected, byMessage)
  }
  let found = byMessage.get(message)
  if (found === undefined) {
    if (byMessage.size >= maxKnown) byMessage.clear()
    found = blame(message, rejected)
    byMessage.set(message, found)
  }
  return found
}

/** What Envoy puts at the end of a message of more than 4,096 characters. */
const cutOff = '...(truncated)'

const heading = /^Error adding\/updating (cluster|listener)\(s\) /

/** `Error adding/updating cluster(s) a: why, b: why`; listeners have a line each. What of it is a name is told by `names`. */
function listedReasons(typeUrl: TypeUrl, message: string, names: ReadonlySet<string>): Map<string, string> {
  const reasons = new Map<string, string>()
  const text = withoutDumps(message)
  const head = heading.exec(text)
  if (head === null) return reasons
  let maxLength = 0
  for (const name of names) maxLength = Math.max(maxLength, name.length)
  const found: { readonly name: string; readonly from: number; readonly to: number }[] = []
  const look = (at: number, from: number): void => {
    const name = longestAt(text, from, names, maxLength)
    if (name !== undefined) found.push({ name, from: at, to: from + name.length })
  }
  const start = head[0].length
  look(start, start)
  for (const { index, 0: separator } of text.matchAll(head[1] === 'cluster' ? /, /g : /\n/g)) {
    if (index >= (found.at(-1)?.to ?? start)) look(index, index + separator.length)
  }
  for (const [position, { name, to }] of found.entries()) {
    const reason = text.slice(to + 1, found[position + 1]?.from)
    if (!reasons.has(name)) reasons.set(name, nackMessage(typeUrl, reason.trim()))
  }
  return reasons
}

const badDomains = /^Only (?:unique values for domains are|a single wildcard domain is) permitted/

/** `Only unique values for domains are permitted. Duplicate entry of domain a in route r`: with that the message ends. */
function routeWithBadDomains(typeUrl: TypeUrl, message: string, names: ReadonlySet<string>): string | undefined {
  if (typeUrl !== resourceTypes.route.typeUrl || !badDomains.test(message)) return undefined
  const mark = ' in route '
  // A name may hold the mark itself: the longest that fits.
  for (let at = message.indexOf(mark); at !== -1; at = message.indexOf(mark, at + 1)) {
    const name = message.slice(at + mark.length)
    if (names.has(name)) return name
  }
  return undefined
}

/** The longest of `names` that stands at `index` with a colon behind it: a name may hold colons itself. */
function longestAt(text: string, index: number, names: ReadonlySet<string>, maxLength: number): string | undefined {
  let longest: string | undefined
  for (let colon = text.indexOf(': ', index); colon !== -1; colon = text.indexOf(': ', colon + 1)) {
    if (colon - index > maxLength) break
    const name = text.slice(index, colon)
    if (names.has(name)) longest = name
  }
  return longest
}

/** The names on the first level of what is dumped: deeper ones are of filters, hosts and the like. */
function dumpedNames(message: string): string[] {
  const names: string[] = []
  for (const text of dumpsIn(message)) {
    const quoted = /^(?:name|cluster_name): "((?:[^"\\\n]|\\.)*)"/m.exec(text)?.[1]
    if (quoted !== undefined) names.push(unescaped(quoted))
  }
  return names
}

/** The failure is one of a whole resource, and not of something in it. */
function isDumpedWhole(typeUrl: TypeUrl, message: string): boolean {
  const type = messageNameOf(typeUrl).split('.').at(-1)
  return message.includes(`validation failed (${type}ValidationError.`)
}

/** Of what the text form of a message escapes, the little that names have: quotes, and UTF-8 in octal. */
function unescaped(text: string): string {
  const bytes: number[] = []
  for (const [part, octal, other] of text.matchAll(/\\([0-7]{3})|\\(.)|[^\\]+/gs)) {
    if (octal !== undefined) bytes.push(Number.parseInt(octal, 8))
    else bytes.push(...Buffer.from(other ?? part))
  }
  return Buffer.from(bytes).toString()
}

function mentions(text: string, name: string): boolean {
  for (let at = text.indexOf(name); at !== -1; at = text.indexOf(name, at + 1)) {
    const [before, after] = [text[at - 1] ?? ' ', text.slice(at + name.length, at + name.length + 2)]
    if (!/[\w./-]/.test(before) && !/^(?:[\w/-]|[.:]\w)/.test(after)) return true
  }
  return false
}
