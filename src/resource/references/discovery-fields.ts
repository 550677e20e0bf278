import type { ReflectMessage } from '@bufbuild/protobuf/reflect'
import type { PathSegment } from '../tree-path.ts'
import { resourceTypes, type TypeUrl, typeUrlPrefix } from '../type-url.ts'

/** A name that a message holds, and where in that message. */
export interface Naming {
  readonly typeUrl: TypeUrl
  readonly name: string
  /** The field that holds it, as a path from the message. */
  readonly at: readonly PathSegment[]
}

/** What one message itself (not those below it) refers to. `isRoot`: it is the resource, nothing encloses it. */
export type NamingRule = (message: ReflectMessage, isRoot: boolean) => Naming[]

const network = 'envoy.extensions.filters.network'

/** Messages that subscribe to a resource by name, by their type. */
export const discoveryFields: Readonly<Record<string, NamingRule>> = {
  'envoy.config.cluster.v3.Cluster': endpointsOfCluster,
  'envoy.config.route.v3.ScopedRouteConfiguration': (message, isRoot) =>
    // In a listener, the list's own config source decides: see ScopedRoutes.
    isRoot ? named(message, 'route_configuration_name', resourceTypes.route.typeUrl) : [],
  [`${network}.http_connection_manager.v3.ScopedRoutes`]: routesOfInlineScopes,
  [`${network}.http_connection_manager.v3.Rds`]: discovered('route_config_name', resourceTypes.route.typeUrl),
  [`${network}.thrift_proxy.v3.Trds`]: discovered(
    'route_config_name',
    `${typeUrlPrefix}${network}.thrift_proxy.v3.RouteConfiguration`,
  ),
  [`${network}.dubbo_proxy.v3.Drds`]: discovered(
    'route_config_name',
    `${typeUrlPrefix}${network}.dubbo_proxy.v3.MultipleRouteConfiguration`,
  ),
  [`${network}.generic_proxy.v3.GenericRds`]: discovered(
    'route_config_name',
    `${typeUrlPrefix}${network}.generic_proxy.v3.RouteConfiguration`,
  ),
  'envoy.extensions.transport_sockets.tls.v3.SdsSecretConfig': (message) => {
    // Without a source, the name is that of a secret in the bootstrap.
    const source = child(message, 'sds_config')
    return source && isOurs(source) ? named(message, 'name', resourceTypes.secret.typeUrl) : []
  },
  'envoy.extensions.transport_sockets.tls.cert_selectors.on_demand_secret.v3.Config': (message) => {
    const source = child(message, 'config_source')
    if (!source || !isOurs(source)) return []
    return texts(message, 'prefetch_secret_names').map((name, index) => ({
      typeUrl: resourceTypes.secret.typeUrl,
      name,
      at: ['prefetch_secret_names', index],
    }))
  },
}

/**
 * The name by which a filter subscribes to its configuration: its own. For every message with a `name` beside a
 * `config_discovery` (HTTP, network, listener, UDP session and composite filters).
 */
export function extensionOfFilter(message: ReflectMessage): Naming[] {
  const discovery = child(message, 'config_discovery')
  const source = discovery && child(discovery, 'config_source')
  return source && isOurs(source) ? named(message, 'name', resourceTypes.extension.typeUrl) : []
}

function endpointsOfCluster(cluster: ReflectMessage): Naming[] {
  if (!isEdsCluster(cluster)) return []
  const eds = child(cluster, 'eds_cluster_config')
  const source = eds && child(eds, 'eds_config')
  if (source && !isOurs(source)) return []
  const typeUrl = resourceTypes.endpoint.typeUrl
  const name = eds ? text(eds, 'service_name') : ''
  return name === '' ? named(cluster, 'name', typeUrl) : [{ typeUrl, name, at: ['eds_cluster_config', 'service_name'] }]
}

function isEdsCluster(cluster: ReflectMessage): boolean {
  const custom = child(cluster, 'cluster_type')
  if (custom) return text(custom, 'name') === 'envoy.cluster.eds'
  const type = fieldOf(cluster, 'type')
  return type?.enum !== undefined && cluster.isSet(type) && type.enum.value[cluster.get(type) as number]?.name === 'EDS'
}

/** Scopes written in a listener: their route configurations come from the source that stands beside the list. */
function routesOfInlineScopes(scopedRoutes: ReflectMessage): Naming[] {
  const source = child(scopedRoutes, 'rds_config_source')
  const list = child(scopedRoutes, 'scoped_route_configurations_list')
  const scopes = list && fieldOf(list, 'scoped_route_configurations')
  if (!list || !scopes || (source && !isOurs(source))) return []
  return [...(list.get(scopes) as Iterable<ReflectMessage>)].flatMap((scope, index) =>
    named(scope, 'route_configuration_name', resourceTypes.route.typeUrl).map((naming) => ({
      ...naming,
      at: ['scoped_route_configurations_list', 'scoped_route_configurations', index, ...naming.at],
    })),
  )
}

function discovered(nameField: string, typeUrl: TypeUrl): NamingRule {
  return (message) => {
    const source = child(message, 'config_source')
    return source && !isOurs(source) ? [] : named(message, nameField, typeUrl)
  }
}

/** Whether a ConfigSource leads back to this server: `ads`, or `self`; a file or another server is somebody else's. */
function isOurs(source: ReflectMessage): boolean {
  return ['ads', 'self'].some((name) => child(source, name) !== undefined)
}

function named(message: ReflectMessage, field: string, typeUrl: TypeUrl): Naming[] {
  return [{ typeUrl, name: text(message, field), at: [field] }]
}

function fieldOf(message: ReflectMessage, name: string): ReflectMessage['fields'][number] | undefined {
  return message.fields.find((field) => field.name === name)
}

function child(message: ReflectMessage, name: string): ReflectMessage | undefined {
  const field = fieldOf(message, name)
  return field?.fieldKind === 'message' && message.isSet(field) ? message.get(field) : undefined
}

function text(message: ReflectMessage, name: string): string {
  const field = fieldOf(message, name)
  return field ? (message.get(field) as string) : ''
}

function texts(message: ReflectMessage, name: string): string[] {
  const field = fieldOf(message, name)
  return field ? [...(message.get(field) as Iterable<string>)] : []
}
