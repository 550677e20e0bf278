import {
  type BalanceConfig,
  type CommonBalance,
  defaultCommonBalance,
  readBalance,
  readCommonBalance,
} from '../balance/balance-config.ts'
import { ConfigRejection } from '../config/config-rejection.ts'
import { type ConfigSourceConfig, readConfigSource } from '../config/config-source.ts'
import { FieldReader, type JsonObject } from '../config/field-reader.ts'
import { type HealthCheckConfig, readHealthCheck } from '../health/health-check-config.ts'
import { type OutlierConfig, readOutlierConfig } from '../health/outlier-config.ts'
import {
  defaultHttpProtocolOptions,
  type HttpProtocolOptions,
  readHttpProtocolOptions,
} from '../upstream/http-protocol-options.ts'
import {
  rawTransport,
  readTcpKeepalive,
  readTransportSocketMatch,
  readUpstreamTransportSocket,
  type TcpKeepalive,
  type TransportSocketMatch,
  type UpstreamTransportConfig,
} from '../upstream/transport-socket-config.ts'
import { type Assignment, ensureAddresses, noAssignment, readAssignment } from './assignment.ts'
import { type CircuitBreakers, defaultBreakers, readCircuitBreakers } from './circuit-config.ts'
import { type DnsCacheConfig, type DnsConfig, readClusterDns, readDnsCacheConfig } from './dns-config.ts'

/** A cluster as its configuration says it; what it holds grows with what this proxy does. */
export interface ClusterConfig {
  readonly name: string
  /** What its stats are called; its name where nothing else is said. */
  readonly statName: string
  readonly connectTimeoutMs: number
  readonly members: Membership
  readonly balance: BalanceConfig
  readonly common: CommonBalance
  readonly healthChecks: readonly HealthCheckConfig[]
  readonly outlier: OutlierConfig | undefined
  readonly breakers: CircuitBreakers
  readonly transport: UpstreamTransportConfig
  readonly transportMatches: readonly TransportSocketMatch[]
  readonly http: HttpProtocolOptions
  readonly tcpKeepalive: TcpKeepalive | undefined
  /** Connections to a host that turns unhealthy are closed. */
  readonly closesConnectionsOnUnhealthy: boolean
  /** A host that is no member any more goes at once, though checks find it healthy. */
  readonly ignoresHealthOnRemoval: boolean
  /** Whether the proxy's start waits for it. */
  readonly isWaitedForOnInit: boolean
}

/** Where a cluster's hosts come from. */
export type Membership =
  | { readonly by: 'static'; readonly assignment: Assignment }
  | { readonly by: 'eds'; readonly resourceName: string; readonly source: ConfigSourceConfig }
  | { readonly by: 'strict dns' | 'logical dns'; readonly assignment: Assignment; readonly dns: DnsConfig }
  | { readonly by: 'dynamic forward proxy'; readonly cache: DnsCacheConfig }
  | { readonly by: 'aggregate'; readonly clusters: readonly string[] }

const envoysConnectTimeoutMs = 5000

/** Read once for as long as anybody holds the resource, however many proxies were sent it. */
const known = new WeakMap<JsonObject, ClusterConfig>()

/**
 * `envoy.config.cluster.v3.Cluster`
 * @throws ConfigRejection
 */
export function parseClusterConfig(json: JsonObject): ClusterConfig {
  const before = known.get(json)
  if (before !== undefined) return before
  const config = FieldReader.read(json, readCluster)
  known.set(json, config)
  return config
}

function readCluster(fields: FieldReader): ClusterConfig {
  const name = fields.string('name')
  const statName = fields.string('alt_stat_name')
  const common = fields.message('common_lb_config', readCommonBalance) ?? defaultCommonBalance
  const balance = readBalance(fields, common)
  const members = readMembership(fields, name)
  fields.ignore('per_connection_buffer_limit_bytes', 'what Node buffers of a stream is bounded by itself')
  fields.ignore('metadata', 'nothing of it is asked for')
  const healthChecks = fields.list('health_checks', readHealthCheck)
  if (healthChecks.length > 1) throw new ConfigRejection('health_checks: more than one is not supported')
  ensureProvided(name, members, balance)
  return {
    name,
    statName: statName === '' ? name : statName,
    connectTimeoutMs: fields.durationMs('connect_timeout') ?? envoysConnectTimeoutMs,
    members,
    balance,
    common,
    healthChecks,
    outlier: fields.message('outlier_detection', readOutlierConfig),
    breakers: fields.message('circuit_breakers', readCircuitBreakers) ?? defaultBreakers,
    transport: fields.message('transport_socket', readUpstreamTransportSocket) ?? rawTransport,
    transportMatches: fields.list('transport_socket_matches', readTransportSocketMatch),
    http:
      fields
        .anyMap('typed_extension_protocol_options', {
          'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': readHttpProtocolOptions,
        })
        .get('envoy.extensions.upstreams.http.v3.HttpProtocolOptions') ?? defaultHttpProtocolOptions,
    tcpKeepalive: fields.message('upstream_connection_options', (options) =>
      options.message('tcp_keepalive', readTcpKeepalive),
    ),
    closesConnectionsOnUnhealthy: fields.flag('close_connections_on_host_health_failure'),
    ignoresHealthOnRemoval: fields.flag('ignore_health_on_host_removal'),
    isWaitedForOnInit: fields.flag('wait_for_warm_on_init', true),
  }
}

/** @throws ConfigRejection in Envoy's words where the kind of the cluster has a balancer of its own, or should have */
function ensureProvided(name: string, { by }: Membership, { policy }: BalanceConfig): void {
  const isProvided = by === 'dynamic forward proxy' || by === 'aggregate'
  if (isProvided === (policy === 'cluster provided')) return
  const problem = isProvided ? 'not specified but' : 'specified but'
  const did = isProvided ? 'provided one' : 'did not provide one'
  throw new ConfigRejection(
    `cluster manager: cluster provided LB ${problem} cluster '${name}' ${did}. Check cluster documentation.`,
  )
}

/** `type`, or `cluster_type` for what is an extension of Envoy's. */
function readMembership(fields: FieldReader, name: string): Membership {
  const custom = fields.message('cluster_type', (type) => {
    type.ignore('name', 'the type of its configuration says it')
    return type.any('typed_config', customTypes)
  })
  if (custom !== undefined) return custom
  const type = fields.choice('type', ['STATIC', 'STRICT_DNS', 'LOGICAL_DNS', 'EDS', 'ORIGINAL_DST'])
  // Its balancer, which it alone has, would be the first that is refused.
  if (type === 'ORIGINAL_DST') throw new ConfigRejection('type: ORIGINAL_DST is not supported')
  if (type === 'EDS') return readEds(fields, name)
  const assignment = fields.message('load_assignment', readAssignment) ?? noAssignment
  if (type !== 'STATIC') return readDns(fields, type, assignment)
  ensureAddresses(assignment)
  return { by: 'static', assignment }
}

function readEds(fields: FieldReader, name: string): Membership {
  const eds = fields.message('eds_cluster_config', (of) => ({
    resourceName: of.string('service_name'),
    source: of.message('eds_config', readConfigSource),
  }))
  if (eds?.source === undefined) throw new ConfigRejection('cannot create an EDS cluster without an EDS config')
  return { by: 'eds', resourceName: eds.resourceName === '' ? name : eds.resourceName, source: eds.source }
}

/** @throws ConfigRejection in Envoy's words for what a cluster of one host that DNS gives may not have */
function readDns(fields: FieldReader, type: 'STRICT_DNS' | 'LOGICAL_DNS', assignment: Assignment): Membership {
  const dns = readClusterDns(fields)
  if (type === 'STRICT_DNS') return { by: 'strict dns', assignment, dns }
  const count = assignment.groups.reduce((sum, { endpoints }) => sum + endpoints.length, 0)
  if (assignment.groups.length !== 1 || count !== 1) {
    throw new ConfigRejection('LOGICAL_DNS clusters must have a single locality_lb_endpoint and a single lb_endpoint')
  }
  return { by: 'logical dns', assignment, dns }
}

const customTypes = {
  'envoy.extensions.clusters.aggregate.v3.ClusterConfig': (fields: FieldReader): Membership => ({
    by: 'aggregate',
    clusters: fields.strings('clusters'),
  }),
  'envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig': (fields: FieldReader): Membership => ({
    by: 'dynamic forward proxy',
    cache: fields.message('dns_cache_config', readDnsCacheConfig) as DnsCacheConfig,
  }),
}
