import { messageOf } from '../errors.ts'
import type { EnvoyApi } from '../resource/envoy-api.ts'
import { readBootstrapMessage, refuse } from './bootstrap-message.ts'
import { type DnsResolverConfig, readTypedResolver } from './cluster/dns-config.ts'
import { type AddressConfig, readAddress } from './config/address.ts'
import { ConfigRejection } from './config/config-rejection.ts'
import { type ConfigSourceConfig, readConfigSource } from './config/config-source.ts'
import { FieldReader, type JsonObject } from './config/field-reader.ts'
import { noLocality, readLocality } from './config/locality.ts'
import type { ProxyIdentity } from './proxy-context.ts'

/** What a proxy is started with, in Envoy's format. */
export interface Bootstrap {
  /** All of it, as it was read. */
  readonly content: JsonObject
  readonly identity: ProxyIdentity
  /** A `Node` message: what the control plane is told. */
  readonly node: object
  readonly admin: AddressConfig | undefined
  readonly clusters: readonly JsonObject[]
  readonly listeners: readonly JsonObject[]
  readonly secrets: readonly JsonObject[]
  readonly ads: AdsConfig | undefined
  /** Undefined: clusters are static. */
  readonly cds: ConfigSourceConfig | undefined
  readonly lds: ConfigSourceConfig | undefined
  /** The cluster of the proxy's peers. */
  readonly localCluster: string | undefined
  /** Undefined: the machine's name servers. */
  readonly dns: DnsResolverConfig | undefined
  /** The last wins. */
  readonly runtime: readonly RuntimeLayerConfig[]
}

export interface AdsConfig {
  readonly protocol: 'sotw' | 'delta'
  /** One of the static clusters. */
  readonly cluster: string
  /** Only the first request of a stream says who the proxy is. */
  readonly saysNodeOnce: boolean
  readonly pauses: PausesConfig
}

/** Between tries to open the stream: at random up to a bound, which doubles from the first to the longest. */
export interface PausesConfig {
  readonly firstMs: number
  readonly longestMs: number
}

export interface RuntimeLayerConfig {
  readonly name: string
  /** Of a layer that is told: empty until then. */
  readonly values: JsonObject
  /** What the control plane is asked for (RTDS). */
  readonly told: { readonly name: string; readonly source: ConfigSourceConfig } | undefined
}

/**
 * @param source YAML or JSON, or what either would be read as
 * @throws ControlPlaneError `config` that names every field which this proxy does not take, a line each.
 */
export function parseBootstrap(api: EnvoyApi, source: string | object): Bootstrap {
  const { json, node } = readBootstrapMessage(api, source)
  try {
    const { resources, ...read } = FieldReader.read(json, (fields) => readBootstrap(fields, node))
    return { content: json, ...read, ...resources }
  } catch (error) {
    if (!(error instanceof ConfigRejection)) throw error
    refuse(messageOf(error).split('; '))
    throw error
  }
}

const nobody: ProxyIdentity = { id: '', cluster: '', locality: noLocality }

type Resources = Pick<Bootstrap, 'clusters' | 'listeners' | 'secrets'>

const noResources: Resources = { clusters: [], listeners: [], secrets: [] }

function readBootstrap(
  fields: FieldReader,
  node: object,
): Omit<Bootstrap, keyof Resources | 'content'> & { readonly resources: Resources } {
  fields.ignore('watchdog', 'there are no threads that could hang')
  fields.ignore('watchdogs', 'there are no threads that could hang')
  fields.ignore('stats_flush_interval', 'stats are always up to date')
  fields.ignore('enable_dispatcher_stats', 'there is no dispatcher to be measured')
  fields.ignore('default_regex_engine', 'RE2 is the only engine')
  const dynamic = fields.message('dynamic_resources', readDynamic)
  const identity = fields.message('node', readIdentity) ?? nobody
  if (dynamic?.ads !== undefined && (identity.id === '' || identity.cluster === '')) {
    fields.refuse('node', "'id' and 'cluster' are required where there is a control plane")
  }
  return {
    identity,
    node,
    admin: fields.message('admin', readAdmin),
    resources: fields.message('static_resources', readResources) ?? noResources,
    ads: dynamic?.ads,
    cds: dynamic?.cds,
    lds: dynamic?.lds,
    localCluster: fields.message('cluster_manager', (manager) => manager.string('local_cluster_name')),
    dns: fields.message('typed_dns_resolver_config', readTypedResolver),
    runtime: fields.message('layered_runtime', (layered) => layered.list('layers', readLayer)) ?? [],
  }
}

function readIdentity(fields: FieldReader): ProxyIdentity {
  for (const name of ['metadata', 'client_features', 'user_agent_name', 'user_agent_version', 'extensions']) {
    fields.ignore(name, 'for the control plane only')
  }
  for (const name of ['user_agent_build_version', 'dynamic_parameters', 'listening_addresses']) {
    fields.ignore(name, 'for the control plane only')
  }
  return {
    id: fields.string('id'),
    cluster: fields.string('cluster'),
    locality: fields.message('locality', readLocality) ?? noLocality,
  }
}

function readAdmin(fields: FieldReader): AddressConfig | undefined {
  fields.ignore('access_log', 'who looks at a proxy is not written down')
  fields.ignore('access_log_path', 'who looks at a proxy is not written down')
  fields.ignore('profile_path', 'it is not profiled')
  return fields.message('address', readAddress)
}

function readResources(fields: FieldReader): Resources {
  // Each is read by whoever makes it, in the form in which it would come by discovery.
  const listOf = (name: string): readonly JsonObject[] =>
    (fields.struct(name) ?? []) as unknown as readonly JsonObject[]
  return { clusters: listOf('clusters'), listeners: listOf('listeners'), secrets: listOf('secrets') }
}

function readDynamic(fields: FieldReader): Pick<Bootstrap, 'ads' | 'cds' | 'lds'> {
  return {
    ads: fields.message('ads_config', readAds),
    cds: fields.message('cds_config', readConfigSource),
    lds: fields.message('lds_config', readConfigSource),
  }
}

function readAds(fields: FieldReader): AdsConfig {
  if (fields.choice('transport_api_version', ['AUTO', 'V3']) !== 'V3')
    fields.refuse('transport_api_version', 'only V3 is spoken')
  const apiType = fields.choice('api_type', ['', 'GRPC', 'DELTA_GRPC'])
  if (apiType === '') fields.refuse('api_type', 'DEPRECATED_AND_UNAVAILABLE_DO_NOT_USE is not supported')
  const services = fields.list('grpc_services', readGrpcService)
  if (services.length !== 1) fields.refuse('grpc_services', 'exactly one is supported')
  return {
    protocol: apiType === 'DELTA_GRPC' ? 'delta' : 'sotw',
    cluster: services[0]?.cluster ?? '',
    saysNodeOnce: fields.flag('set_node_on_first_message_only'),
    pauses: services[0]?.pauses ?? envoysPauses,
  }
}

const envoysPauses: PausesConfig = { firstMs: 500, longestMs: 30_000 }

type GrpcService = Pick<AdsConfig, 'cluster' | 'pauses'>

function readGrpcService(fields: FieldReader): GrpcService {
  if (!fields.has('envoy_grpc')) fields.refuse('envoy_grpc', 'the only kind that is supported is missing')
  fields.ignore('timeout', 'a stream has no end')
  const service = fields.message('envoy_grpc', (grpc) => ({
    cluster: grpc.string('cluster_name'),
    pauses: grpc.message('retry_policy', (policy) => policy.message('retry_back_off', readPauses)) ?? envoysPauses,
  }))
  return service ?? { cluster: '', pauses: envoysPauses }
}

function readPauses(fields: FieldReader): PausesConfig {
  const firstMs = fields.durationMs('base_interval') ?? envoysPauses.firstMs
  // As Envoy has it where only the first is said.
  const longestMs = fields.durationMs('max_interval') ?? firstMs * 10
  if (longestMs < firstMs) fields.refuse('max_interval', 'must not be less than base_interval')
  return { firstMs, longestMs }
}

function readLayer(fields: FieldReader): RuntimeLayerConfig {
  const name = fields.string('name')
  const values = fields.struct('static_layer') ?? {}
  fields.message('admin_layer', () => undefined)
  const told = fields.message('rtds_layer', (layer) => {
    const source = layer.message('rtds_config', readConfigSource)
    if (source === undefined) layer.refuse('rtds_config', 'must be set')
    return { name: layer.string('name') || name, source: source ?? { initialFetchTimeoutMs: 0 } }
  })
  return { name, values, told }
}
