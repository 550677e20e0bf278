import { replaceMatches } from '../resource/regex.ts'
import { clusterShare } from './cluster-endpoints.ts'
import { methodsText } from './condition-text.ts'
import type {
  ForwardForm,
  MirrorForm,
  RedirectForm,
  RetryForm,
  RewriteForm,
  RouteForm,
  RouteMatchForm,
  VirtualHostForm,
  WeightedForm,
} from './envoy-form.ts'
import { matchText } from './match-text.ts'
import type { ProxyResources } from './proxy-resources.ts'
import { type RoutedRequest, splitQuery } from './request-headers.ts'
import type { ClusterShare, RequestOutcome } from './request-question.ts'
import { percentOf } from './string-match.ts'

export const nothing: Pick<RequestOutcome, 'clusters' | 'mirrors'> = { clusters: [], mirrors: [] }

/** What a route does with a request that it matches. */
export function routeOutcome(
  resources: ProxyResources,
  virtualHost: VirtualHostForm,
  route: RouteForm,
  name: string,
  request: RoutedRequest,
  share: number,
): RequestOutcome {
  const match = route.match ?? {}
  const outcome = { share, route: name, match: matchText(match), ...nothing }
  if (route.direct_response !== undefined) {
    const { status = 0, body } = route.direct_response
    const text = body?.inline_string
    return { ...outcome, action: 'respond', status, ...(text !== undefined && { body: text }) }
  }
  if (route.redirect !== undefined) return { ...outcome, ...redirected(route.redirect, match, request) }
  if (route.route === undefined) {
    return { ...outcome, action: 'unknown', why: 'the route neither forwards, redirects nor responds' }
  }
  return { ...outcome, ...forwarded(resources, virtualHost, route.route, match, request) }
}

/** The clusters of weights, in percent of their sum. */
export function weightedShares(resources: ProxyResources, form: WeightedForm): readonly ClusterShare[] {
  const clusters = form.clusters ?? []
  const total = clusters.reduce((sum, { weight = 0 }) => sum + weight, 0)
  return clusters.map(({ name = '', weight = 0 }) =>
    clusterShare(resources, name, total === 0 ? 0 : (weight / total) * 100),
  )
}

function forwarded(
  resources: ProxyResources,
  virtualHost: VirtualHostForm,
  form: ForwardForm,
  match: RouteMatchForm,
  request: RoutedRequest,
): Omit<RequestOutcome, 'share'> {
  const { cluster, cluster_header: header, weighted_clusters: weighted, timeout = '15s' } = form
  const path = rewrittenPath(form, match, request.path)
  const host = form.host_rewrite_literal ?? (form.host_rewrite_header && request.header(form.host_rewrite_header))
  const retry = form.retry_policy ?? virtualHost.retry_policy
  const retries = retry && retryText(retry)
  const mirrors = form.request_mirror_policies ?? virtualHost.request_mirror_policies ?? []
  const common = {
    ...(path !== request.sentPath && { path }),
    ...(host !== undefined && { host }),
    timeout: timeout === '0s' ? 'none' : timeout,
    ...(retries !== undefined && { retries }),
    mirrors: mirrors.map(mirrorShare),
  }
  if (weighted !== undefined) {
    const clusters = weightedShares(resources, weighted)
    const named = weighted.clusters?.find(({ cluster_header: name }) => name !== undefined)
    if (named === undefined) return { ...common, action: 'forward', clusters }
    return { ...common, action: 'unknown', clusters, why: `a header decides: ${named.cluster_header ?? ''}` }
  }
  const name = cluster ?? (header === undefined ? undefined : request.header(header))
  if (name !== undefined) {
    return { ...common, action: 'forward', clusters: [clusterShare(resources, name, 100)] }
  }
  if (header === undefined) {
    return { ...common, action: 'unknown', clusters: [], why: 'an extension of the proxy picks the cluster' }
  }
  const why = `the header ${header} names the cluster, and you sent none`
  return { ...common, action: 'not-found', status: 404, clusters: [], why }
}

function mirrorShare({ cluster = '', runtime_fraction: fraction }: MirrorForm): { name: string; share: number } {
  return { name: cluster, share: fraction?.default_value === undefined ? 100 : percentOf(fraction.default_value) }
}

/** `3 on 5xx (GET, HEAD)`; undefined for none. */
function retryText(form: RetryForm): string | undefined {
  const { retry_on: on = '', num_retries: retries = 1, retriable_request_headers: headers } = form
  if (on === '' || retries === 0) return undefined
  const codes = (form.retriable_status_codes ?? []).join(', ')
  const words = on
    .split(',')
    .map((word) => (word === 'retriable-status-codes' && codes !== '' ? codes : word))
    .join(', ')
  const methods = headers?.find(({ name }) => name === ':method')?.string_match
  return `${retries} on ${words}${methods === undefined ? '' : ` (${methodsText(methods).replaceAll(' or ', ', ')})`}`
}

interface Rewriting {
  readonly prefix_rewrite?: string
  readonly regex_rewrite?: RewriteForm
}

function rewrittenPath(form: Rewriting, match: RouteMatchForm, path: string): string {
  const [just, query] = splitQuery(path)
  if (form.regex_rewrite !== undefined) {
    const { pattern, substitution = '' } = form.regex_rewrite
    return `${replaceMatches(pattern?.regex ?? '', just, substitution)}${query}`
  }
  if (form.prefix_rewrite === undefined) return path
  // Of an exact path or a regex, all of it is replaced.
  const matched = match.path_separated_prefix ?? match.prefix
  return `${form.prefix_rewrite}${matched === undefined ? '' : just.slice(matched.length)}${query}`
}

const statuses: Readonly<Record<string, number>> = {
  MOVED_PERMANENTLY: 301,
  FOUND: 302,
  SEE_OTHER: 303,
  TEMPORARY_REDIRECT: 307,
  PERMANENT_REDIRECT: 308,
}

function redirected(
  form: RedirectForm,
  match: RouteMatchForm,
  request: RoutedRequest,
): Pick<RequestOutcome, 'action' | 'status' | 'location'> {
  const scheme = form.https_redirect === true ? 'https' : (form.scheme_redirect ?? request.scheme)
  const port = form.port_redirect === undefined ? '' : `:${form.port_redirect}`
  const host = form.host_redirect ?? hostKept(request, scheme, port)
  const path = redirectedPath(form, match, request.path)
  return {
    action: 'redirect',
    status: statuses[form.response_code ?? 'MOVED_PERMANENTLY'] ?? 301,
    location: `${scheme}://${host}${port}${path}`,
  }
}

/** Without the port that a new one replaces, or that belonged to the scheme that it had. */
function hostKept({ authority, scheme }: RoutedRequest, newScheme: string, newPort: string): string {
  const own = scheme === 'https' ? ':443' : ':80'
  const given = /:\d*$/.exec(authority.replace(/^\[.*\]/, ''))?.[0]
  if (given === undefined) return authority
  const isReplaced = newPort !== '' || (newScheme !== scheme && given === own)
  return isReplaced ? authority.slice(0, -given.length) : authority
}

function redirectedPath(form: RedirectForm, match: RouteMatchForm, path: string): string {
  const [, query] = splitQuery(path)
  const kept = form.strip_query === true ? '' : query
  if (form.path_redirect !== undefined) {
    return form.path_redirect.includes('?') ? form.path_redirect : `${form.path_redirect}${kept}`
  }
  const [just] = splitQuery(rewrittenPath(form, match, path))
  return `${just}${kept}`
}
