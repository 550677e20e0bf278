/** What generated resources are called. Names are promises: statistics, dashboards and raw resources build on them. */

/** A Service's cluster and assignment: `cart`; of one of its versions `cart/v2`. */
export function clusterName(service: string, version?: string): string {
  return version === undefined ? service : `${service}/${version}`
}

/** What has a cluster of that name. */
export function partOfCluster(name: string): { readonly service: string; readonly version?: string } {
  const slash = name.indexOf('/')
  return slash < 0 ? { service: name } : { service: name.slice(0, slash), version: name.slice(slash + 1) }
}

/** A Gateway's listener, and the route configuration that it asks for: `edge/http`. */
export function gatewayListenerName(gateway: string, listener: string): string {
  return `${gateway}/${listener}`
}

/** By its host: `cart`, `*.shop.example`; `*` is `any`. */
export function virtualHostName(host: string): string {
  return host === '*' ? 'any' : host
}

/** `<Route>/<rule>`, and `/<n>` where one rule becomes several routes: what `x-envoy-…`, logs and statistics say. */
export function routeName(route: string, rule: string | number, part?: number): string {
  return part === undefined ? `${route}/${rule}` : `${route}/${rule}/${part}`
}

/** A cluster that falls back from each of its members to the next: `cart/v1+cart/v2+cart-static`. */
export function fallbackName(members: readonly string[]): string {
  return members.join('+')
}

/** The route configuration of all sidecars that may call every Service. */
export const sharedOutbound = 'mesh/outbound'

/** Where requests for a workload come in: `cart/inbound`; for another than the Sidecar's own Service `host-1/inbound/cart`. */
export function inboundName(sidecar: string, service?: string): string {
  return service === undefined ? `${sidecar}/inbound` : `${sidecar}/inbound/${service}`
}

/** The cluster of the workload itself: `cart/app`, `host-1/app/cart`. */
export function appName(sidecar: string, service?: string): string {
  return service === undefined ? `${sidecar}/app` : `${sidecar}/app/${service}`
}

/** A Sidecar's outbound listener and its own routes: `cart/outbound`; for one address and port `cart/outbound/80`. */
export function outboundName(sidecar: string, at?: string): string {
  return at === undefined ? `${sidecar}/outbound` : `${sidecar}/outbound/${at}`
}

/** The cluster by which hosts of no Service are reached where they were: `mesh/passthrough`. */
export function passthroughName(owner: string): string {
  return `${owner}/passthrough`
}

/** The cluster by which hosts outside are reached that `egress` lists: `mesh/egress`, `cart/egress`, a Gateway's `out/egress`. */
export function egressName(owner: string): string {
  return `${owner}/egress`
}

/** The assignment by which a proxy of a Service knows its peers, and so how their zones compare: `cart/local`. */
export function peersName(service: string): string {
  return `${service}/local`
}
