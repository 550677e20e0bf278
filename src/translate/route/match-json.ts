import type { Match, NamedMatch, TextMatch } from '../../config/kinds/route-form.ts'
import { at, type EnvoyJson, type SourcePlace, within } from '../envoy-json.ts'
import { escapeRegex, regexOf, stringMatch } from './text-pattern.ts'

export type Fields = Readonly<Record<string, EnvoyJson | undefined>>

/** One way of a rule to match: what becomes one route. */
export interface MatchPart {
  /** Of the rule's matches; 0 where it has none. */
  readonly match: number
  readonly from: SourcePlace
  /** The path that it matches below; '' is every path. Undefined where it matches otherwise. */
  readonly prefix: string | undefined
  /** It asks for nothing but the path, and perhaps a share of the requests. */
  readonly isPathOnly: boolean
  readonly exact: string | undefined
  /** Equal for two that match the same, or shares of it. */
  readonly key: string
  /** The share of what matches otherwise, in percent; what is left goes to others. */
  readonly chance: number
  readonly headers: readonly EnvoyJson[]
  /** Of Envoy's RouteMatch, but for `headers`. */
  readonly fields: Fields
}

/** @param from the rule */
export function matchesOf(
  matches: readonly Match[],
  from: SourcePlace,
  nameOf: (part: number, of: number) => string,
): readonly MatchPart[] {
  const places = (matches.length === 0 ? [{}] : matches).flatMap((match: Match, index): readonly Alternative[] => {
    const place = matches.length === 0 ? from : within(from, `match[${index}]`)
    if (match.path === undefined) return [{ index, match, from: place, at: place }]
    return match.path.map((path, i) => ({ index, match, path, from: place, at: within(place, `path[${i}]`) }))
  })
  return places.map((alternative, part) => partOf(alternative, nameOf(part, places.length)))
}

interface Alternative {
  readonly index: number
  readonly match: Match
  readonly path?: TextMatch
  /** The match. */
  readonly from: SourcePlace
  /** The path, where it has some. */
  readonly at: SourcePlace
}

function partOf({ index, match, path, from, at: place }: Alternative, name: string): MatchPart {
  const { methods, headers = [], query = [], cookies = [], grpc, percent } = match
  const conditions: readonly (readonly [path: string, matcher: Fields])[] = [
    ...(methods === undefined ? [] : [['methods', methodMatcher(methods)] as const]),
    ...headers.map((one, i) => [`headers[${i}]`, headerMatcher(one)] as const),
    ...cookies.map((one, i) => [`cookies[${i}]`, cookieMatcher(one)] as const),
    ...query.flatMap((one, i) => (isWithout(one) ? [[`query[${i}]`, queryAbsence(one)] as const] : [])),
  ]
  const parameters = query.flatMap((one, i) => (isWithout(one) ? [] : [[`query[${i}]`, queryMatcher(one)] as const]))
  const paths = grpc === undefined ? pathMatch(path) : grpcPath(grpc.service, grpc.method)
  const prefix = grpc === undefined ? prefixOf(path) : undefined
  const what = {
    paths,
    grpc: grpc !== undefined,
    conditions: conditions.map(([, matcher]) => JSON.stringify(matcher)).sort(),
    parameters: parameters.map(([, matcher]) => JSON.stringify(matcher)).sort(),
  }
  const placed = ([below, matcher]: readonly [string, Fields]): EnvoyJson => at(within(from, below), matcher)
  return {
    match: index,
    from: place,
    prefix,
    isPathOnly: conditions.length === 0 && parameters.length === 0 && grpc === undefined,
    exact: path !== undefined && 'exact' in path ? path.exact : undefined,
    key: JSON.stringify(what),
    chance: percent ?? 100,
    headers: conditions.map(placed),
    fields: {
      ...paths,
      grpc: grpc && {},
      query_parameters: parameters.length === 0 ? undefined : parameters.map(placed),
      runtime_fraction:
        percent === undefined
          ? undefined
          : at(within(from, 'percent'), { default_value: fractionOf(percent), runtime_key: `fairlead.${name}` }),
    },
  }
}

/** Percentages go down to a ten-thousandth. */
export function fractionOf(percent: number): EnvoyJson {
  return { numerator: Math.round(percent * 10_000), denominator: 'MILLION' }
}

/** Every path where nothing is said; `/api/` is `/api`, whose own prefix would match /apiary and whose separated one ends in no `/`. */
export function prefixOf(path: TextMatch | undefined): string | undefined {
  if (path === undefined) return ''
  return 'prefix' in path ? path.prefix.replace(/\/+$/, '') : undefined
}

function pathMatch(path: TextMatch | undefined): Fields {
  const prefix = prefixOf(path)
  if (path === undefined || prefix === '') return { prefix: '/' }
  if (prefix !== undefined) return { path_separated_prefix: prefix }
  if ('exact' in path) return { path: path.exact }
  return { safe_regex: { regex: 'regex' in path ? path.regex : regexOf(path) } }
}

/** A gRPC method is a path. */
function grpcPath(service: string | undefined, method: string | undefined): Fields {
  if (service === undefined) return { prefix: '/' }
  return method === undefined ? { prefix: `/${service}/` } : { path: `/${service}/${method}` }
}

export function methodMatcher(methods: readonly string[]): Fields {
  return { name: ':method', string_match: stringMatch(methods.map((exact) => ({ exact }))) }
}

/** Of a condition, either that something is there or not, or texts of which it must or must not be one. */
function readMatch({ any, not = false }: NamedMatch): { readonly present: boolean } | readonly TextMatch[] {
  const [first] = any
  if (first !== undefined && 'present' in first) return { present: first.present !== not }
  return any.flatMap((one) => ('present' in one ? [] : [one]))
}

/** Something that must not be so: it is not when nothing is there. */
const unless = { invert_match: true, treat_missing_header_as_empty: true }

function headerMatcher(match: NamedMatch): Fields {
  const { name, not } = match
  const wanted = readMatch(match)
  if ('present' in wanted) return { name, present_match: true, ...(!wanted.present && { invert_match: true }) }
  return { name, string_match: stringMatch(wanted), ...(not === true && unless) }
}

/** Envoy's API had nothing for cookies for long, but they stand in a header, parted by semicolons. */
function cookieMatcher(match: NamedMatch): Fields {
  const { not } = match
  const wanted = readMatch(match)
  if ('present' in wanted) return { ...cookie(match.name), ...(!wanted.present && unless) }
  return { ...cookie(match.name, wanted), ...(not === true && unless) }
}

/** @param values absent: any */
function cookie(name: string, values?: readonly TextMatch[]): Fields {
  const value = values === undefined ? '.*' : `(?:${values.map((text) => regexOf(text, ';')).join('|')})\\s*(?:;.*)?`
  return { name: 'cookie', string_match: { safe_regex: { regex: `(?:.*;\\s*)?${escapeRegex(name)}=${value}` } } }
}

/** The condition that the request has the cookie, or that it has not. */
export function cookiePresence(name: string, isThere: boolean): Fields {
  return { ...cookie(name), ...(!isThere && unless) }
}

/** A parameter that must be absent, or be none of some values. */
function isWithout(match: NamedMatch): boolean {
  const wanted = readMatch(match)
  return 'present' in wanted ? !wanted.present : match.not === true
}

function queryMatcher(match: NamedMatch): Fields {
  const { name } = match
  const wanted = readMatch(match)
  return 'present' in wanted ? { name, present_match: true } : { name, string_match: stringMatch(wanted) }
}

/** Envoy has no negation for parameters; the path that its header conditions see has them. */
function queryAbsence(match: NamedMatch): Fields {
  const wanted = readMatch(match)
  const rest = 'present' in wanted ? '(?:[=&].*)?' : `(?:${wanted.map(queryValue).join('|')})(?:&.*)?`
  const regex = `[^?]*\\?(?:.*&)?${escapeRegex(match.name)}${rest}`
  return { name: ':path', string_match: { safe_regex: { regex } }, invert_match: true }
}

function queryValue(text: TextMatch): string {
  return 'exact' in text && text.exact === '' ? '=?' : `=${regexOf(text, '&')}`
}
