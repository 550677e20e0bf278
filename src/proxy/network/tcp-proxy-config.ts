import { type AccessLogConfig, readAccessLog } from '../access-log/access-log.ts'
import type { FieldReader } from '../config/field-reader.ts'
import { readMetadata } from '../config/metadata.ts'

/** `envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy` */
export interface TcpProxyConfig {
  readonly statPrefix: string
  /** One of them is chosen for each connection, by its weight. */
  readonly clusters: readonly WeightedCluster[]
  /** Undefined: a connection may be silent for ever. */
  readonly idleTimeoutMs: number | undefined
  readonly maxDurationMs: number | undefined
  readonly maxConnectAttempts: number
  readonly hashesSourceIp: boolean
  readonly accessLogs: readonly (AccessLogConfig | undefined)[]
}

export interface WeightedCluster {
  readonly name: string
  readonly weight: number
  /** `envoy.lb` metadata that hosts must have. */
  readonly metadataMatch: Readonly<Record<string, unknown>> | undefined
}

const oneHour = 3_600_000

export function readTcpProxy(fields: FieldReader): TcpProxyConfig {
  const metadataMatch = readMatch(fields)
  const cluster = fields.string('cluster')
  const weighted = fields.message('weighted_clusters', (all) =>
    all.list('clusters', (one) => {
      const own = readMatch(one)
      return {
        name: one.string('name'),
        weight: one.number('weight') ?? 0,
        metadataMatch: own === undefined ? metadataMatch : { ...metadataMatch, ...own },
      }
    }),
  )
  const idleTimeoutMs = fields.durationMs('idle_timeout') ?? oneHour
  return {
    statPrefix: fields.string('stat_prefix'),
    clusters: weighted ?? [{ name: cluster, weight: 1, metadataMatch }],
    // Zero switches it off.
    idleTimeoutMs: idleTimeoutMs === 0 ? undefined : idleTimeoutMs,
    maxDurationMs: fields.durationMs('max_downstream_connection_duration'),
    maxConnectAttempts: fields.number('max_connect_attempts') ?? 1,
    hashesSourceIp: fields
      .list('hash_policy', (policy) => policy.message('source_ip', () => true) ?? false)
      .some((isSourceIp) => isSourceIp),
    accessLogs: fields.list('access_log', readAccessLog),
  }
}

function readMatch(fields: FieldReader): Readonly<Record<string, unknown>> | undefined {
  return fields.message('metadata_match', readMetadata)?.['envoy.lb']
}
