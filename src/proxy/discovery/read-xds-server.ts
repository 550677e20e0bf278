import { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { type ChannelCredentials, type ChannelOptions, credentials } from '@grpc/grpc-js'
import { type AddressConfig, readAddress } from '../config/address.ts'
import { ConfigRejection } from '../config/config-rejection.ts'
import { FieldReader, type JsonObject } from '../config/field-reader.ts'
import { hasAcceptedName, namesOf } from '../tls/certificate-names.ts'
import { buildClientContext } from '../tls/secure-context.ts'
import type { ValidationContext } from '../tls/validation-context.ts'
import { type HttpProtocolOptions, readHttpProtocolOptions } from '../upstream/http-protocol-options.ts'
import { readUpstreamTransportSocket, type UpstreamTransportConfig } from '../upstream/transport-socket-config.ts'
import type { XdsServer } from './xds-server.ts'

/**
 * Where the control plane is, of the static cluster that the bootstrap names for it. Whether the cluster is one that this
 * proxy takes is said by whoever takes all clusters.
 * @throws ConfigRejection when nobody can be reached by it.
 */
export function readXdsServer(cluster: JsonObject): XdsServer {
  const { addresses, transport, http } = FieldReader.read(cluster, (fields) => {
    for (const name of Object.keys(cluster)) if (!ours.has(name)) fields.ignore(name, 'for whoever takes all clusters')
    return {
      addresses: fields.message('load_assignment', readAssignment) ?? [],
      transport: fields.message('transport_socket', readUpstreamTransportSocket),
      http: fields.anyMap('typed_extension_protocol_options', protocolOptions),
    }
  })
  if (addresses.length === 0) throw new ConfigRejection('load_assignment: has no address of the control plane')
  const tls = credentialsOf(transport)
  return {
    targets: addresses.map(targetOf),
    credentials: tls.credentials,
    options: { ...options, ...keepaliveOf([...http.values()][0]), ...tls.options },
  }
}

const ours: ReadonlySet<string> = new Set(['load_assignment', 'transport_socket', 'typed_extension_protocol_options'])

const protocolOptions = { 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': readHttpProtocolOptions }

const options: ChannelOptions = {
  // Each proxy has a connection of its own, and tries when it wants to.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
}

function readAssignment(fields: FieldReader): readonly AddressConfig[] {
  fields.ignore('cluster_name', 'it is that of the cluster')
  fields.ignore('policy', 'one is tried after the other')
  const localities = fields.list('endpoints', (locality) => {
    for (const name of ['locality', 'priority', 'load_balancing_weight', 'proximity']) {
      locality.ignore(name, 'one is tried after the other')
    }
    return locality.list('lb_endpoints', readEndpoint)
  })
  return localities.flat().filter((address) => address !== undefined)
}

function readEndpoint(fields: FieldReader): AddressConfig | undefined {
  for (const name of ['health_status', 'metadata', 'load_balancing_weight']) fields.ignore(name, 'all are tried')
  return fields.message('endpoint', (endpoint) => {
    for (const name of ['hostname', 'health_check_config']) endpoint.ignore(name, 'all are tried')
    return endpoint.message('address', readAddress)
  })
}

function targetOf({ address, port }: AddressConfig): string {
  const version = isIP(address)
  if (version === 0) return `dns:${address}:${port}`
  return version === 6 ? `ipv6:[${address}]:${port}` : `ipv4:${address}:${port}`
}

function keepaliveOf(http: HttpProtocolOptions | undefined): ChannelOptions {
  const keepalive = http?.http2.keepalive
  if (keepalive?.intervalMs === undefined) return {}
  return { 'grpc.keepalive_time_ms': keepalive.intervalMs, 'grpc.keepalive_timeout_ms': keepalive.timeoutMs }
}

function credentialsOf(transport: UpstreamTransportConfig | undefined): {
  readonly credentials: ChannelCredentials
  readonly options: ChannelOptions
} {
  if (transport === undefined || transport.kind === 'raw') {
    return { credentials: credentials.createInsecure(), options: {} }
  }
  if (transport.kind !== 'tls') throw new ConfigRejection(`transport_socket: ${transport.kind} is not supported here`)
  const { tls, sni } = transport.tls
  const { certificates, validation } = tls
  if (tls.certificateSecrets.length > 0 || tls.validationSecret !== undefined) {
    throw new ConfigRejection('transport_socket: the control plane cannot be reached by what only it would tell')
  }
  const isChecked = validation?.trustedCa !== undefined || validation?.usesSystemRoots === true
  return {
    credentials: credentials.createFromSecureContext(buildClientContext(tls, certificates, validation), {
      rejectUnauthorized: isChecked && !validation.acceptsUntrusted,
      checkServerIdentity: (_host, { raw }) => whyNotTaken(raw, validation),
    }),
    options: { 'grpc.ssl_target_name_override': sni === '' ? noName : sni },
  }
}

/** Envoy names nobody where it is not told to, which gRPC cannot; and an address, which gRPC would name, is no name. */
const noName = 'control-plane.invalid'

/** Unlike gRPC, Envoy compares no name that it was not told to. */
function whyNotTaken(der: Buffer, validation: ValidationContext | undefined): Error | undefined {
  if (validation === undefined) return undefined
  const certificate = new X509Certificate(der)
  const isNamed = validation.names.length === 0 || hasAcceptedName(namesOf(certificate), validation.names)
  return isNamed ? undefined : new Error('the certificate of the control plane has none of the names that it may have')
}
