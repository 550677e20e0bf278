import type { EnvoyConfigDump } from '../../support/envoy-process.ts'
import type { ProxyCount } from './suite.ts'

/** Which of Envoy's stats are summed up for a count. */
export function patternOf(what: ProxyCount): RegExp {
  if (what === 'connected') return /^control_plane\.connected_state$/
  if (what === 'rejections') return /\.update_rejected$/
  if (what === 'clusters changed') return /^cluster_manager\.cluster_modified$/
  if (what === 'listeners changed') return /^listener_manager\.listener_(modified|removed|in_place_updated)$/
  const name = statOf(what).replaceAll(/[^\w]/g, '\\$&')
  return new RegExp(`^${name}$`)
}

function statOf(what: Exclude<ProxyCount, string>): string {
  if ('requestsBy' in what) return `http.${what.requestsBy}.downstream_rq_total`
  if ('drainedBy' in what) return `http.${what.drainedBy}.downstream_cx_drain_close`
  if ('requestsTo' in what) return `cluster.${what.requestsTo}.upstream_rq_total`
  if ('retriesTo' in what) return `cluster.${what.retriesTo}.upstream_rq_retry`
  if ('refusedTo' in what) return `cluster.${what.refusedTo}.upstream_rq_pending_overflow`
  if ('connectionsTo' in what) return `cluster.${what.connectionsTo}.upstream_cx_active`
  if ('ejectedOf' in what) return `cluster.${what.ejectedOf}.outlier_detection.ejections_active`
  return `cluster.${what.healthyOf}.membership_healthy`
}

interface Versioned {
  readonly version_info: string
}

/** The lists of a config dump that hold what came by discovery. */
interface DynamicPart {
  readonly dynamic_active_clusters?: readonly (Versioned & { readonly cluster: Named })[]
  readonly dynamic_listeners?: readonly (Named & { readonly active_state?: Versioned })[]
  readonly dynamic_route_configs?: readonly (Versioned & { readonly route_config: Named })[]
}

interface Named {
  readonly name: string
}

/** The version of each cluster, listener and route configuration in a dump of Envoy's form. */
export function versionsIn({ configs }: EnvoyConfigDump): Readonly<Record<string, string>> {
  const found: Record<string, string> = {}
  for (const part of configs as readonly DynamicPart[]) {
    for (const { cluster, version_info } of part.dynamic_active_clusters ?? [])
      found[`cluster ${cluster.name}`] = version_info
    for (const { name, active_state } of part.dynamic_listeners ?? [])
      found[`listener ${name}`] = active_state?.version_info ?? 'not active'
    for (const { route_config, version_info } of part.dynamic_route_configs ?? [])
      found[`route ${route_config.name}`] = version_info
  }
  return found
}
