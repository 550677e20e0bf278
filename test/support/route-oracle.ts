/** What documents say of a request, read off them with no regard to how they are translated. */
import type { MatchSpec, RouteTable, RuleSpec, TableRequest, TextSpec, ValueSpec } from './route-table.ts'

/** What may become of it: the first that is not left to chance is the last. */
export type Expected =
  | { readonly kind: 'forward'; readonly rule: string; readonly services: readonly string[]; readonly path: string }
  | { readonly kind: 'respond'; readonly rule: string; readonly status: number; readonly body: string }
  | { readonly kind: 'redirect'; readonly rule: string; readonly status: number; readonly location: string }
  | { readonly kind: 'not-found' }

export function expectedOf(table: RouteTable, request: TableRequest): readonly Expected[] {
  const host = request.host.toLowerCase().replace(/:\d+$/, '')
  const pattern = mostSpecific(servedPatterns(table), host)
  const path = tidied(request.path)
  const expected: Expected[] = []
  // Chance is drawn once for a request: a share is of all that matches, not of what others left.
  let taken = 0
  if (pattern !== undefined) {
    for (const { rule, name } of rulesInOrder(table, pattern)) {
      const matched = rule.match.length === 0 ? [{}] : rule.match.filter((match) => matches(match, request, path))
      for (const match of matched) {
        const { percent = 100 } = match as MatchSpec
        if (percent <= taken) continue
        taken = percent
        expected.push(outcomeOf(rule, name, match, request, path))
        if (percent === 100) return expected
      }
    }
  }
  return [...expected, { kind: 'not-found' }]
}

/** Hosts that are both the listener's and a Route's. */
function servedPatterns(table: RouteTable): readonly string[] {
  return [...new Set(table.routes.flatMap(({ hosts }) => served(hosts, table)))]
}

function served(hosts: readonly string[], table: RouteTable): readonly string[] {
  const wide = table.hosts ?? ['*']
  return hosts.flatMap((host) =>
    wide.flatMap((other) => (covers(other, host) ? [host] : covers(host, other) ? [other] : [])),
  )
}

function covers(wide: string, narrow: string): boolean {
  if (wide === '*' || wide === narrow) return true
  return wide.startsWith('*.') && narrow !== '*' && narrow.endsWith(wide.slice(1)) && narrow.length > wide.length - 1
}

function mostSpecific(patterns: readonly string[], host: string): string | undefined {
  return patterns
    .filter((pattern) => covers(pattern, host))
    .sort((a, b) => Number(a.startsWith('*')) - Number(b.startsWith('*')) || b.length - a.length)[0]
}

interface NamedRule {
  readonly rule: RuleSpec
  readonly name: string
}

/** Each Route as it is written; of the first rules that are left, the most specific goes next, then by name. */
function rulesInOrder(table: RouteTable, pattern: string): readonly NamedRule[] {
  const lists = table.routes
    .filter(({ hosts }) => served(hosts, table).includes(pattern))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, rules }) => rules.map((rule, index) => ({ rule, name: `${name}/${index}` })))
  const order: NamedRule[] = []
  while (lists.some((list) => list.length > 0)) {
    const heads = lists.filter((list) => list.length > 0)
    const best = heads.reduce((a, b) =>
      isMore(rankOf((b[0] as NamedRule).rule), rankOf((a[0] as NamedRule).rule)) ? b : a,
    )
    order.push(best.shift() as NamedRule)
  }
  return order
}

const isMore = (a: readonly number[], b: readonly number[]): boolean => {
  const at = a.findIndex((value, index) => value !== b[index])
  return at >= 0 && (a[at] as number) > (b[at] as number)
}

/**
 * Of several, the least specific: exact path, prefix by length, other paths, none; then method, headers and cookies,
 * query, and a share. A prefix of everything is none, and a gRPC method is a path.
 */
function rankOf({ match }: RuleSpec): readonly number[] {
  const ranks = (match.length === 0 ? [{}] : match).map((one: MatchSpec) => {
    const { path, methods, headers = {}, query = {}, cookies = {}, grpc, percent } = one
    const service = grpc && `/${grpc.service}/`
    const below: TextSpec[] =
      service === undefined ? [] : [grpc?.method ? { exact: service + grpc.method } : { prefix: service }]
    return [
      ...least([...(path ?? []), ...below].map(rankOfPath)),
      Number(methods !== undefined),
      Object.keys(headers).length + Object.keys(cookies).length,
      Object.keys(query).length,
      Number(percent !== undefined),
    ]
  })
  return least(ranks)
}

const least = (ranks: readonly (readonly number[])[]): readonly number[] =>
  ranks.length === 0 ? [0, 0] : ranks.reduce((a, b) => (isMore(a, b) ? b : a))

function rankOfPath(text: TextSpec): readonly number[] {
  if ('exact' in text) return [3, text.exact.length]
  if (!('prefix' in text)) return [1, 0]
  const prefix = text.prefix.replace(/\/+$/, '')
  return prefix === '' ? [0, 0] : [2, prefix.length]
}

function matches(match: MatchSpec, { method, headers }: TableRequest, path: string): boolean {
  const [just = '', query = ''] = path.split('?')
  const header = (name: string): string | undefined => headers.find(([one]) => one === name)?.[1]
  const pairs = (text: string, separator: string): ReadonlyMap<string, string> =>
    new Map(
      text
        .split(separator)
        .reverse()
        .map((pair) => pair.split('=') as [string, string]),
    )
  const parameters = pairs(query, '&')
  const cookies = pairs(header('cookie') ?? '', '; ')
  const all = (wanted: Record<string, ValueSpec> | undefined, get: (name: string) => string | undefined): boolean =>
    Object.entries(wanted ?? {}).every(([name, spec]) => holds(spec, get(name)))
  const { grpc } = match
  return (
    (match.path === undefined || match.path.some((text) => isPath(text, just))) &&
    (match.methods === undefined || match.methods.includes(method)) &&
    all(match.headers, header) &&
    all(match.query, (name) => parameters.get(name)) &&
    all(match.cookies, (name) => cookies.get(name)) &&
    (grpc === undefined ||
      (/^application\/grpc(\+|$)/.test(header('content-type') ?? '') &&
        (grpc.method === undefined
          ? just.startsWith(`/${grpc.service}/`)
          : just === `/${grpc.service}/${grpc.method}`)))
  )
}

function isPath(text: TextSpec, path: string): boolean {
  if (!('prefix' in text)) return isText(text, path)
  const prefix = text.prefix.replace(/\/+$/, '')
  return path === prefix || path.startsWith(`${prefix}/`)
}

function isText(text: TextSpec, value: string): boolean {
  if ('exact' in text) return value === text.exact
  if ('prefix' in text) return value.startsWith(text.prefix)
  return 'suffix' in text ? value.endsWith(text.suffix) : new RegExp(`^(?:${text.regex})$`).test(value)
}

function holds(spec: ValueSpec, value: string | undefined): boolean {
  if (Array.isArray(spec)) return value !== undefined && spec.includes(value)
  if ('present' in spec) return (value !== undefined) === spec.present
  if ('not' in spec) return value === undefined || !spec.not.includes(value)
  return value !== undefined && isText(spec, value)
}

function outcomeOf(rule: RuleSpec, name: string, match: MatchSpec, request: TableRequest, path: string): Expected {
  const [just = '', query] = path.split('?')
  const withQuery = (text: string): string => (query === undefined ? text : `${text}?${query}`)
  const prefix = (match.path ?? []).flatMap((text) => ('prefix' in text && isPath(text, just) ? [text.prefix] : []))[0]
  const swapped = (by: string): string => {
    const rest = just.slice((prefix ?? '').replace(/\/+$/, '').length)
    return `${by.replace(/\/+$/, '')}${rest}`.replace(/^$/, '/')
  }
  if (rule.respond !== undefined) return { kind: 'respond', rule: name, ...rule.respond }
  if (rule.redirect !== undefined) {
    const { scheme = 'http', host, port, path: newPath, prefix: newPrefix, status = 301 } = rule.redirect
    const bare = request.host.replace(/:\d+$/, '')
    const authority = host ?? (port === undefined ? request.host : bare)
    const target = newPath ?? (newPrefix === undefined ? just : swapped(newPrefix))
    const location = `${scheme}://${authority}${port === undefined ? '' : `:${port}`}${withQuery(target)}`
    return { kind: 'redirect', rule: name, status, location }
  }
  const arms = (rule.backends ?? []).filter(({ weight }) => weight > 0)
  if (arms.length === 0) return { kind: 'respond', rule: name, status: 503, body: '' }
  const { rewrite } = rule
  const rewritten =
    rewrite?.path ??
    (rewrite?.prefix === undefined
      ? rewrite?.regex === undefined
        ? just
        : just.replaceAll(new RegExp(rewrite.regex.pattern, 'g'), rewrite.regex.with.replaceAll('\\', '$'))
      : swapped(rewrite.prefix))
  return { kind: 'forward', rule: name, services: arms.map(({ service }) => service), path: withQuery(rewritten) }
}

/** Dots as the web's own URL has them, then no slash behind another. */
function tidied(path: string): string {
  const [just = '', query] = path.split('?')
  // In front of `//x`, a name, or URL would take x for the host.
  const { pathname } = new URL(`http://x${just}`)
  // Envoy leaves two of nothing but slashes (measured).
  const merged = /^\/\/+$/.test(pathname) ? '//' : pathname.replaceAll(/\/{2,}/g, '/')
  return query === undefined ? merged : `${merged}?${query}`
}
