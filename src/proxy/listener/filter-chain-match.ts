import type { FieldReader, JsonObject } from '../config/field-reader.ts'
import { type Cidr, readCidr } from './cidr.ts'

/** For which connections a filter chain is: `envoy.config.listener.v3.FilterChainMatch`. What is empty asks nothing. */
export interface FilterChainMatch {
  readonly destinationPort: number | undefined
  readonly destinationRanges: readonly Cidr[]
  /** In lower case; `*.example.org` is written `.example.org`. */
  readonly serverNames: readonly string[]
  readonly transportProtocol: string
  readonly applicationProtocols: readonly string[]
  readonly directSourceRanges: readonly Cidr[]
  readonly sourceType: SourceType
  readonly sourceRanges: readonly Cidr[]
  readonly sourcePorts: readonly number[]
}

export type SourceType = 'ANY' | 'SAME_IP_OR_LOOPBACK' | 'EXTERNAL'

export const matchesAll: FilterChainMatch = {
  destinationPort: undefined,
  destinationRanges: [],
  serverNames: [],
  transportProtocol: '',
  applicationProtocols: [],
  directSourceRanges: [],
  sourceType: 'ANY',
  sourceRanges: [],
  sourcePorts: [],
}

export function readFilterChainMatch(fields: FieldReader): FilterChainMatch {
  return {
    destinationPort: fields.number('destination_port'),
    destinationRanges: fields.list('prefix_ranges', readCidr),
    serverNames: fields.strings('server_names').map(readServerName),
    transportProtocol: fields.string('transport_protocol'),
    applicationProtocols: fields.strings('application_protocols'),
    directSourceRanges: fields.list('direct_source_prefix_ranges', readCidr),
    sourceType: fields.choice('source_type', ['ANY', 'SAME_IP_OR_LOOPBACK', 'EXTERNAL']),
    sourceRanges: fields.list('source_prefix_ranges', readCidr),
    sourcePorts: fields.numbers('source_ports'),
  }
}

function readServerName(name: string): string {
  return (name.startsWith('*.') ? name.slice(1) : name).toLowerCase()
}

/** Of names that can be matched only the first label is a star. */
export function hasPartialWildcard({ serverNames }: FilterChainMatch): boolean {
  return serverNames.some((name) => name.includes('*'))
}

/** One text for one match, in the order of the fields' numbers, as Envoy tells of it. */
export function matchText(match: JsonObject): string {
  return JSON.stringify(Object.fromEntries(order.filter((name) => name in match).map((name) => [name, match[name]])))
}

const order = [
  'prefix_ranges',
  'address_suffix',
  'suffix_len',
  'source_prefix_ranges',
  'source_ports',
  'destination_port',
  'transport_protocol',
  'application_protocols',
  'server_names',
  'source_type',
  'direct_source_prefix_ranges',
]

/** Whether it can only be told by what a TLS client says first. */
export function needsTlsInspector({ transportProtocol, serverNames, applicationProtocols }: FilterChainMatch): boolean {
  if (transportProtocol === 'tls') return true
  return transportProtocol === '' && (serverNames.length > 0 || applicationProtocols.length > 0)
}
