import type { KindDocument } from '../../config/kinds/kind-document.ts'
import type { RouteForm } from '../../config/kinds/route-form.ts'
import type { RouteConfigurationInput, RouteConfigurationOutput } from '../contract.ts'
import type { EnvoyJson } from '../envoy-json.ts'
import { virtualHostName } from '../names.ts'
import { servedHosts } from './host-pattern.ts'
import { mergeRules } from './merge-rules.ts'
import { routesOfRule } from './route-json.ts'

/** The route configuration of a listener, or of the sidecars: a virtual host for each host, with the rules of all its Routes. */
export function buildRouteConfiguration(input: RouteConfigurationInput): RouteConfigurationOutput {
  const { name, hosts, routes, services, defaults } = input
  const byHost = new Map<string, KindDocument<RouteForm>[]>()
  for (const route of routes) {
    for (const host of servedHosts(route.form.hosts, hosts)) byHost.set(host, [...(byHost.get(host) ?? []), route])
  }
  const virtualHosts = [...byHost]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(
      ([host, attached]): EnvoyJson => ({
        name: virtualHostName(host),
        domains: [host],
        routes: mergeRules(attached).flatMap((rule) => routesOfRule(rule, services, defaults.timeout)),
      }),
    )
  return {
    json: {
      name,
      virtual_hosts: virtualHosts,
      // A plain `cart` would answer 404 to `Host: cart:8080`.
      ignore_port_in_host_matching: true,
      // The server has checked them, and Envoy would ask for an order that the protocol does not promise.
      validate_clusters: false,
      most_specific_header_mutations_wins: true,
    },
    filters: new Set(),
    fallbacks: [],
    services: [...new Set([...byHost.values()].flat().flatMap(servicesOf))].sort(),
    problems: [],
  }
}

/** The Services that a Route names. */
function servicesOf({ form }: KindDocument<RouteForm>): readonly string[] {
  return form.rules.flatMap(({ action }) =>
    action.kind === 'forward' ? action.backends.map(({ service }) => service) : [],
  )
}
