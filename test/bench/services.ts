import { resourceTypes } from '../../src/resource/type-url.ts'

/** Addresses per service. */
const endpointsPerService = 10

/** Services behind one listener and its route configuration. */
const servicesPerListener = 100

const { cluster, endpoint, listener, route } = resourceTypes
const network = 'type.googleapis.com/envoy.extensions.filters'

/** The types that a client asks for, in the order in which its answers can come. */
export const benchTypes: readonly string[] = [cluster.typeUrl, endpoint.typeUrl, listener.typeUrl, route.typeUrl]

export const serviceName = (index: number): string => `service-${String(index).padStart(5, '0')}`

/** The names that a client of `services` services asks for, by type; clusters and listeners by wildcard. */
export function askedNames(services: number): Readonly<Record<string, readonly string[]>> {
  const listeners = Math.ceil(services / servicesPerListener)
  return {
    [cluster.typeUrl]: [],
    [endpoint.typeUrl]: Array.from({ length: services }, (_, index) => serviceName(index)),
    [listener.typeUrl]: [],
    [route.typeUrl]: Array.from({ length: listeners }, (_, index) => `routes-${index}`),
  }
}

/** The documents of a mesh of so many services: one per service, and one per hundred for a listener and its routes. */
export function meshDocuments(services: number): Record<string, string> {
  const documents: Record<string, string> = {}
  for (let index = 0; index < services; index++) documents[serviceId(index)] = serviceText(index, 0)
  for (let first = 0; first < services; first += servicesPerListener) {
    const members = Array.from({ length: Math.min(servicesPerListener, services - first) }, (_, at) => first + at)
    const index = first / servicesPerListener
    documents[`listeners/${index}.yaml`] = listenerText(index, members)
  }
  return documents
}

/** One service, one of its endpoints moved: every `change` gives another text of the same length. */
export function changedService(services: number, change: number): { readonly id: string; readonly text: string } {
  const index = change % services
  return { id: serviceId(index), text: serviceText(index, 1 + (change % 8000)) }
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
    `'@type': ${cluster.typeUrl}`,
    `name: ${name}`,
    'type: EDS',
    'connect_timeout: 1s',
    'eds_cluster_config: {eds_config: {ads: {}, resource_api_version: V3}}',
    '---',
    `'@type': ${endpoint.typeUrl}`,
    `cluster_name: ${name}`,
    'endpoints:',
    '- lb_endpoints:',
    ...endpoints,
    '',
  ].join('\n')
}

function listenerText(index: number, services: readonly number[]): string {
  const hosts = services.map((service) => {
    const name = serviceName(service)
    return `- {name: ${name}, domains: [${name}], routes: [{match: {prefix: /}, route: {cluster: ${name}}}]}`
  })
  return [
    `'@type': ${listener.typeUrl}`,
    `name: listener-${index}`,
    `address: {socket_address: {address: 127.0.0.1, port_value: ${20_000 + index}}}`,
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
    `'@type': ${route.typeUrl}`,
    `name: routes-${index}`,
    'virtual_hosts:',
    ...hosts,
    '',
  ].join('\n')
}
