/** Addresses per service. */
const endpointsPerService = 10

/** Services behind one listener and its route configuration. */
const servicesPerListener = 100

const types = 'type.googleapis.com/envoy.config'
export const clusterType: string = `${types}.cluster.v3.Cluster`
export const endpointType: string = `${types}.endpoint.v3.ClusterLoadAssignment`
export const listenerType: string = `${types}.listener.v3.Listener`
export const routeType: string = `${types}.route.v3.RouteConfiguration`
const network = 'type.googleapis.com/envoy.extensions.filters'

/** The types that a client asks for, in the order in which its answers can come. */
export const benchTypes: readonly string[] = [clusterType, endpointType, listenerType, routeType]

export const serviceName = (index: number): string => `service-${String(index).padStart(5, '0')}`

/** The names that a client of `services` services asks for, by type; clusters and listeners by wildcard. */
export function askedNames(services: number): Readonly<Record<string, readonly string[]>> {
  const listeners = Math.ceil(services / servicesPerListener)
  return {
    [clusterType]: [],
    [endpointType]: Array.from({ length: services }, (_, index) => serviceName(index)),
    [listenerType]: [],
    [routeType]: Array.from({ length: listeners }, (_, index) => `routes-${index}`),
  }
}

/**
 * The documents of a mesh of so many services: one per service, and one per hundred for a listener and its routes.
 * @param firstPort of the listeners, one after the other; 0: each proxy takes a free one
 */
export function meshDocuments(services: number, firstPort = 20_000): Record<string, string> {
  const documents: Record<string, string> = {}
  for (let index = 0; index < services; index++) documents[serviceId(index)] = serviceText(index, 0)
  for (let first = 0; first < services; first += servicesPerListener) {
    const members = Array.from({ length: Math.min(servicesPerListener, services - first) }, (_, at) => first + at)
    const index = first / servicesPerListener
    documents[`listeners/${index}.yaml`] = listenerText(index, members, firstPort === 0 ? 0 : firstPort + index)
  }
  return documents
}

/** One service, one of its endpoints moved: every `change`, negative too, gives another text of the same length. */
export function changedService(services: number, change: number): { readonly id: string; readonly text: string } {
  const index = Math.abs(change) % services
  return { id: serviceId(index), text: serviceText(index, 4000 + (change % 4000)) }
}

const serviceId = (index: number): string => `services/${serviceName(index)}.yaml`

function serviceText(index: number, change: number): string {
  const name = serviceName(index)
  const endpoints = Array.from({ length: endpointsPerService }, (_, at) => {
    const address = `10.${index >> 8}.${index & 255}.${at + 1}`
    const port = at === 0 ? 10_000 + change : 10_000
    return `  - endpoint: {address: {socket_address: {address: ${address}, port_value: ${port}}}}`
  })
  return [
    `'@type': ${clusterType}`,
    `name: ${name}`,
    'type: EDS',
    'connect_timeout: 1s',
    'eds_cluster_config: {eds_config: {ads: {}, resource_api_version: V3}}',
    '---',
    `'@type': ${endpointType}`,
    `cluster_name: ${name}`,
    'endpoints:',
    '- lb_endpoints:',
    ...endpoints,
    '',
  ].join('\n')
}

function listenerText(index: number, services: readonly number[], port: number): string {
  const hosts = services.map((service) => {
    const name = serviceName(service)
    return `- {name: ${name}, domains: [${name}], routes: [{match: {prefix: /}, route: {cluster: ${name}}}]}`
  })
  return [
    `'@type': ${listenerType}`,
    `name: listener-${index}`,
    `address: {socket_address: {address: 127.0.0.1, port_value: ${port}}}`,
    'filter_chains:',
    '- filters:',
    '  - name: http',
    '    typed_config:',
    `      '@type': ${network}.network.http_connection_manager.v3.HttpConnectionManager`,
    '      stat_prefix: http',
    `      rds: {route_config_name: routes-${index}, config_source: {ads: {}, resource_api_version: V3}}`,
    '      http_filters:',
    '      - name: router',
    `        typed_config: {'@type': ${network}.http.router.v3.Router}`,
    '---',
    `'@type': ${routeType}`,
    `name: routes-${index}`,
    'virtual_hosts:',
    ...hosts,
    '',
  ].join('\n')
}
