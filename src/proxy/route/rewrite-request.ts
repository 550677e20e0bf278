import type { Headers } from '../http/headers.ts'
import type { ForwardAction } from './forward-action.ts'

/** The host that the upstream is asked for, where the route says another; that of the endpoint comes when it is chosen. */
export function rewriteHost(
  request: Headers,
  action: ForwardAction,
  weighted: string | undefined,
  suppressesEnvoyHeaders: boolean,
): void {
  const asked = request.get(':authority') ?? ''
  const host = weighted ?? hostOf(request, action)
  const changes = host !== undefined && host !== asked
  if (action.appendsForwardedHost && (changes || action.hostRewrite?.kind === 'auto')) {
    const before = request.get('x-forwarded-host')
    request.set('x-forwarded-host', before === undefined ? asked : `${before},${asked}`)
  }
  if (!changes) return
  if (!suppressesEnvoyHeaders) request.set('x-envoy-original-host', asked)
  request.set(':authority', host)
}

function hostOf(request: Headers, { hostRewrite }: ForwardAction): string | undefined {
  if (hostRewrite === undefined || hostRewrite.kind === 'auto') return undefined
  if (hostRewrite.kind === 'literal') return hostRewrite.host
  if (hostRewrite.kind === 'header') return request.get(hostRewrite.header) || undefined
  return hostRewrite.substitute((request.get(':path') ?? '').split('?', 1)[0] as string)
}

/** What was asked for stays in `x-envoy-original-path`. */
export function rewritePath(request: Headers, { pathRewrite }: ForwardAction, suppressesEnvoyHeaders: boolean): void {
  if (pathRewrite === undefined) return
  const path = request.get(':path')
  if (path === undefined) return
  const rewritten = pathRewrite(path)
  if (rewritten === path) return
  if (!suppressesEnvoyHeaders) request.set('x-envoy-original-path', path)
  request.set(':path', rewritten)
}
