/** The resource types of xDS: their type URLs and what the protocol says of each. */

/** A type URL as it stands on the wire: `type.googleapis.com/envoy.config.cluster.v3.Cluster`. */
export type TypeUrl = string

export const typeUrlPrefix = 'type.googleapis.com/'

export interface ResourceType {
  /** The short word that people type and read: `cluster`, `route`. */
  readonly word: string
  readonly typeUrl: TypeUrl
  /** What operators call its service: `CDS`. */
  readonly service: string
  /** The type's own gRPC service: full name and the methods that it has. */
  readonly grpc?: { readonly service: string; readonly sotw?: string; readonly delta?: string }
  /** The REST path: `/v3/discovery:clusters`. */
  readonly rest?: string
  /** SotW responses must hold the full state, and absence is removal (protocol page, "Grouping Resources into Responses"). */
  readonly isFullState: boolean
  /** An empty first request subscribes to everything (LDS, CDS and the others whose client is a wildcard by design). */
  readonly isWildcardByDefault: boolean
  /** Defined for the delta protocol only. */
  readonly isDeltaOnly: boolean
}

function resourceType(
  word: string,
  message: string,
  service: string,
  grpc: { readonly service: string; readonly sotw?: string; readonly delta?: string } | undefined,
  rest: string | undefined,
  flags: { fullState?: boolean; wildcard?: boolean; deltaOnly?: boolean } = {},
): ResourceType {
  return {
    word,
    typeUrl: `${typeUrlPrefix}${message}`,
    service,
    ...(grpc && { grpc }),
    ...(rest && { rest }),
    isFullState: flags.fullState ?? false,
    isWildcardByDefault: flags.wildcard ?? true,
    isDeltaOnly: flags.deltaOnly ?? false,
  }
}

export type ResourceWord =
  | 'cluster'
  | 'endpoint'
  | 'secret'
  | 'extension'
  | 'runtime'
  | 'listener'
  | 'scopedRoute'
  | 'route'
  | 'virtualHost'
  | 'localityEndpoint'

/** Every type that Envoy subscribes to, in the order in which additions are sent (rules 68, 78). */
export const resourceTypes: Readonly<Record<ResourceWord, ResourceType>> = {
  cluster: resourceType(
    'cluster',
    'envoy.config.cluster.v3.Cluster',
    'CDS',
    { service: 'envoy.service.cluster.v3.ClusterDiscoveryService', sotw: 'StreamClusters', delta: 'DeltaClusters' },
    '/v3/discovery:clusters',
    { fullState: true },
  ),
  endpoint: resourceType(
    'endpoint',
    'envoy.config.endpoint.v3.ClusterLoadAssignment',
    'EDS',
    { service: 'envoy.service.endpoint.v3.EndpointDiscoveryService', sotw: 'StreamEndpoints', delta: 'DeltaEndpoints' },
    '/v3/discovery:endpoints',
  ),
  secret: resourceType(
    'secret',
    'envoy.extensions.transport_sockets.tls.v3.Secret',
    'SDS',
    { service: 'envoy.service.secret.v3.SecretDiscoveryService', sotw: 'StreamSecrets', delta: 'DeltaSecrets' },
    '/v3/discovery:secrets',
  ),
  extension: resourceType(
    'extension',
    'envoy.config.core.v3.TypedExtensionConfig',
    'ECDS',
    {
      service: 'envoy.service.extension.v3.ExtensionConfigDiscoveryService',
      sotw: 'StreamExtensionConfigs',
      delta: 'DeltaExtensionConfigs',
    },
    '/v3/discovery:extension_configs',
  ),
  runtime: resourceType(
    'runtime',
    'envoy.service.runtime.v3.Runtime',
    'RTDS',
    { service: 'envoy.service.runtime.v3.RuntimeDiscoveryService', sotw: 'StreamRuntime', delta: 'DeltaRuntime' },
    '/v3/discovery:runtime',
  ),
  listener: resourceType(
    'listener',
    'envoy.config.listener.v3.Listener',
    'LDS',
    { service: 'envoy.service.listener.v3.ListenerDiscoveryService', sotw: 'StreamListeners', delta: 'DeltaListeners' },
    '/v3/discovery:listeners',
    { fullState: true },
  ),
  scopedRoute: resourceType(
    'scopedRoute',
    'envoy.config.route.v3.ScopedRouteConfiguration',
    'SRDS',
    {
      service: 'envoy.service.route.v3.ScopedRoutesDiscoveryService',
      sotw: 'StreamScopedRoutes',
      delta: 'DeltaScopedRoutes',
    },
    '/v3/discovery:scoped-routes',
    { fullState: true },
  ),
  route: resourceType(
    'route',
    'envoy.config.route.v3.RouteConfiguration',
    'RDS',
    { service: 'envoy.service.route.v3.RouteDiscoveryService', sotw: 'StreamRoutes', delta: 'DeltaRoutes' },
    '/v3/discovery:routes',
  ),
  virtualHost: resourceType(
    'virtualHost',
    'envoy.config.route.v3.VirtualHost',
    'VHDS',
    { service: 'envoy.service.route.v3.VirtualHostDiscoveryService', delta: 'DeltaVirtualHosts' },
    undefined,
    { wildcard: false, deltaOnly: true },
  ),
  localityEndpoint: resourceType(
    'localityEndpoint',
    'envoy.config.endpoint.v3.LbEndpoint',
    'LEDS',
    {
      service: 'envoy.service.endpoint.v3.LocalityEndpointDiscoveryService',
      delta: 'DeltaLocalityEndpoints',
    },
    undefined,
    { wildcard: false, deltaOnly: true },
  ),
}

const byUrl: ReadonlyMap<TypeUrl, ResourceType> = new Map(
  Object.values(resourceTypes).map((type): [TypeUrl, ResourceType] => [type.typeUrl, type]),
)

/** The type's row, or undefined for a type that this table does not know (it is still served: rule 106). */
export function resourceTypeOf(typeUrl: TypeUrl): ResourceType | undefined {
  return byUrl.get(typeUrl)
}

const { endpoint, secret, runtime, localityEndpoint } = resourceTypes
const leaves: ReadonlySet<TypeUrl> = new Set([endpoint, secret, runtime, localityEndpoint].map((type) => type.typeUrl))

/** A resource of this type may name others: as long as a client holds it, they must be there. */
export function canName(typeUrl: TypeUrl): boolean {
  return !leaves.has(typeUrl)
}

/** The short word of a type, for people: `cluster`; of a kind of ours its name; else the message's name. */
export function wordOf(typeUrl: TypeUrl): string {
  const word = byUrl.get(typeUrl)?.word
  if (word !== undefined) return word
  return isOwnType(typeUrl) ? typeUrl.slice(ownTypePrefix.length) : messageNameOf(typeUrl)
}

/** Our own messages as type URLs. They are units of configuration, and are never sent to a client. */
const ownTypePrefix = `${typeUrlPrefix}fairlead.v1.`

export function ownTypeUrl(kind: string): TypeUrl {
  return ownTypePrefix + kind
}

export function isOwnType(typeUrl: TypeUrl): boolean {
  return typeUrl.startsWith(ownTypePrefix)
}

/** `envoy.config.cluster.v3.Cluster` of `type.googleapis.com/envoy.config.cluster.v3.Cluster`. */
export function messageNameOf(typeUrl: TypeUrl): string {
  return typeUrl.slice(typeUrl.lastIndexOf('/') + 1)
}
