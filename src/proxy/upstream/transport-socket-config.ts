import type { FieldReader } from '../config/field-reader.ts'
import { readUpstreamTlsConfig, type UpstreamTlsConfig } from './upstream-tls-config.ts'

/** How bytes travel on a connection to an upstream. */
export type UpstreamTransportConfig =
  | { readonly kind: 'raw' }
  | { readonly kind: 'tls'; readonly tls: UpstreamTlsConfig }
  /** Tells who the client is first; what is within follows. */
  | { readonly kind: 'proxy_protocol'; readonly version: 1 | 2; readonly inner: UpstreamTransportConfig }

/** Taken by hosts whose metadata `envoy.transport_socket_match` has these values; the first that fits counts. */
export interface TransportSocketMatch {
  readonly match: Readonly<Record<string, unknown>>
  readonly transport: UpstreamTransportConfig
}

export const rawTransport: UpstreamTransportConfig = { kind: 'raw' }

/** `envoy.config.core.v3.TransportSocket` of a cluster. */
export function readUpstreamTransportSocket(fields: FieldReader): UpstreamTransportConfig {
  fields.ignore('name', 'the type says which one it is')
  return fields.any<UpstreamTransportConfig>('typed_config', transports) ?? rawTransport
}

/** `envoy.config.cluster.v3.Cluster.TransportSocketMatch` */
export function readTransportSocketMatch(fields: FieldReader): TransportSocketMatch {
  fields.ignore('name', 'it is for who reads the configuration')
  return {
    match: fields.struct('match') ?? {},
    transport: fields.message('transport_socket', readUpstreamTransportSocket) ?? rawTransport,
  }
}

/** `envoy.config.core.v3.TcpKeepalive`: how a connection that carries nothing is seen to be dead. */
export interface TcpKeepalive {
  /** How long nothing came before the first probe; the kernel's default where absent. */
  readonly idleMs: number | undefined
}

export function readTcpKeepalive(fields: FieldReader): TcpKeepalive {
  fields.ignore('keepalive_probes', 'Node leaves it to the kernel')
  fields.ignore('keepalive_interval', 'Node leaves it to the kernel')
  const seconds = fields.number('keepalive_time')
  return { idleMs: seconds === undefined ? undefined : seconds * 1000 }
}

const transports = {
  'envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer': (): UpstreamTransportConfig => rawTransport,
  'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext': (fields: FieldReader): UpstreamTransportConfig => ({
    kind: 'tls',
    tls: readUpstreamTlsConfig(fields),
  }),
  'envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport': (
    fields: FieldReader,
  ): UpstreamTransportConfig => ({
    kind: 'proxy_protocol',
    version: fields.message('config', readProxyProtocolVersion) ?? 1,
    inner: fields.message('transport_socket', readUpstreamTransportSocket) ?? rawTransport,
  }),
}

function readProxyProtocolVersion(fields: FieldReader): 1 | 2 {
  return fields.choice('version', ['V1', 'V2']) === 'V2' ? 2 : 1
}
