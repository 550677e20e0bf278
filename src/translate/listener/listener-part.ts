import type { GatewayListener } from '../../config/kinds/gateway-form.ts'
import type { PlacedProblem } from '../build-generated.ts'
import type { FallbackCluster, GatewayInput, GeneratedJson } from '../contract.ts'
import { allowedHosts, openEgress } from '../egress/allowed-hosts.ts'
import { egressCluster, egressHosts } from '../egress/egress-json.ts'
import { at, type EnvoyJson, type SourcePlace, within } from '../envoy-json.ts'
import { egressName, gatewayListenerName } from '../names.ts'
import { buildRouteConfiguration } from '../route/build-route-configuration.ts'
import { layerDefaults } from '../route/layer-defaults.ts'
import { connectionChain } from './connection-chains.ts'
import { httpConnectionManager } from './http-connection-manager.ts'
import { accessLogOf, tracingOf } from './layers.ts'
import { tlsChains } from './tls-chains.ts'
import { tracerOf } from './tracing.ts'

/** What one listener of a Gateway brings into a listener of Envoy's. */
export interface ListenerPart {
  readonly listener: GatewayListener
  readonly name: string
  readonly from: SourcePlace
  readonly isHttp: boolean
  /** Which chain a connection gets depends on the name that its client asks for by TLS. */
  readonly goesByName: boolean
  readonly chains: readonly EnvoyJson[]
  /** For connections that no chain is for. */
  readonly rest?: EnvoyJson
  /** Beside the listener. */
  readonly resources: readonly GeneratedJson[]
  readonly fallbacks: readonly FallbackCluster[]
  /** Those of Services that it leads to. */
  readonly clusters: readonly string[]
  readonly secrets: readonly string[]
  /** Those of them whose files were never right. */
  readonly unready: readonly string[]
  readonly problems: readonly PlacedProblem[]
}

/** Requests come by it, and not mere connections. */
export function takesRequests({ protocol }: Pick<GatewayListener, 'protocol'>): boolean {
  return protocol !== 'tcp' && protocol !== 'tls'
}

export function listenerPart(input: GatewayInput, listener: GatewayListener, index: number): ListenerPart {
  const { gateway } = input
  const from: SourcePlace = { document: gateway, path: `listeners[${index}]` }
  const name = gatewayListenerName(gateway.form.name, listener.name)
  return takesRequests(listener)
    ? requestPart(input, listener, name, from)
    : connectionPart(input, listener, name, from)
}

function requestPart(input: GatewayInput, listener: GatewayListener, name: string, from: SourcePlace): ListenerPart {
  const { gateway, routes, services, secrets, mesh } = input
  const { egress, tls } = listener
  const { form } = gateway
  const httpsPort = form.listeners.find(({ protocol }) => protocol === 'https')?.port
  const outside = egress && {
    allowed: allowedHosts([{ egress, from: within(from, 'egress') }]),
    cluster: egressName(form.name),
  }
  const defaults = layerDefaults(form.defaults, mesh.defaults)
  const configuration = buildRouteConfiguration({
    name,
    hosts: listener.hosts ?? [],
    routes,
    services,
    defaults,
    side: 'gateway',
    implicit: [],
    ...(outside !== undefined && { others: egressHosts({ ...outside, defaults, side: 'gateway' }) }),
    ...(httpsPort !== undefined && { httpsPort }),
    from,
  })
  const hcm = httpConnectionManager({
    statPrefix: name,
    side: 'edge',
    routes: { rds: name },
    filters: configuration.filters,
    accessLog: accessLogOf(mesh.accessLog, form.accessLog, listener.accessLog),
    tracing: tracerOf(tracingOf(mesh.tracing, form.tracing), collectorOwner(input), form.name),
    listener,
    ...(form.trustedHops !== undefined && { trustedHops: form.trustedHops }),
    ...(outside !== undefined && { dnsCache: outside.cluster }),
    from,
  })
  const filters = [...connectionLimit(listener, name, from), hcm]
  const secured = tls && tlsChains(listener, tls, secrets, filters, from)
  return {
    listener,
    name,
    from,
    isHttp: true,
    goesByName: secured !== undefined,
    chains: secured?.chains ?? [{ filters }],
    ...(secured?.rest !== undefined && { rest: secured.rest }),
    resources: [
      { type: 'route', name, json: configuration.json, from },
      ...(outside === undefined ? [] : [outsideCluster(input, from)]),
    ],
    fallbacks: configuration.fallbacks,
    clusters: configuration.clusters,
    secrets: secured?.secrets ?? [],
    unready: secured?.unready ?? [],
    problems: [...configuration.problems, ...(secured?.problems ?? []), ...openEgressOf(listener, from)],
  }
}

function connectionPart(
  { gateway, mesh }: GatewayInput,
  listener: GatewayListener,
  name: string,
  from: SourcePlace,
): ListenerPart {
  const { form } = gateway
  const cluster = egressName(form.name)
  const { chain, clusters, problems } = connectionChain({
    listener,
    statPrefix: name,
    accessLog: accessLogOf(mesh.accessLog, form.accessLog, listener.accessLog),
    before: connectionLimit(listener, name, from),
    egressCluster: cluster,
    from,
  })
  return {
    listener,
    name,
    from,
    isHttp: false,
    goesByName: listener.protocol === 'tls',
    chains: chain === undefined ? [] : [chain],
    resources: listener.egress === undefined ? [] : [outsideCluster({ gateway, mesh }, from)],
    fallbacks: [],
    clusters,
    secrets: [],
    unready: [],
    problems: [...problems, ...openEgressOf(listener, from)],
  }
}

function openEgressOf({ egress }: GatewayListener, from: SourcePlace): readonly PlacedProblem[] {
  return egress === undefined ? [] : openEgress({ egress, from: within(from, 'egress') })
}

/** Which version a client speaks by TLS follows from what the Gateway offers, and not from the host that it asks for. */
function outsideCluster(
  { gateway: { form }, mesh }: Pick<GatewayInput, 'gateway' | 'mesh'>,
  from: SourcePlace,
): GeneratedJson {
  return egressCluster({
    name: egressName(form.name),
    connectTimeout: mesh.connectTimeout,
    keepsVersion: !form.listeners.some(({ protocol, egress }) => protocol === 'https' && egress !== undefined),
    from: within(from, 'egress'),
  })
}

/** Whose cluster the collector's is: of who says where it is. */
function collectorOwner({ gateway: { form } }: GatewayInput): string {
  return form.tracing?.otlp === undefined && form.tracing?.zipkin === undefined ? 'mesh' : form.name
}

function connectionLimit({ maxConnections }: GatewayListener, name: string, from: SourcePlace): readonly EnvoyJson[] {
  if (maxConnections === undefined) return []
  const filter = {
    name: 'envoy.filters.network.connection_limit',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit',
      stat_prefix: name,
      max_connections: maxConnections,
    },
  }
  return [at(within(from, 'maxConnections'), filter)]
}
