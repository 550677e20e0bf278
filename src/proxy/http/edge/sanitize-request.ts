import type { DownstreamConnection } from '../../network/network-filter.ts'
import type { ProxyContext } from '../../proxy-context.ts'
import type { Headers } from '../headers.ts'
import type { EdgeRules } from '../manager-config.ts'
import { type ClientPlace, placeClient } from './client-address.ts'
import { forwardClientCert } from './client-cert.ts'
import { giveRequestId } from './request-id.ts'
import { traceRequest } from './tracing.ts'

/** What only requests from within may say to the router. */
const internalOnly: ReadonlySet<string> = new Set([
  'x-envoy-retry-on',
  'x-envoy-retry-grpc-on',
  'x-envoy-max-retries',
  'x-envoy-upstream-alt-stat-name',
  'x-envoy-upstream-rq-timeout-ms',
  'x-envoy-upstream-rq-per-try-timeout-ms',
  'x-envoy-upstream-rq-timeout-alt-response',
  'x-envoy-expected-rq-timeout-ms',
  'x-envoy-upstream-stream-duration-ms',
  'x-envoy-retriable-status-codes',
  'x-envoy-retriable-header-names',
  'x-envoy-hedge-on-per-try-timeout',
  'x-envoy-force-trace',
  'x-envoy-ip-tags',
  'x-envoy-original-url',
  'x-envoy-is-timeout-retry',
])

/** What says who a client is, and is not believed at the edge. */
const edgeOnly: ReadonlySet<string> = new Set([
  'x-envoy-decorator-operation',
  'x-envoy-downstream-service-cluster',
  'x-envoy-downstream-service-node',
  'x-envoy-original-path',
])

/** What is between two neighbours and no more. */
const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'upgrade',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'x-envoy-internal',
  'http2-settings',
])

/**
 * Makes of a request as a client sent it one as upstreams may see it: without what is between neighbours or not to be
 * believed, and with who the client is, and an id.
 */
export function sanitizeRequest(
  request: Headers,
  connection: DownstreamConnection,
  rules: EdgeRules,
  context: ProxyContext,
  upgrade: string | undefined,
): ClientPlace {
  removeNominated(request)
  request.removeWhere(
    (name) => hopByHop.has(name) && !(upgrade !== undefined && (name === 'upgrade' || name === 'connection')),
  )
  const te = request.get('te')
  if (te !== undefined) {
    if (/(?:^|,)\s*trailers\s*(?:,|$)/i.test(te)) request.set('te', 'trailers')
    else request.remove('te')
  }
  const place = placeClient(request, connection, rules)
  if (place.isInternal) request.set('x-envoy-internal', 'true')
  else {
    const { isEdge } = place
    request.removeWhere(
      (name) => name.startsWith('x-envoy-') && (internalOnly.has(name) || (isEdge && edgeOnly.has(name))),
    )
  }
  if (rules.addsUserAgent && context.node.cluster !== '') {
    request.set('x-envoy-downstream-service-cluster', context.node.cluster)
    if (!request.has('user-agent')) request.set('user-agent', context.node.cluster)
    if (context.node.id !== '') request.set('x-envoy-downstream-service-node', context.node.id)
  }
  if (rules.via !== '') request.set('via', appendedTo(request.get('via'), rules.via))
  giveRequestId(request, place.isEdge, rules.requestId)
  if (rules.tracing !== undefined) traceRequest(request, rules.tracing, rules.requestId.packsTraceReason, context)
  forwardClientCert(request, connection, rules.clientCert)
  return place
}

/** Of `via`: what is there, and this proxy behind it. */
export const appendedTo = (before: string | undefined, own: string): string =>
  before === undefined ? own : `${before}, ${own}`

/** Headers that `connection` names are between neighbours, too. */
function removeNominated(request: Headers): void {
  const connection = request.get('connection')
  if (connection === undefined || harmless.has(connection.toLowerCase())) return
  for (const word of connection.toLowerCase().split(',')) {
    const name = word.trim()
    if (!keptThough.has(name) && !name.startsWith(':')) request.remove(name)
  }
}

const harmless: ReadonlySet<string> = new Set(['keep-alive', 'close', 'upgrade'])

/** What they say is not theirs to take away. */
const keptThough: ReadonlySet<string> = new Set([
  'te',
  'upgrade',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
])
