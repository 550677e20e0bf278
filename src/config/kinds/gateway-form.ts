import type { NodeSelector } from '../../resource/node-selector.ts'
import type { AccessLog, Backend, Bytes, Egress, Http2, Ms, NamedForm, RouteDefaults, Tracing } from './common-form.ts'

export interface GatewayForm extends NamedForm<'Gateway'> {
  /** Any of them; empty selects every node. */
  readonly nodes: readonly NodeSelector[]
  readonly listeners: readonly GatewayListener[]
  readonly accessLog?: AccessLog
  readonly tracing?: Tracing
  readonly defaults?: RouteDefaults
  readonly trustedHops?: number
}

export interface GatewayListener {
  readonly name: string
  readonly address?: string
  readonly port: number
  readonly protocol: 'http' | 'https' | 'http2' | 'grpc' | 'tcp' | 'tls'
  /** In lower case, without ports. */
  readonly hosts?: readonly string[]
  readonly tls?: ListenerTls
  readonly service?: string
  readonly backends?: readonly Backend[]
  readonly egress?: Egress
  readonly proxyProtocol?: 'required' | 'optional'
  readonly accessLog?: AccessLog
  readonly http2?: Http2
  readonly maxConnections?: number
  readonly maxRequestSize?: Bytes
  readonly compression?: boolean
  readonly idleTimeout?: Ms
  readonly requestHeadersTimeout?: Ms
  readonly maxHeaderSize?: Bytes
}

export interface ListenerTls {
  /** Names of Secrets; the first serves clients whose SNI none of them is for. */
  readonly secret: readonly string[]
  readonly minVersion?: '1.2' | '1.3'
  /** Name of a Secret whose CA signs the certificates that clients must show. */
  readonly clientCa?: string
}
