import type { Cluster } from '../cluster/cluster.ts'
import { ClusterHost } from '../cluster/cluster-host.ts'
import type { ClusterManager } from '../cluster/cluster-manager.ts'
import type { Host } from '../cluster/host.ts'

/** Envoy's `/clusters`: a line for each thing that is known of a cluster, and of each of its hosts. */
export function clustersText({ all, dump }: Pick<ClusterManager, 'all' | 'dump'>): string {
  const statics = new Set(dump.static.map(({ name }) => name))
  const lines = [...all]
    .sort(byName)
    .flatMap(([name, cluster]) => [
      ...ofCluster(cluster, !statics.has(name)),
      ...[...cluster.hosts].flatMap((host) => ofHost(name, host)),
    ])
  return lines.map((line) => `${line}\n`).join('')
}

const byName = ([one]: readonly [string, Cluster], [other]: readonly [string, Cluster]): number =>
  one < other ? -1 : 1

function ofCluster({ name, config }: Cluster, isFromApi: boolean): readonly string[] {
  const { members, breakers } = config
  const limits = (['default', 'high'] as const).flatMap((priority) => {
    const { maxConnections, maxPendingRequests, maxRequests, maxRetries } = breakers.circuits[priority]
    return Object.entries({
      max_connections: maxConnections,
      max_pending_requests: maxPendingRequests,
      max_requests: maxRequests,
      max_retries: maxRetries,
    }).map(([limit, value]) => `${name}::${priority}_priority::${limit}::${value}`)
  })
  return [
    `${name}::observability_name::${config.statName}`,
    ...limits,
    `${name}::added_via_api::${isFromApi}`,
    ...(members.by === 'eds' ? [`${name}::eds_service_name::${members.resourceName}`] : []),
  ]
}

function ofHost(cluster: string, host: Host): readonly string[] {
  const { stats, locality } = host
  const facts = {
    cx_active: stats.cxActive,
    cx_connect_fail: stats.cxConnectFail,
    cx_total: stats.cxTotal,
    rq_active: stats.rqActive,
    rq_error: stats.rqError,
    rq_success: stats.rqSuccess,
    rq_timeout: stats.rqTimeout,
    rq_total: stats.rqTotal,
    hostname: host.hostname,
    health_flags: healthFlags(host),
    weight: host.weight,
    region: locality.region,
    zone: locality.zone,
    sub_zone: locality.subZone,
    canary: host.metadata['envoy.lb']?.['canary'] === true,
    priority: host.priority,
    // Success rates are Envoy's last interval of outlier detection, which this proxy does not keep.
    success_rate: -1,
    local_origin_success_rate: -1,
  }
  return Object.entries(facts).map(([fact, value]) => `${cluster}::${host.address}::${fact}::${value}`)
}

/** `healthy`, or all that speaks against it: `/failed_active_hc/failed_eds_health`. */
function healthFlags(host: Host): string {
  if (!(host instanceof ClusterHost)) return host.health === 'healthy' ? 'healthy' : `/${host.health}`
  const isUnhealthy = host.said === 'UNHEALTHY' || host.said === 'DRAINING' || host.said === 'TIMEOUT'
  const flags = [
    host.isFailing && '/failed_active_hc',
    host.isEjected && '/failed_outlier_check',
    isUnhealthy && '/failed_eds_health',
    host.isDegradedByCheck && '/degraded_active_hc',
    host.said === 'DEGRADED' && '/degraded_eds_health',
    host.isLeaving && '/pending_dynamic_removal',
    host.isUnchecked && '/pending_active_hc',
  ]
  return flags.filter((flag) => flag !== false).join('') || 'healthy'
}
