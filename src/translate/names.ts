/** What generated resources are called. Names are promises: statistics, dashboards and raw resources build on them. */

/** A Service's cluster and assignment: `cart`; of one of its versions `cart/v2`. */
export function clusterName(service: string, version?: string): string {
  return version === undefined ? service : `${service}/${version}`
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
