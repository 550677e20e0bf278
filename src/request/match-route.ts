import { matchesWhole } from '../resource/regex.ts'
import { headerText, pathText, queryText } from './condition-text.ts'
import type { HeaderMatchForm, QueryMatchForm, RouteMatchForm } from './envoy-form.ts'
import { type RoutedRequest, splitQuery } from './request-headers.ts'
import type { Lack } from './request-question.ts'
import { matchesString, percentOf, stringMatchOf } from './string-match.ts'

/** How a request fares with what a route matches. */
export interface RouteMatching {
  /** Empty: it matches, with the chance below. */
  readonly lacks: readonly Lack[]
  /** In percent: 100 but for a route that takes a share of what it matches. */
  readonly chance: number
}

export const evaluated: ReadonlySet<string> = new Set([
  'prefix',
  'path',
  'path_separated_prefix',
  'safe_regex',
  'connect_matcher',
  'case_sensitive',
  'runtime_fraction',
  'headers',
  'query_parameters',
  'grpc',
])

export function matchRoute(match: RouteMatchForm, request: RoutedRequest): RouteMatching {
  const [path, query] = splitQuery(request.path)
  const parameters = new RawQuery(query)
  const lacks = [
    ...pathLack(match, request, path),
    ...(match.headers ?? []).flatMap((header) => headerLack(header, request)),
    ...(match.query_parameters ?? []).flatMap((parameter) => queryLack(parameter, parameters)),
    ...(match.grpc === undefined || isGrpc(request.header('content-type'))
      ? []
      : [{ needs: 'a gRPC request', got: `you sent ${sent(request.header('content-type'), 'no content-type')}` }]),
    ...Object.keys(match)
      .filter((field) => !evaluated.has(field))
      .map((field) => ({ needs: field, got: 'which only a proxy can tell' })),
  ]
  const fraction = match.runtime_fraction?.default_value
  return { lacks, chance: fraction === undefined ? 100 : percentOf(fraction) }
}

function pathLack(match: RouteMatchForm, request: RoutedRequest, path: string): readonly Lack[] {
  const { connect_matcher: connect } = match
  const isMatch = connect === undefined ? matchesPath(match, path) : request.method === 'CONNECT'
  if (isMatch) return []
  return [{ needs: pathText(match), got: connect === undefined ? `yours is ${path}` : `yours is ${request.method}` }]
}

function matchesPath(match: RouteMatchForm, path: string): boolean {
  const { case_sensitive, safe_regex: regex, path: exact, path_separated_prefix: separated, prefix = '' } = match
  if (regex !== undefined) return matchesWhole(regex.regex ?? '', path)
  const fold = (text: string): string => (case_sensitive === false ? text.toLowerCase() : text)
  const text = fold(path)
  if (exact !== undefined) return text === fold(exact)
  if (separated === undefined) return text.startsWith(fold(prefix))
  return text.startsWith(fold(separated)) && (text.length === separated.length || text[separated.length] === '/')
}

function headerLack(form: HeaderMatchForm, request: RoutedRequest): readonly Lack[] {
  const name = form.name ?? ''
  const value = request.header(name)
  if (matchesHeader(form, value)) return []
  return [
    { needs: headerText(form), got: name.startsWith(':') ? `yours is ${value ?? ''}` : `you sent ${sent(value)}` },
  ]
}

function matchesHeader(form: HeaderMatchForm, value: string | undefined): boolean {
  const isInverted = form.invert_match === true
  const text = stringMatchOf(form)
  if (text === undefined && form.range_match === undefined) {
    return ((value !== undefined) === (form.present_match ?? true)) !== isInverted
  }
  // One that is not there matches nothing, not even what is inverted.
  if (value === undefined && form.treat_missing_header_as_empty !== true) return false
  if (text !== undefined) return matchesString(text, value ?? '') !== isInverted
  const { start = '0', end = '0' } = form.range_match ?? {}
  const isInRange =
    /^[+-]?\d+$/.test(value ?? '') && BigInt(value ?? '') >= BigInt(start) && BigInt(value ?? '') < BigInt(end)
  return isInRange !== isInverted
}

function queryLack(form: QueryMatchForm, parameters: RawQuery): readonly Lack[] {
  const { name = '', string_match: text } = form
  const value = parameters.get(name)
  const isMatch = value !== undefined && (text === undefined || matchesString(text, value))
  return isMatch ? [] : [{ needs: queryText(form), got: `you sent ${sent(value)}` }]
}

function isGrpc(contentType: string | undefined): boolean {
  return contentType !== undefined && /^application\/grpc(\+|$)/.test(contentType)
}

const sent = (value: string | undefined, nothing = 'none'): string => (value === undefined ? nothing : `"${value}"`)

/** The first value of each name, as it stands: Envoy decodes neither. */
class RawQuery {
  readonly #values = new Map<string, string>()

  constructor(query: string) {
    for (const part of query.replace(/^\?/, '').replace(/#.*$/, '').split('&')) {
      const at = part.indexOf('=')
      const [name, value] = at < 0 ? [part, ''] : [part.slice(0, at), part.slice(at + 1)]
      if (name !== '' && !this.#values.has(name)) this.#values.set(name, value)
    }
  }

  get(name: string): string | undefined {
    return this.#values.get(name)
  }
}
