import { type AccessLogConfig, readAccessLog } from '../access-log/access-log.ts'
import { type AddressConfig, readAddress } from '../config/address.ts'
import { ConfigRejection } from '../config/config-rejection.ts'
import { FieldReader, type JsonObject, type ReadByType } from '../config/field-reader.ts'
import type { NetworkFilterKind } from '../network/network-filter.ts'
import type { StatScope } from '../stats/stat-store.ts'
import { type DownstreamTlsConfig, readDownstreamTransportSocket } from './downstream-tls-config.ts'
import {
  type FilterChainMatch,
  hasPartialWildcard,
  matchesAll,
  matchText,
  needsTlsInspector,
  readFilterChainMatch,
} from './filter-chain-match.ts'
import { httpInspector } from './http-inspector.ts'
import type { ListenerFilter, ListenerFilterKind } from './listener-filter.ts'
import { originalDstFilter } from './original-dst-filter.ts'
import { proxyProtocolFilter } from './proxy-protocol-filter.ts'
import { tlsInspector } from './tls-inspector.ts'

/** Where to listen, and what to do with connections: `envoy.config.listener.v3.Listener`. */
export interface ListenerConfig {
  readonly name: string
  readonly address: AddressConfig
  /** What its stats are called: `0.0.0.0_10000`. */
  readonly statName: string
  readonly direction: 'UNSPECIFIED' | 'INBOUND' | 'OUTBOUND'
  readonly listenerFilters: readonly ((stats: StatScope) => ListenerFilter)[]
  /** Undefined: they may take as long as they like. */
  readonly listenerFiltersTimeoutMs: number | undefined
  readonly continuesOnTimeout: boolean
  readonly bufferLimit: number
  readonly chains: readonly FilterChainConfig[]
  /** For connections that no other one is for. */
  readonly defaultChain: FilterChainConfig | undefined
  readonly accessLogs: readonly (AccessLogConfig | undefined)[]
  readonly backlog: number | undefined
  /** All but the filter chains: what may not change where only they are put in place. */
  readonly frame: string
}

export interface FilterChainConfig {
  readonly name: string
  readonly match: FilterChainMatch
  readonly tls: DownstreamTlsConfig | undefined
  /** Within it TLS has to be agreed; undefined: no limit. */
  readonly transportTimeoutMs: number | undefined
  readonly filters: readonly NetworkFilterUse[]
  /** What it asks of connections, as it was written. */
  readonly matchText: string
  /** All that it says: equal chains are the same. */
  readonly text: string
}

/** A filter in a chain: its kind, with what was read for it. */
export interface NetworkFilterUse {
  readonly name: string
  readonly kind: NetworkFilterKind
  readonly config: unknown
}

const envoysFiltersTimeoutMs = 15_000
const envoysBufferLimit = 1024 * 1024

const listenerFilterKinds: readonly ListenerFilterKind[] = [
  tlsInspector,
  proxyProtocolFilter,
  httpInspector,
  originalDstFilter,
]

/** What a listener's JSON means to a proxy that has these network filters. */
export type ReadListener = (json: JsonObject) => ListenerConfig

const readers = new WeakMap<readonly NetworkFilterKind[], ReadListener>()

/** The reader for these filters. What it makes of one JSON object it makes once, however many proxies are sent it. */
export function listenerReader(kinds: readonly NetworkFilterKind[]): ReadListener {
  const before = readers.get(kinds)
  if (before !== undefined) return before
  const filterTypes: ReadByType<Pick<NetworkFilterUse, 'kind' | 'config'>> = Object.fromEntries(
    kinds.map((kind) => [kind.type, (fields: FieldReader) => ({ kind, config: kind.read(fields) })]),
  )
  const known = new WeakMap<JsonObject, ListenerConfig>()
  const read: ReadListener = (json) => {
    const earlier = known.get(json)
    if (earlier !== undefined) return earlier
    const config = FieldReader.read(json, (fields) => readListener(fields, json, filterTypes))
    known.set(json, config)
    return config
  }
  readers.set(kinds, read)
  return read
}

type FilterTypes = ReadByType<Pick<NetworkFilterUse, 'kind' | 'config'>>

function readListener(fields: FieldReader, json: JsonObject, filterTypes: FilterTypes): ListenerConfig {
  const address = fields.message('address', readAddress) ?? { address: '', port: 0 }
  const written = (json['filter_chains'] as readonly JsonObject[] | undefined) ?? []
  const chains = fields
    .list('filter_chains', (chain) => readChain(chain, filterTypes))
    .map((chain, index) => ({ ...chain, ...textsOf(written[index] ?? {}) }))
  const defaultChain = fields.message('default_filter_chain', (chain) => readChain(chain, filterTypes))
  const filtersTimeoutMs = fields.durationMs('listener_filters_timeout') ?? envoysFiltersTimeoutMs
  for (const [name, why] of Object.entries(unseen)) fields.ignore(name, why)
  for (const name of switches) if (fields.flag(name)) fields.refuse(name, 'it is not supported')
  if (!fields.flag('bind_to_port', true)) fields.refuse('bind_to_port', 'a listener that is not bound is not supported')
  if (chains.length === 0 && defaultChain === undefined) {
    throw new ConfigRejection(`error adding listener '${address.address}:${address.port}': no filter chains specified`)
  }
  if (chains.some(({ match }) => hasPartialWildcard(match))) {
    throw new ConfigRejection(
      `error adding listener '${address.address}:${address.port}': partial wildcards are not supported in "server_names"`,
    )
  }
  const { filter_chains: _chains, default_filter_chain: _default, ...frame } = json
  const statPrefix = fields.string('stat_prefix')
  return {
    name: fields.string('name'),
    address,
    statName: statPrefix === '' ? `${addressText(address)}_${address.port}`.replaceAll(':', '_') : statPrefix,
    direction: fields.choice('traffic_direction', ['UNSPECIFIED', 'INBOUND', 'OUTBOUND']),
    listenerFilters: readListenerFilters(fields, chains),
    listenerFiltersTimeoutMs: filtersTimeoutMs === 0 ? undefined : filtersTimeoutMs,
    continuesOnTimeout: fields.flag('continue_on_listener_filters_timeout'),
    bufferLimit: fields.number('per_connection_buffer_limit_bytes') ?? envoysBufferLimit,
    chains,
    defaultChain:
      defaultChain === undefined
        ? undefined
        : { ...defaultChain, matchText: '', text: `default ${JSON.stringify(json['default_filter_chain'])}` },
    accessLogs: fields.list('access_log', readAccessLog),
    backlog: fields.number('tcp_backlog_size'),
    frame: JSON.stringify(frame),
  }
}

/** As URLs write it. */
function addressText({ address }: AddressConfig): string {
  return address.includes(':') ? `[${address}]` : address
}

function textsOf(chain: JsonObject): Pick<FilterChainConfig, 'text' | 'matchText'> {
  return {
    text: JSON.stringify(chain),
    matchText: matchText((chain['filter_chain_match'] as JsonObject | undefined) ?? {}),
  }
}

const unseen: Readonly<Record<string, string>> = {
  metadata: 'it is for who reads the configuration',
  drain_type: 'this proxy drains for no other reason than a change',
  enable_reuse_port: 'one process listens once',
  reuse_port: 'one process listens once',
  connection_balance_config: 'there is one thread',
  max_connections_to_accept_per_socket_event: 'how connections are accepted shows in nothing',
  ignore_global_conn_limit: 'there is no global limit',
  bypass_overload_manager: 'there is no overload manager',
}

const switches = ['use_original_dst', 'transparent', 'freebind', 'enable_mptcp']

function readChain(fields: FieldReader, filterTypes: FilterTypes): Omit<FilterChainConfig, 'text' | 'matchText'> {
  fields.ignore('metadata', 'it is for who reads the configuration')
  const filters = fields.list('filters', (filter) => {
    const name = filter.string('name')
    const use = filter.any('typed_config', filterTypes)
    return use && { name, ...use }
  })
  return {
    name: fields.string('name'),
    match: fields.message('filter_chain_match', readFilterChainMatch) ?? matchesAll,
    tls: fields.message('transport_socket', readDownstreamTransportSocket),
    transportTimeoutMs: fields.durationMs('transport_socket_connect_timeout') || undefined,
    filters: filters.filter((use) => use !== undefined),
  }
}

function readListenerFilters(
  fields: FieldReader,
  chains: readonly Pick<FilterChainConfig, 'match'>[],
): readonly ((stats: StatScope) => ListenerFilter)[] {
  let hasTlsInspector = false
  const types: ReadByType<(stats: StatScope) => ListenerFilter> = Object.fromEntries(
    listenerFilterKinds.map((kind) => [
      kind.type,
      (config: FieldReader) => {
        hasTlsInspector ||= kind === tlsInspector
        return kind.read(config)
      },
    ]),
  )
  const filters = fields
    .list('listener_filters', (filter) => {
      filter.ignore('name', 'the type says which one it is')
      return filter.any('typed_config', types)
    })
    .filter((filter) => filter !== undefined)
  if (hasTlsInspector || !chains.some(({ match }) => needsTlsInspector(match))) return filters
  // As Envoy does: chains that ask for what only TLS tells bring the inspector with them.
  return [...filters, FieldReader.read({}, (none) => tlsInspector.read(none))]
}
