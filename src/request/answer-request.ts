import { clusterShare } from './cluster-endpoints.ts'
import type {
  ConnectionManagerForm,
  FilterChainForm,
  HeaderMutationForm,
  HttpFilterForm,
  RouteConfigurationForm,
  RouteForm,
  TcpProxyForm,
  VirtualHostForm,
} from './envoy-form.ts'
import { matchHost } from './match-host.ts'
import { findFilter, hostOf, listenerAnswer, portOf, type Taker, takersOf } from './match-listener.ts'
import { matchRoute } from './match-route.ts'
import type { ProxyResources } from './proxy-resources.ts'
import { admitRequest, type RoutedRequest } from './request-headers.ts'
import type { Lack, RequestAnswer, RequestOutcome, RequestQuestion } from './request-question.ts'
import { nothing, routeOutcome, weightedShares } from './route-outcome.ts'

/**
 * What a proxy does with a request, by the resources that it is sent: whoever wrote them, the answer is Envoy's. What
 * filters before the router could answer themselves (faults, CORS preflights) is told in `notes`.
 */
export function answerOf(resources: ProxyResources, question: RequestQuestion): RequestAnswer {
  const takers = takersOf(resources.listeners, question)
  if (takers.length === 0) return { outcomes: [closed(whyNobody(resources, question))], notes: [] }
  const answers = takers.map((taker) => answerOfTaker(resources, taker, question))
  // Nobody said which listener: that is meant which does something with the request.
  const best = answers.find(({ outcomes }) => outcomes.some(isServed)) ?? (answers[0] as RequestAnswer)
  const others = answers.filter((answer) => answer !== best).flatMap(({ listener }) => listener?.name ?? [])
  if (others.length === 0) return best
  const note = `${others.join(', ')} could be meant too: name a listener, or the port in the URL`
  return { ...best, notes: [...best.notes, note] }
}

const isServed = ({ action }: RequestOutcome): boolean => action !== 'not-found' && action !== 'closed'

function closed(why: string): RequestOutcome {
  return { share: 100, action: 'closed', why, ...nothing }
}

function notFound(why: string, share = 100): RequestOutcome {
  return { share, action: 'not-found', status: 404, why, ...nothing }
}

function whyNobody({ listeners }: ProxyResources, question: RequestQuestion): string {
  const all = listeners.map(listenerAnswer).map(({ name, address }) => (address ? `${name} (${address})` : name))
  const there = all.length === 0 ? 'the proxy has no listener' : `there is ${all.join(', ')}`
  if (question.listener !== undefined) return `no listener is called ${question.listener}; ${there}`
  const port = portOf(question)
  const what = question.port === undefined && question.scheme !== 'tcp' ? question.scheme : `port ${port ?? '?'}`
  return `no listener takes ${what}; ${there}`
}

function answerOfTaker(
  resources: ProxyResources,
  { listener, chain }: Taker,
  question: RequestQuestion,
): RequestAnswer {
  const base = { listener: listenerAnswer(listener), notes: [] }
  if (chain === undefined) {
    const why = `no filter chain of it takes ${whatIsTaken(question)}`
    return { ...base, outcomes: [closed(why)] }
  }
  const named = { ...base, ...(chain.name !== undefined && { filterChain: chain.name }) }
  if ((chain.filters ?? []).length === 0) {
    const why = 'the chain has no filter, as one whose Secret was never right'
    return { ...named, outcomes: [closed(why)] }
  }
  const mismatch = speechMismatch(chain, question)
  if (mismatch !== undefined) return { ...named, outcomes: [closed(mismatch)] }
  const manager = findFilter(chain, 'HttpConnectionManager')?.typed_config as ConnectionManagerForm | undefined
  if (manager !== undefined) {
    if (question.scheme === 'tcp') return { ...named, outcomes: [unknown('it speaks HTTP: ask with a URL')] }
    return { ...named, ...answerOfManager(resources, manager, question) }
  }
  const proxy = findFilter(chain, 'TcpProxy')?.typed_config as TcpProxyForm | undefined
  if (proxy === undefined) return { ...named, outcomes: [unknown('no filter of it is known to forward anything')] }
  const clusters =
    proxy.weighted_clusters === undefined
      ? [clusterShare(resources, proxy.cluster ?? '', 100)]
      : weightedShares(resources, proxy.weighted_clusters)
  return { ...named, outcomes: [{ share: 100, action: 'forward', clusters, mirrors: [] }] }
}

function whatIsTaken({ scheme, sni, authority }: RequestQuestion): string {
  if (scheme === 'http') return 'plain HTTP'
  return scheme === 'tcp' && sni === undefined
    ? `what goes to ${authority}`
    : `the server name ${sni ?? hostOf(authority)}`
}

const unknown = (why: string): RequestOutcome => ({ share: 100, action: 'unknown', why, ...nothing })

/** TLS where it is plain, or the other way round; a chain that passes TLS through speaks neither. */
function speechMismatch(chain: FilterChainForm, { scheme }: RequestQuestion): string | undefined {
  if (findFilter(chain, 'HttpConnectionManager') === undefined || scheme === 'tcp') return undefined
  if (scheme === 'https' && chain.transport_socket === undefined)
    return 'it speaks plain HTTP, not TLS: ask with http://'
  return scheme === 'http' && chain.transport_socket !== undefined ? 'it speaks TLS: ask with https://' : undefined
}

function answerOfManager(
  resources: ProxyResources,
  manager: ConnectionManagerForm,
  question: RequestQuestion,
): RequestAnswer {
  const admitted = admitRequest(question, manager)
  if (admitted.kind === 'answered') {
    const { status, location, why } = admitted
    const action = location === undefined ? 'respond' : 'redirect'
    const outcome = { share: 100, action, status, why, ...nothing } as const
    return { outcomes: [{ ...outcome, ...(location !== undefined && { location }) }], notes: [] }
  }
  const notes = filterNotes(manager)
  const configuration = configurationOf(resources, manager)
  if (configuration === undefined) {
    const name = manager.rds?.route_config_name
    const why = name === undefined ? 'its routes are by scope, which is not followed' : `it has no routes ${name} yet`
    return { outcomes: [name === undefined ? unknown(why) : notFound(why)], notes }
  }
  const name = configuration.name ?? manager.rds?.route_config_name
  return {
    ...(name && { routeConfiguration: name }),
    ...answerOfRoutes(resources, configuration, admitted.request, notes),
  }
}

function configurationOf(
  resources: ProxyResources,
  { route_config: inline, rds }: ConnectionManagerForm,
): RouteConfigurationForm | undefined {
  return inline ?? (rds === undefined ? undefined : resources.routeConfiguration(rds.route_config_name ?? ''))
}

/** Those that change nothing of where a request goes, and need no word. */
const silentFilters: ReadonlySet<string> = new Set([
  'router',
  'cors',
  'fault',
  'buffer',
  'compressor',
  'decompressor',
  'grpc_stats',
  'dynamic_forward_proxy',
])

function filterNotes({ http_filters: filters = [] }: ConnectionManagerForm): readonly string[] {
  const others = filters.flatMap((filter) => (isSilent(filter) ? [] : [filter.name ?? '']))
  return others.length === 0 ? [] : [`what ${others.join(', ')} may do before the routes is not looked at`]
}

function isSilent({ name = '', disabled, typed_config: config }: HttpFilterForm): boolean {
  const short = name.replace(/^envoy\.filters\.http\./, '')
  if (disabled === true || silentFilters.has(short)) return true
  const mutations = config?.mutations?.request_mutations ?? []
  return short === 'header_mutation' && mutations.length > 0 && mutations.every(isOfProxies)
}

/** A header by which proxies tell one another something, and by which nobody routes. */
const isOfProxies = ({ remove, append }: HeaderMutationForm): boolean =>
  /^x-(envoy|fairlead)-expected-rq-timeout-ms$/.test(remove ?? append?.header?.key ?? '')

function answerOfRoutes(
  resources: ProxyResources,
  configuration: RouteConfigurationForm,
  request: RoutedRequest,
  notes: readonly string[],
): RequestAnswer {
  const virtualHost = matchHost(configuration, request.authority)
  if (virtualHost === undefined) {
    const hosts = (configuration.virtual_hosts ?? []).flatMap(({ domains = [] }) => domains)
    const there = hosts.length === 0 ? 'it has none' : `it has ${hosts.slice(0, 10).join(', ')}`
    const more = hosts.length > 10 ? ` and ${hosts.length - 10} more` : ''
    return { outcomes: [notFound(`no host of it is ${request.authority || '(empty)'}; ${there}${more}`)], notes }
  }
  const named = { ...(virtualHost.name !== undefined && { virtualHost: virtualHost.name }), notes }
  if (virtualHost.require_tls !== undefined && virtualHost.require_tls !== 'NONE' && request.scheme === 'http') {
    const location = `https://${request.authority}${request.path}`
    return { ...named, outcomes: [{ share: 100, action: 'redirect', status: 301, location, ...nothing }] }
  }
  return { ...named, ...askRoutes(resources, virtualHost, request) }
}

/**
 * Routes are asked in their order. Chance is drawn once for a request, so of two routes that take a share the second gets
 * what its share has more than that of the first (measured).
 */
function askRoutes(
  resources: ProxyResources,
  virtualHost: VirtualHostForm,
  request: RoutedRequest,
): Pick<RequestAnswer, 'outcomes' | 'nearest'> {
  const outcomes: RequestOutcome[] = []
  let nearest: { readonly route: string; readonly lacks: readonly Lack[] } | undefined
  let taken = 0
  for (const [index, route] of (virtualHost.routes ?? []).entries()) {
    const { lacks, chance } = matchRoute(route.match ?? {}, request)
    const name = nameOf(route, index)
    if (lacks.length > 0) {
      if (nearest === undefined || lacks.length < nearest.lacks.length) nearest = { route: name, lacks }
      continue
    }
    if (chance <= taken) continue
    outcomes.push(routeOutcome(resources, virtualHost, route, name, request, chance - taken))
    taken = chance
    if (taken === 100) break
  }
  if (taken < 100) outcomes.push(notFound('no route of the host matches', 100 - taken))
  return { outcomes, ...(nearest !== undefined && { nearest }) }
}

/** Routes need no names; those that fairlead makes have one. */
const nameOf = ({ name }: RouteForm, index: number): string => name || `routes[${index}]`
