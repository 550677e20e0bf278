import type { GatewayListener } from '../../config/kinds/gateway-form.ts'
import type { GatewayInput, GatewayOutput, GeneratedJson, RouteConfigurationOutput } from '../contract.ts'
import { listenerDefaults as defaults } from '../defaults.ts'
import { at, type EnvoyJson, type SourcePlace, within } from '../envoy-json.ts'
import { gatewayListenerName } from '../names.ts'
import { buildRouteConfiguration } from '../route/build-route-configuration.ts'
import { httpConnectionManager } from './http-connection-manager.ts'

/** A Gateway's listeners, each with a route configuration of its own, so that a Route changes no listener. */
export function buildGateway(input: GatewayInput): GatewayOutput {
  const { gateway, routes, services, mesh } = input
  const parts = gateway.form.listeners.map((listener, index) => {
    const from: SourcePlace = { document: gateway, path: `listeners[${index}]` }
    const name = gatewayListenerName(gateway.form.name, listener.name)
    const configuration = buildRouteConfiguration({
      name,
      hosts: listener.hosts ?? [],
      routes,
      services,
      defaults: { ...mesh.defaults, ...gateway.form.defaults },
      side: 'gateway',
      implicit: [],
      from,
    })
    return { listener, name, from, configuration }
  })
  return {
    resources: parts.flatMap(({ listener, name, from, configuration }): readonly GeneratedJson[] => [
      { type: 'listener', name, json: listenerJson(input, listener, name, configuration, from), from },
      { type: 'route', name, json: configuration.json, from },
    ]),
    fallbacks: parts.flatMap(({ configuration }) => configuration.fallbacks),
    needs: {
      services: [...new Set(parts.flatMap(({ configuration }) => configuration.services))].sort(),
      secrets: [],
      meshClusters: [],
    },
    problems: parts.flatMap(({ configuration }) => configuration.problems),
  }
}

function listenerJson(
  { gateway, mesh }: GatewayInput,
  listener: GatewayListener,
  name: string,
  { filters }: RouteConfigurationOutput,
  from: SourcePlace,
): EnvoyJson {
  const { trustedHops } = gateway.form
  const hcm = httpConnectionManager({
    statPrefix: name,
    side: 'edge',
    routes: { rds: name },
    filters,
    accessLog: listener.accessLog ?? gateway.form.accessLog ?? mesh.accessLog,
    tracing: gateway.form.tracing ?? mesh.tracing,
    listener,
    ...(trustedHops !== undefined && { trustedHops }),
    from,
  })
  return {
    name,
    address: {
      socket_address: {
        address: at(within(from, 'address'), listener.address ?? defaults.address.value),
        port_value: at(within(from, 'port'), listener.port),
      },
    },
    per_connection_buffer_limit_bytes: defaults.bufferBytes.value,
    filter_chains: [{ filters: [hcm] }],
  }
}
