import { type AddressConfig, readAddress } from '../config/address.ts'
import type { FieldReader, Read } from '../config/field-reader.ts'

export type DnsLookupFamily = 'AUTO' | 'V4_ONLY' | 'V6_ONLY' | 'V4_PREFERRED' | 'ALL'

/** How often names are looked up, and where. */
export interface DnsConfig {
  readonly family: DnsLookupFamily
  readonly refreshMs: number
  /** In place of `refreshMs` after a lookup that failed. */
  readonly failureRefresh: RefreshRate | undefined
  /** The answer's own time to live in place of `refreshMs`. */
  readonly respectsTtl: boolean
  /** Undefined: those of the bootstrap, or of the machine. */
  readonly resolver: DnsResolverConfig | undefined
}

/** The wait doubles from one failure to the next, up to `maxMs`. */
export interface RefreshRate {
  readonly baseMs: number
  readonly maxMs: number
}

export interface DnsResolverConfig {
  /** Empty: the machine's. */
  readonly servers: readonly AddressConfig[]
}

const envoysRefreshMs = 5000
const dnsCacheRefreshMs = 60_000

/** The DNS fields of a cluster itself. */
export function readClusterDns(fields: FieldReader): DnsConfig {
  return {
    family: readFamily(fields),
    refreshMs: fields.durationMs('dns_refresh_rate') ?? envoysRefreshMs,
    failureRefresh: fields.message('dns_failure_refresh_rate', readRefreshRate),
    respectsTtl: fields.flag('respect_dns_ttl'),
    resolver: readResolver(fields),
  }
}

/** What a dynamic forward proxy keeps of names that it was asked for; proxies and filters share it by its name. */
export interface DnsCacheConfig {
  readonly name: string
  readonly dns: DnsConfig
  /** The answer's time to live is obeyed, but looked up again no more often than that. */
  readonly minRefreshMs: number
  /** Unused names are forgotten after that. */
  readonly hostTtlMs: number
  readonly maxHosts: number
  readonly queryTimeoutMs: number
  readonly maxPendingRequests: number
  /** Looked up from the start. */
  readonly preresolved: readonly AddressConfig[]
}

/** `envoy.extensions.common.dynamic_forward_proxy.v3.DnsCacheConfig` */
export function readDnsCacheConfig(fields: FieldReader): DnsCacheConfig {
  return {
    name: fields.string('name'),
    dns: {
      family: readFamily(fields),
      refreshMs: fields.durationMs('dns_refresh_rate') ?? dnsCacheRefreshMs,
      failureRefresh: fields.message('dns_failure_refresh_rate', readRefreshRate),
      respectsTtl: true,
      resolver: readResolver(fields),
    },
    minRefreshMs: fields.durationMs('dns_min_refresh_rate') ?? 5000,
    hostTtlMs: fields.durationMs('host_ttl') ?? 300_000,
    maxHosts: fields.number('max_hosts') ?? 1024,
    queryTimeoutMs: fields.durationMs('dns_query_timeout') ?? 5000,
    maxPendingRequests:
      fields.message('dns_cache_circuit_breaker', (breaker) => breaker.number('max_pending_requests')) ?? 1024,
    preresolved: fields.list('preresolve_hostnames', (place) => ({
      address: place.string('address'),
      port: place.number('port_value') ?? 0,
    })),
  }
}

function readFamily(fields: FieldReader): DnsLookupFamily {
  return fields.choice('dns_lookup_family', ['AUTO', 'V4_ONLY', 'V6_ONLY', 'V4_PREFERRED', 'ALL'])
}

function readRefreshRate(fields: FieldReader): RefreshRate {
  const baseMs = fields.durationMs('base_interval') ?? envoysRefreshMs
  return { baseMs, maxMs: fields.durationMs('max_interval') ?? baseMs * 10 }
}

/** The three fields, of three ages, that say which name servers are asked. */
function readResolver(fields: FieldReader): DnsResolverConfig | undefined {
  const typed = fields.message('typed_dns_resolver_config', readTypedResolver)
  const older = fields.message('dns_resolution_config', readCares)
  const oldest = fields.list('dns_resolvers', readAddress)
  return typed ?? older ?? (oldest.length > 0 ? { servers: oldest } : undefined)
}

/** A `TypedExtensionConfig` of a resolver: also what the bootstrap has for all. */
export function readTypedResolver(fields: FieldReader): DnsResolverConfig | undefined {
  fields.ignore('name', 'the type says it')
  return fields.any('typed_config', resolverTypes)
}

const resolverTypes: Readonly<Record<string, Read<DnsResolverConfig>>> = {
  'envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig': readCares,
  'envoy.extensions.network.dns_resolver.getaddrinfo.v3.GetAddrInfoDnsResolverConfig': (fields) => {
    fields.ignore('num_retries', 'the next refresh asks again')
    return { servers: [] }
  },
}

function readCares(fields: FieldReader): DnsResolverConfig {
  fields.ignore('udp_max_queries', 'how many questions share a socket is not seen from outside')
  fields.message('dns_resolver_options', (options) => {
    options.ignore('no_default_search_domain', 'names are asked for as they are written, always')
  })
  return { servers: fields.list('resolvers', readAddress) }
}
