import type { RoutingPriority } from '../cluster/cluster.ts'
import type { FieldReader, ReadByType } from '../config/field-reader.ts'
import { type RuntimeFraction, readRuntimeFraction } from '../config/fraction.ts'
import { type ClusterChoice, type MetadataMatch, readMetadataMatch, readWeightedChoice } from './cluster-choice.ts'
import { type HashPolicy, readHashPolicy } from './hash-policy.ts'
import type { CompileFormat } from './header-changes.ts'
import { type PathRewrite, readPathRewrite, readSubstitution } from './path-rewrite.ts'
import { type RetryPolicy, readRetryPolicy } from './retry-policy.ts'
import type { PathMatch } from './route-match.ts'

/** A route that leads to a cluster. */
export interface ForwardAction {
  readonly kind: 'forward'
  readonly cluster: ClusterChoice
  /** What is answered where there is no such cluster. */
  readonly notFoundStatus: number
  readonly metadataMatch: MetadataMatch | undefined
  readonly pathRewrite: PathRewrite | undefined
  readonly hostRewrite: HostRewrite | undefined
  /** The authority that was asked for goes into `x-forwarded-host`. */
  readonly appendsForwardedHost: boolean
  /** Of the whole response, all tries together; 0 is none. */
  readonly timeoutMs: number
  /** Without any byte; undefined: the connection manager's. */
  readonly idleTimeoutMs: number | undefined
  readonly maxStreamDuration: MaxStreamDuration | undefined
  readonly retry: RetryPolicy | undefined
  readonly mirrors: readonly Mirror[] | undefined
  readonly priority: RoutingPriority
  readonly hashPolicies: readonly HashPolicy[]
  /** By type in lower case (`websocket`): whether it is allowed here; others are as the connection manager says. */
  readonly upgrades: ReadonlyMap<string, boolean>
  /** CONNECT ends here: what is within goes to the upstream as raw TCP. */
  readonly terminatesConnect: boolean
}

export type HostRewrite =
  | { readonly kind: 'literal'; readonly host: string }
  /** The host name of the endpoint that is chosen. */
  | { readonly kind: 'auto' }
  | { readonly kind: 'header'; readonly header: string }
  | { readonly kind: 'path'; readonly substitute: (path: string) => string }

export interface MaxStreamDuration {
  readonly maxMs: number | undefined
  /** A client's `grpc-timeout` counts, at most this long; 0: however long. */
  readonly grpcHeaderMaxMs: number | undefined
  readonly grpcHeaderOffsetMs: number
  /** Where it is said, the route's `timeout` is of no effect. */
  readonly replacesTimeout: boolean
}

/** A copy of the request goes there, and nobody waits for its response. */
export interface Mirror {
  readonly cluster: string
  /** The header that names it, where `cluster` is empty. */
  readonly header: string
  readonly share: RuntimeFraction | undefined
  /** `-shadow` behind the host. */
  readonly marksHost: boolean
}

const notFoundStatuses = {
  SERVICE_UNAVAILABLE: 503,
  NOT_FOUND: 404,
  INTERNAL_SERVER_ERROR: 500,
} as const

/** `envoy.config.route.v3.RouteAction`. */
export function readForwardAction(
  fields: FieldReader,
  match: PathMatch,
  compile: CompileFormat,
  perRoute: ReadByType<unknown>,
): ForwardAction {
  const grpc = readOldGrpcTimeout(fields)
  const upgrades = fields.list('upgrade_configs', (upgrade) => ({
    type: upgrade.string('upgrade_type').toLowerCase(),
    isEnabled: upgrade.flag('enabled', true),
    terminates: upgrade.message('connect_config', () => true) ?? false,
  }))
  return {
    kind: 'forward',
    cluster: readClusterChoice(fields, compile, perRoute),
    notFoundStatus:
      notFoundStatuses[
        fields.choice('cluster_not_found_response_code', ['SERVICE_UNAVAILABLE', 'NOT_FOUND', 'INTERNAL_SERVER_ERROR'])
      ],
    metadataMatch: fields.message('metadata_match', readMetadataMatch),
    pathRewrite: readPathRewrite(fields, match),
    hostRewrite: readHostRewrite(fields),
    appendsForwardedHost: fields.flag('append_x_forwarded_host'),
    timeoutMs: fields.durationMs('timeout') ?? 15_000,
    idleTimeoutMs: fields.durationMs('idle_timeout'),
    maxStreamDuration: fields.message('max_stream_duration', readMaxStreamDuration) ?? grpc,
    retry: fields.message('retry_policy', readRetryPolicy),
    mirrors: fields.has('request_mirror_policies') ? fields.list('request_mirror_policies', readMirror) : undefined,
    priority: fields.choice('priority', ['DEFAULT', 'HIGH']) === 'HIGH' ? 'high' : 'default',
    hashPolicies: fields.list('hash_policy', readHashPolicy),
    upgrades: new Map(upgrades.map(({ type, isEnabled }) => [type, isEnabled])),
    terminatesConnect: upgrades.some(({ terminates }) => terminates),
  }
}

function readClusterChoice(fields: FieldReader, compile: CompileFormat, perRoute: ReadByType<unknown>): ClusterChoice {
  const weighted = fields.message('weighted_clusters', (list) => readWeightedChoice(list, compile, perRoute))
  if (weighted !== undefined) return weighted
  if (fields.has('cluster_header')) return { kind: 'header', header: fields.string('cluster_header').toLowerCase() }
  return { kind: 'one', name: fields.string('cluster') }
}

function readHostRewrite(fields: FieldReader): HostRewrite | undefined {
  if (fields.has('host_rewrite_literal')) return { kind: 'literal', host: fields.string('host_rewrite_literal') }
  if (fields.flag('auto_host_rewrite')) return { kind: 'auto' }
  if (fields.has('host_rewrite_header')) {
    return { kind: 'header', header: fields.string('host_rewrite_header').toLowerCase() }
  }
  const substitute = fields.message('host_rewrite_path_regex', readSubstitution)
  return substitute && { kind: 'path', substitute }
}

function readMaxStreamDuration(fields: FieldReader): MaxStreamDuration {
  return {
    maxMs: fields.durationMs('max_stream_duration'),
    grpcHeaderMaxMs: fields.durationMs('grpc_timeout_header_max'),
    grpcHeaderOffsetMs: fields.durationMs('grpc_timeout_header_offset') ?? 0,
    replacesTimeout: true,
  }
}

/** `max_grpc_timeout` and `grpc_timeout_offset`, which `max_stream_duration` has replaced. */
function readOldGrpcTimeout(fields: FieldReader): MaxStreamDuration | undefined {
  const grpcHeaderMaxMs = fields.durationMs('max_grpc_timeout')
  const grpcHeaderOffsetMs = fields.durationMs('grpc_timeout_offset') ?? 0
  return grpcHeaderMaxMs === undefined
    ? undefined
    : { maxMs: undefined, grpcHeaderMaxMs, grpcHeaderOffsetMs, replacesTimeout: false }
}

/** `envoy.config.route.v3.RouteAction.RequestMirrorPolicy`. */
export function readMirror(fields: FieldReader): Mirror {
  fields.ignore('trace_sampled', 'it samples nothing itself')
  return {
    cluster: fields.string('cluster'),
    header: fields.string('cluster_header').toLowerCase(),
    share: fields.message('runtime_fraction', readRuntimeFraction),
    marksHost: !fields.flag('disable_shadow_host_suffix_append'),
  }
}
