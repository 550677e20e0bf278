import type { FieldReader } from '../config/field-reader.ts'
import { isChosen, readRuntimeFraction } from '../config/fraction.ts'
import { readHeaderMatcher } from '../config/header-matcher.ts'
import { readRegexMatcher, readStringMatcher, type TextTest } from '../config/string-matcher.ts'
import type { Headers } from '../http/headers.ts'
import type { Runtime } from '../runtime.ts'

/** What a table of routes is asked. */
export interface RouteQuestion {
  readonly headers: Headers
  readonly runtime: Runtime
  /** From 0 up to 1, the same for all that chance decides of one request: Envoy's stream has one random value. */
  readonly random: number
  /** The client's certificate, of TLS. */
  readonly tls?: { readonly isPresented: boolean; readonly isValidated: boolean }
}

/** A condition on a request. */
export type RequestTest = (question: RouteQuestion, path: string, query: string) => boolean

/** What of a path a route matches, for rewrites: the prefix, or the whole path. */
export interface PathMatch {
  readonly kind: 'prefix' | 'exact' | 'regex' | 'connect'
  readonly test: TextTest
  /** Of a prefix: how much of the path a rewrite replaces. */
  readonly length: number
}

export interface RouteMatch {
  readonly path: PathMatch
  readonly tests: readonly RequestTest[]
}

/** `envoy.config.route.v3.RouteMatch`. Conditions on the path are asked of it without its query. */
export function readRouteMatch(fields: FieldReader): RouteMatch {
  const path = readPathMatch(fields)
  const tests: RequestTest[] = []
  const fraction = fields.message('runtime_fraction', readRuntimeFraction)
  for (const test of fields.list('headers', readHeaderMatcher)) tests.push(({ headers }) => test(headers))
  for (const test of fields.list('query_parameters', readQueryMatcher)) tests.push((_, __, query) => test(query))
  for (const test of fields.list('cookies', readCookieMatcher)) tests.push(({ headers }) => test(headers))
  if (fields.has('grpc')) {
    fields.message('grpc', () => undefined)
    tests.push(({ headers }) => isGrpc(headers))
  }
  const tls = fields.message('tls_context', readTlsMatcher)
  if (tls !== undefined) tests.push(tls)
  // Last, as Envoy does: chance decides only of those who fulfil all else.
  if (fraction !== undefined) tests.push(({ runtime, random }) => isChosen(fraction, runtime, random))
  return { path, tests }
}

function readPathMatch(fields: FieldReader): PathMatch {
  const isSensitive = fields.flag('case_sensitive', true)
  const folded = (text: string): string => (isSensitive ? text : text.toLowerCase())
  const insensitive = (test: TextTest): TextTest => (isSensitive ? test : (text) => test(text.toLowerCase()))
  if (fields.has('prefix')) {
    const prefix = folded(fields.string('prefix'))
    return { kind: 'prefix', length: prefix.length, test: insensitive((path) => path.startsWith(prefix)) }
  }
  if (fields.has('path_separated_prefix')) {
    const prefix = folded(fields.string('path_separated_prefix'))
    const test: TextTest = (path) =>
      path.startsWith(prefix) && (path.length === prefix.length || path[prefix.length] === '/')
    return { kind: 'prefix', length: prefix.length, test: insensitive(test) }
  }
  if (fields.has('path')) {
    const exact = folded(fields.string('path'))
    return { kind: 'exact', length: exact.length, test: insensitive((path) => path === exact) }
  }
  if (fields.has('connect_matcher')) {
    fields.message('connect_matcher', () => undefined)
    return { kind: 'connect', length: 0, test: () => true }
  }
  const test = fields.message('safe_regex', readRegexMatcher) ?? (() => false)
  return { kind: 'regex', length: 0, test }
}

/** A gRPC request by its content type: `application/grpc`, alone or with `+proto` or parameters behind it. */
export function isGrpc(headers: Headers): boolean {
  const type = headers.get('content-type')
  return type !== undefined && /^application\/grpc(?:$|[+;])/.test(type)
}

/** The first parameter of that name counts; names and values are compared as they were sent. */
function readQueryMatcher(fields: FieldReader): TextTest {
  const name = fields.string('name')
  const test = fields.message('string_match', readStringMatcher)
  const wantsPresence = fields.flag('present_match', true)
  return (query) => {
    const value = firstParameter(query, name)
    if (test === undefined) return (value !== undefined) === wantsPresence
    return value !== undefined && test(value)
  }
}

/** Of `a=1&b=2`; percent escapes stay what they are (measured). */
export function firstParameter(query: string, name: string): string | undefined {
  if (query === '') return undefined
  for (const pair of query.split('&')) {
    const at = pair.indexOf('=')
    if ((at < 0 ? pair : pair.slice(0, at)) === name) return at < 0 ? '' : pair.slice(at + 1)
  }
  return undefined
}

function readCookieMatcher(fields: FieldReader): (headers: Headers) => boolean {
  const name = fields.string('name')
  const test = fields.message('string_match', readStringMatcher)
  const isInverted = fields.flag('invert_match')
  return (headers) => {
    const value = cookieOf(headers, name)
    const holds = value !== undefined && (test === undefined || test(value))
    return holds !== isInverted
  }
}

/** The first cookie of that name in the request. */
export function cookieOf(headers: Headers, name: string): string | undefined {
  for (const line of headers.all('cookie')) {
    for (const pair of line.split(';')) {
      const at = pair.indexOf('=')
      if (at >= 0 && pair.slice(0, at).trim() === name)
        return pair
          .slice(at + 1)
          .trim()
          .replace(/^"(.*)"$/, '$1')
    }
  }
  return undefined
}

function readTlsMatcher(fields: FieldReader): RequestTest {
  const presented = fields.has('presented') ? fields.flag('presented') : undefined
  const validated = fields.has('validated') ? fields.flag('validated') : undefined
  return ({ tls }) =>
    (presented === undefined || (tls?.isPresented ?? false) === presented) &&
    (validated === undefined || (tls?.isValidated ?? false) === validated)
}
