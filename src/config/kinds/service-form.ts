import type { Address, Hash, Http2, Labels, Ms, NamedForm, Percent } from './common-form.ts'

/** What a Service says, or a version of it, or the Mesh for all of them. */
export interface ServicePolicy {
  readonly loadBalancing?: LoadBalancing
  readonly healthCheck?: HealthCheck
  readonly outlierDetection?: OutlierDetection | 'off'
  readonly circuitBreaker?: CircuitBreaker
  readonly connectionPool?: ConnectionPool
  readonly tls?: UpstreamTls
  readonly proxyProtocol?: 'v1' | 'v2'
}

export type ServiceProtocol = 'http' | 'http2' | 'grpc' | 'tcp' | 'tls'

export interface ServiceForm extends NamedForm<'Service'>, ServicePolicy {
  /** `http` where the document does not say. */
  readonly protocol: ServiceProtocol
  /** The port that callers use. */
  readonly port?: number
  /** The IP address that callers connect to. */
  readonly address?: string
  /** Further names that callers use, beside the Service's own; in lower case, without ports. */
  readonly hosts?: readonly string[]
  readonly endpoints?: readonly Endpoint[]
  readonly dns?: Address & { readonly mode?: 'strict' | 'logical' }
  /** The name is the Service's where the document does not say. */
  readonly registry?: { readonly name: string }
  readonly versions?: readonly Version[]
}

export interface Version {
  readonly name: string
  readonly labels: Labels
  readonly policy?: ServicePolicy
}

export interface Endpoint {
  /** An IP address or a host name. */
  readonly address: string
  readonly port: number
  readonly labels?: Labels
  readonly region?: string
  readonly zone?: string
  readonly subZone?: string
  readonly weight?: number
  readonly priority?: number
  readonly health?: 'healthy' | 'unhealthy' | 'draining' | 'degraded'
  readonly healthPort?: number
  readonly hostname?: string
}

export interface LoadBalancing {
  readonly policy?: 'least-request' | 'round-robin' | 'random' | 'ring-hash' | 'maglev' | 'orca'
  readonly slowStart?: Ms
  readonly zoneAware?: boolean
  readonly zoneMinEndpoints?: number
  /** Zone to weight. */
  readonly localityWeights?: Readonly<Record<string, number>>
  /** Regions in order. */
  readonly failover?: readonly string[]
  readonly panic?: Percent
  readonly choices?: number
  readonly hash?: Hash
}

export interface HealthCheck {
  readonly http?: { readonly path: string; readonly host?: string; readonly statuses?: readonly string[] }
  /** By a connection. */
  readonly tcp?: true
  readonly grpc?: { readonly service?: string }
  readonly interval?: Ms
  readonly timeout?: Ms
  readonly unhealthyAfter?: number
  readonly healthyAfter?: number
  readonly port?: number
}

export interface OutlierDetection {
  readonly consecutive5xx?: number
  readonly consecutiveGatewayErrors?: number
  readonly interval?: Ms
  readonly ejectionTime?: Ms
  readonly maxEjectionTime?: Ms
  readonly maxEjected?: Percent
  readonly successRate?: Percent
}

export interface CircuitBreaker {
  readonly maxConnections?: number
  readonly maxPendingRequests?: number
  readonly maxRequests?: number
  readonly maxRetries?: number
  readonly retryBudget?: { readonly percent: Percent; readonly min?: number }
}

export interface ConnectionPool {
  readonly connectTimeout?: Ms
  readonly idleTimeout?: Ms
  readonly maxRequestsPerConnection?: number
  readonly maxConnectionAge?: Ms
  readonly http2?: Http2
  readonly tcpKeepalive?: Ms
}

export interface UpstreamTls {
  readonly sni?: string
  /** Name of a Secret with a CA. */
  readonly ca?: string
  /** Name of a Secret with a certificate to show. */
  readonly secret?: string
  /** Names that the server's certificate may have. */
  readonly verify?: readonly string[]
}
