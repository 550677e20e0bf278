import type { GatewayListener } from '../../config/kinds/gateway-form.ts'
import type { PlacedProblem } from '../build-generated.ts'
import type { GatewayInput, GatewayOutput, GeneratedJson } from '../contract.ts'
import { listenerDefaults as defaults } from '../defaults.ts'
import { at, type EnvoyJson, placeOf, type SourcePlace, within } from '../envoy-json.ts'
import { tracingOf } from './layers.ts'
import { type ListenerPart, listenerPart } from './listener-part.ts'
import { tracerClusterJson } from './tracing.ts'

/**
 * A Gateway's listeners, each with a route configuration of its own, so that a Route changes no listener. Those that go by
 * the name that TLS clients ask for can have one port together.
 */
export function buildGateway(input: GatewayInput): GatewayOutput {
  const { gateway, mesh } = input
  const parts = gateway.form.listeners.map((listener, index) => listenerPart(input, listener, index))
  const byAddress = new Map<string, ListenerPart[]>()
  for (const part of parts) {
    const address = `${addressOf(part.listener)} ${part.listener.port}`
    byAddress.set(address, [...(byAddress.get(address) ?? []), part])
  }
  const groups = [...byAddress.values()]
  const own = gateway.form.tracing
  const isTraced = parts.some(({ isHttp }) => isHttp) && tracingOf(mesh.tracing, own) !== undefined
  const hasOwnCollector = own?.otlp !== undefined || own?.zipkin !== undefined
  const tracers: readonly GeneratedJson[] =
    isTraced && hasOwnCollector ? tracerClusterJson(gateway.form.name, own, { document: gateway, path: 'tracing' }) : []
  return {
    resources: [
      ...groups.flatMap((group) => listenerOf(group)),
      ...withoutRepeats(parts.flatMap(({ resources }) => resources)),
      ...tracers,
    ],
    fallbacks: parts.flatMap(({ fallbacks }) => fallbacks),
    needs: {
      clusters: unique(parts.flatMap(({ clusters }) => clusters)),
      secrets: unique(parts.flatMap(({ secrets }) => secrets)),
      meshClusters: isTraced && !hasOwnCollector ? [mesh.tracing?.otlp === undefined ? 'zipkin' : 'otlp'] : [],
    },
    problems: [...groups.flatMap(conflicts), ...parts.flatMap(({ problems }) => problems)],
  }
}

/** The listeners of a Gateway for hosts outside share a cluster. */
function withoutRepeats(resources: readonly GeneratedJson[]): readonly GeneratedJson[] {
  return [...new Map(resources.map((one) => [`${one.type} ${one.name}`, one])).values()]
}

const unique = (names: readonly string[]): readonly string[] => [...new Set(names)].sort()

const addressOf = ({ address }: GatewayListener): string => address ?? defaults.address.value

/** One listener of Envoy's, which is called after the first of those that share it. */
function listenerOf(group: readonly ListenerPart[]): readonly GeneratedJson[] {
  const [first] = group
  const byName = group.flatMap((part) => part.chains)
  const others = group.find((part) => part.rest !== undefined)?.rest
  // Envoy wants one chain at least.
  const [chains, rest] = byName.length === 0 && others !== undefined ? [[others], undefined] : [byName, others]
  if (first === undefined || chains.length === 0) return []
  const { listener, name, from } = first
  const filters = listenerFilters(
    listener,
    group.some(({ goesByName }) => goesByName),
    from,
  )
  const json: EnvoyJson = {
    name,
    address: {
      socket_address: {
        address: at(within(from, 'address'), addressOf(listener)),
        port_value: at(within(from, 'port'), listener.port),
      },
    },
    per_connection_buffer_limit_bytes: defaults.bufferBytes.value,
    ...(filters.length > 0 && { listener_filters: filters }),
    filter_chains: chains,
    ...(rest !== undefined && { default_filter_chain: rest }),
  }
  const unready = unique(group.flatMap((part) => part.unready))
  return [{ type: 'listener', name, json, from, ...(unready.length > 0 && { unready }) }]
}

const filterPrefix = 'type.googleapis.com/envoy.extensions.filters.listener.'

function listenerFilters(
  { proxyProtocol }: GatewayListener,
  goesByName: boolean,
  from: SourcePlace,
): readonly EnvoyJson[] {
  const proxy = {
    name: 'envoy.filters.listener.proxy_protocol',
    typed_config: {
      '@type': `${filterPrefix}proxy_protocol.v3.ProxyProtocol`,
      ...(proxyProtocol === 'optional' && { allow_requests_without_proxy_protocol: true }),
    },
  }
  const inspector = {
    name: 'envoy.filters.listener.tls_inspector',
    typed_config: { '@type': `${filterPrefix}tls_inspector.v3.TlsInspector` },
  }
  return [
    ...(proxyProtocol === undefined ? [] : [at(within(from, 'proxyProtocol'), proxy)]),
    ...(goesByName ? [inspector] : []),
  ]
}

/** What keeps listeners from having one port together. */
function conflicts(group: readonly ListenerPart[]): readonly PlacedProblem[] {
  const [first, ...others] = group
  if (first === undefined) return []
  const seen = new Map<string, string>(hostsOf(first).map((host) => [host, first.listener.name]))
  return others.flatMap((part): readonly PlacedProblem[] => {
    const { listener, from } = part
    const told = (field: string, message: string, fix: string): PlacedProblem => ({
      severity: 'error',
      code: 'conflict',
      at: placeOf(within(from, field)),
      message,
      fix,
    })
    if (!canShare(first.listener) || !canShare(listener)) {
      const message = `The listener ${first.listener.name} has the port ${listener.port} already.`
      const fix = 'Give it another port: only listeners of `https` and `tls` with `hosts` can share one.'
      return [told('port', message, fix)]
    }
    const problems: PlacedProblem[] = []
    if (listener.proxyProtocol !== first.listener.proxyProtocol) {
      const message = `The listener ${first.listener.name}, on the same port, says otherwise.`
      problems.push(told('proxyProtocol', message, 'Say the same in both.'))
    }
    for (const [index, host] of hostsOf(part).entries()) {
      const owner = seen.get(host)
      if (owner === undefined) seen.set(host, listener.name)
      else {
        const message = `The listener ${owner}, on the same port, serves this host already.`
        problems.push(told(`${hostsField(listener)}[${index}]`, message, 'Remove it here or there.'))
      }
    }
    return problems
  })
}

/** Clients are told apart by the names that they ask for. */
function canShare(listener: GatewayListener): boolean {
  const hosts = hostsOf({ listener })
  return ['https', 'tls'].includes(listener.protocol) && hosts.length > 0 && !hosts.includes('*')
}

const hostsField = ({ egress }: GatewayListener): string => (egress === undefined ? 'hosts' : 'egress.hosts')

const hostsOf = ({ listener }: Pick<ListenerPart, 'listener'>): readonly string[] =>
  (listener.protocol === 'tls' ? listener.egress?.hosts : undefined) ?? listener.hosts ?? []
