import type { ConnectionManagerForm } from './envoy-form.ts'
import type { RequestQuestion } from './request-question.ts'

/** A request as the routes see it. */
export interface RoutedRequest {
  readonly method: string
  readonly scheme: 'http' | 'https'
  readonly authority: string
  /** Normalized, with its query. */
  readonly path: string
  /** As the client sent it. */
  readonly sentPath: string
  /** All of a name joined, as Envoy compares them; undefined where there is none. */
  header(name: string): string | undefined
}

/** What the connection manager makes of a request before it asks for a route, or the answer that it gives itself. */
export type Admitted =
  | { readonly kind: 'routed'; readonly request: RoutedRequest }
  | { readonly kind: 'answered'; readonly status: number; readonly location?: string; readonly why: string }

export function admitRequest(question: RequestQuestion, manager: ConnectionManagerForm): Admitted {
  const underscored = question.headers.find(([name]) => name.includes('_'))
  if (
    underscored !== undefined &&
    manager.common_http_protocol_options?.headers_with_underscores_action === 'REJECT_REQUEST'
  ) {
    return { kind: 'answered', status: 400, why: `the header ${underscored[0]} has an underscore in its name` }
  }
  const path = normalizedPath(question.path, manager)
  if ('status' in path) return { kind: 'answered', ...path }
  const scheme = question.scheme === 'https' ? 'https' : 'http'
  const authority = strippedAuthority(hostHeader(question), scheme, manager)
  const own = [
    [':method', question.method],
    [':scheme', scheme],
    [':authority', authority],
    [':path', path.path],
    ['x-forwarded-proto', scheme],
  ] as const
  const headers = new Map<string, string[]>(own.map(([name, value]) => [name, [value]]))
  for (const [name, value] of question.headers) {
    const key = name.toLowerCase()
    if (key === 'host' || key.startsWith(':')) continue
    headers.set(key, [...(headers.get(key) ?? []), value.trim()])
  }
  if (manager.generate_request_id !== false && !headers.has('x-request-id')) {
    // Any will do: only that there is one can be known.
    headers.set('x-request-id', ['00000000-0000-4000-8000-000000000000'])
  }
  const header = (name: string): string | undefined => {
    const key = name.toLowerCase()
    return headers.get(key === 'host' ? ':authority' : key)?.join(key === 'cookie' ? '; ' : ',')
  }
  return {
    kind: 'routed',
    request: { method: question.method, scheme, authority, path: path.path, sentPath: question.path, header },
  }
}

function hostHeader({ headers, authority }: RequestQuestion): string {
  return headers.findLast(([name]) => name.toLowerCase() === 'host')?.[1] ?? authority
}

function strippedAuthority(authority: string, scheme: 'http' | 'https', manager: ConnectionManagerForm): string {
  if (manager.strip_any_host_port === true) return authority.replace(/:\d+$/, '')
  const own = scheme === 'https' ? ':443' : ':80'
  return manager.strip_matching_host_port === true && authority.endsWith(own)
    ? authority.slice(0, -own.length)
    : authority
}

type Normalized =
  | { readonly path: string }
  | { readonly status: number; readonly location?: string; readonly why: string }

/** In Envoy's order: escaped slashes, then dots and escapes, then slashes that follow each other. */
function normalizedPath(path: string, manager: ConnectionManagerForm): Normalized {
  if (!path.startsWith('/')) return { path }
  const [given, query] = splitQuery(path)
  let just = given
  const action = manager.path_with_escaped_slashes_action ?? 'KEEP_UNCHANGED'
  const isEscaped = /%2f|%5c/i.test(just) && action !== 'KEEP_UNCHANGED' && action !== 'IMPLEMENTATION_SPECIFIC_DEFAULT'
  if (isEscaped) {
    if (action === 'REJECT_REQUEST') return { status: 400, why: 'the path has an escaped slash' }
    just = just.replaceAll(/%2f/gi, '/').replaceAll(/%5c/gi, '\\')
  }
  if (manager.normalize_path === true) just = canonicalPath(just)
  if (manager.merge_slashes === true) just = mergedSlashes(just)
  if (isEscaped && action === 'UNESCAPE_AND_REDIRECT') {
    return { status: 307, location: `${just}${query}`, why: 'the path has an escaped slash' }
  }
  return { path: `${just}${query}` }
}

/** Of a path that is nothing but slashes, two are left (measured). */
function mergedSlashes(path: string): string {
  return /^\/{2,}$/.test(path) ? '//' : path.replaceAll(/\/{2,}/g, '/')
}

/** The path, and `?` with what follows it. */
export function splitQuery(path: string): [just: string, query: string] {
  const at = path.search(/[?#]/)
  return at < 0 ? [path, ''] : [path.slice(0, at), path.slice(at)]
}

/** As RFC 3986 has it, and with `\` for `/`, as browsers have it. */
function canonicalPath(path: string): string {
  const unescaped = path.replaceAll('\\', '/').replaceAll(/%([0-9a-f]{2})/gi, (escape, hex: string) => {
    const character = String.fromCharCode(Number.parseInt(hex, 16))
    return /[\w.~-]/.test(character) ? character : escape
  })
  const segments: string[] = []
  const parts = unescaped.split('/').slice(1)
  for (const [index, part] of parts.entries()) {
    const isLast = index === parts.length - 1
    if (part !== '.' && part !== '..') segments.push(part)
    else {
      if (part === '..') segments.pop()
      if (isLast) segments.push('')
    }
  }
  return `/${segments.join('/')}`
}
