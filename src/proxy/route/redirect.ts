import type { FieldReader } from '../config/field-reader.ts'
import type { Headers } from '../http/headers.ts'
import { endOfPath, type PathRewrite, readPathRewrite } from './path-rewrite.ts'
import type { PathMatch } from './route-match.ts'

export interface Redirect {
  readonly kind: 'redirect'
  readonly status: number
  /** The `location`. */
  locationOf(request: Headers): string
}

const statuses = {
  MOVED_PERMANENTLY: 301,
  FOUND: 302,
  SEE_OTHER: 303,
  TEMPORARY_REDIRECT: 307,
  PERMANENT_REDIRECT: 308,
} as const

/** `envoy.config.route.v3.RedirectAction`. */
export function readRedirect(fields: FieldReader, match: PathMatch): Redirect {
  const scheme = fields.flag('https_redirect') ? 'https' : fields.string('scheme_redirect').toLowerCase()
  const host = fields.string('host_redirect')
  const port = fields.number('port_redirect') ?? 0
  const path = fields.string('path_redirect')
  const rewrite = readPathRewrite(fields, match)
  const isStripped = fields.flag('strip_query')
  const code = fields.choice('response_code', [
    'MOVED_PERMANENTLY',
    'FOUND',
    'SEE_OTHER',
    'TEMPORARY_REDIRECT',
    'PERMANENT_REDIRECT',
  ])
  return {
    kind: 'redirect',
    status: statuses[code],
    locationOf(request) {
      const newScheme = scheme === '' ? schemeOf(request) : scheme
      const newHost = host === '' ? keptHost(request, newScheme, port !== 0) : host
      const newPort = port === 0 ? '' : `:${port}`
      const newPath = redirectedPath(request.get(':path') ?? '/', path, rewrite, isStripped)
      return `${newScheme}://${newHost}${newPort}${newPath}`
    },
  }
}

const schemeOf = (request: Headers): string => request.get('x-forwarded-proto') ?? request.get(':scheme') ?? 'http'

const defaultPorts: Readonly<Record<string, string>> = { http: ':80', https: ':443' }

/** The port goes when another takes its place, or when it was the default one of a scheme that changes. */
function keptHost(request: Headers, newScheme: string, hasNewPort: boolean): string {
  const host = request.get(':authority') ?? ''
  const at = host.endsWith(']') ? -1 : host.lastIndexOf(':')
  if (at < 0) return host
  const scheme = schemeOf(request)
  const wasDefault = newScheme !== scheme && defaultPorts[scheme] === host.slice(at)
  return hasNewPort || wasDefault ? host.slice(0, at) : host
}

function redirectedPath(path: string, fixed: string, rewrite: PathRewrite | undefined, isStripped: boolean): string {
  // A query of the new path stands in place of the request's, and is never stripped.
  if (fixed.includes('?')) return fixed
  const end = endOfPath(path)
  const moved = fixed === '' ? (rewrite?.(path) ?? path) : fixed + path.slice(end)
  return isStripped ? moved.slice(0, endOfPath(moved)) : moved
}
