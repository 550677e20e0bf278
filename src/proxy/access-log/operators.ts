import { hostname } from 'node:os'
import { hostPort } from '../../resource/host-port.ts'
import { ConfigRejection } from '../config/config-rejection.ts'
import type { Headers } from '../http/headers.ts'
import type { PeerCertificate, SocketAddress } from '../network/network-filter.ts'
import type { FormatSubject, Operator, OperatorValue } from './format-subject.ts'
import { grpcStatusName } from './grpc-status-name.ts'
import { longFlags } from './response-flags.ts'
import { compileTimeFormat } from './time-format.ts'

/** `%REQ(X?Y):10%` without its length: what it reads of a stream. Throws ConfigRejection for one that is not known. */
export function compileOperator(command: string, argument: string | undefined): Operator {
  const plain = operators[command]
  if (plain !== undefined) return plain
  const make = operatorsWithArgument[command]
  if (make !== undefined) return make(argument ?? '')
  throw new ConfigRejection(`the reference proxy does not know the command operator %${command}%`)
}

const text = (value: string | undefined): string | undefined => (value === '' ? undefined : value)

const addressText = ({ ip, port }: SocketAddress): string => hostPort(ip, port)

const whole = (ms: number | undefined): number | undefined =>
  ms === undefined ? undefined : Math.max(0, Math.floor(ms))

const since = (startMs: number, ms: number | undefined): number | undefined =>
  whole(ms === undefined ? undefined : ms - startMs)

const clientOf = ({ info, connection }: FormatSubject): SocketAddress => info.clientAddress ?? connection.remoteAddress

const upstreamAddress = ({ info }: FormatSubject): SocketAddress | undefined =>
  info.upstreamHost && { ip: info.upstreamHost.ip, port: info.upstreamHost.port }

const ofPeer =
  (read: (peer: PeerCertificate) => string): Operator =>
  ({ connection }) => {
    const peer = connection.tls?.peer
    return peer && text(read(peer))
  }

const operators: Readonly<Record<string, Operator>> = {
  PROTOCOL: ({ info }) => info.protocol,
  RESPONSE_CODE: ({ info }) => info.responseCode ?? 0,
  RESPONSE_CODE_DETAILS: ({ info }) => info.responseCodeDetails,
  CONNECTION_TERMINATION_DETAILS: ({ info }) => info.connectionTerminationDetails,
  // In words where there is none, too.
  RESPONSE_FLAGS: ({ info }) => (info.flags.size === 0 ? '-' : [...info.flags].join(',')),
  RESPONSE_FLAGS_LONG: ({ info }) =>
    info.flags.size === 0 ? '-' : [...info.flags].map((flag) => longFlags.get(flag) ?? flag).join(','),
  BYTES_RECEIVED: ({ info }) => info.bytesReceived,
  BYTES_SENT: ({ info }) => info.bytesSent,
  DURATION: ({ info, nowMs }) => since(info.startMs, nowMs),
  REQUEST_DURATION: ({ info }) => since(info.startMs, info.requestEndMs),
  RESPONSE_DURATION: ({ info }) => since(info.startMs, info.firstUpstreamByteMs),
  RESPONSE_TX_DURATION: ({ info, nowMs }) =>
    info.firstUpstreamByteMs === undefined ? undefined : since(info.firstUpstreamByteMs, info.lastByteSentMs ?? nowMs),
  ROUTE_NAME: ({ info }) => text(info.routeName),
  VIRTUAL_HOST_NAME: ({ info }) => text(info.virtualHost),
  UPSTREAM_CLUSTER: ({ info }) => info.upstreamCluster,
  UPSTREAM_CLUSTER_RAW: ({ info }) => info.upstreamCluster,
  UPSTREAM_HOST: ({ info }) => info.upstreamHost?.address,
  UPSTREAM_HOST_NAME: ({ info }) => text(info.upstreamHost?.hostname) ?? info.upstreamHost?.address,
  UPSTREAM_HOST_NAME_WITHOUT_PORT: ({ info }) => text(info.upstreamHost?.hostname) ?? info.upstreamHost?.ip,
  UPSTREAM_REMOTE_ADDRESS: ({ info }) => info.upstreamHost?.address,
  UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: (subject) => upstreamAddress(subject)?.ip,
  UPSTREAM_REMOTE_PORT: (subject) => upstreamAddress(subject)?.port,
  UPSTREAM_LOCAL_ADDRESS: ({ info }) => info.upstreamLocalAddress,
  UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: ({ info }) => info.upstreamLocalAddress?.replace(/:\d+$/, ''),
  UPSTREAM_LOCAL_PORT: ({ info }) =>
    info.upstreamLocalAddress === undefined ? undefined : Number(/\d+$/.exec(info.upstreamLocalAddress)?.[0]),
  UPSTREAM_PROTOCOL: ({ info }) => info.upstreamProtocol,
  UPSTREAM_REQUEST_ATTEMPT_COUNT: ({ info }) => info.attempts,
  UPSTREAM_TRANSPORT_FAILURE_REASON: ({ info }) => info.upstreamTransportFailure,
  DOWNSTREAM_REMOTE_ADDRESS: (subject) => addressText(clientOf(subject)),
  DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: (subject) => clientOf(subject).ip,
  DOWNSTREAM_REMOTE_PORT: (subject) => clientOf(subject).port,
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS: ({ connection }) => addressText(connection.directRemoteAddress),
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT: ({ connection }) => connection.directRemoteAddress.ip,
  DOWNSTREAM_DIRECT_REMOTE_PORT: ({ connection }) => connection.directRemoteAddress.port,
  DOWNSTREAM_LOCAL_ADDRESS: ({ connection }) => addressText(connection.localAddress),
  DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: ({ connection }) => connection.localAddress.ip,
  DOWNSTREAM_LOCAL_PORT: ({ connection }) => connection.localAddress.port,
  REQUESTED_SERVER_NAME: ({ connection }) => text(connection.serverName),
  DOWNSTREAM_TLS_VERSION: ({ connection }) => connection.tls?.version,
  DOWNSTREAM_TLS_CIPHER: ({ connection }) => connection.tls?.cipher,
  DOWNSTREAM_PEER_SUBJECT: ofPeer(({ subject }) => subject),
  DOWNSTREAM_PEER_URI_SAN: ofPeer(({ uriNames }) => uriNames.join(',')),
  DOWNSTREAM_PEER_DNS_SAN: ofPeer(({ dnsNames }) => dnsNames.join(',')),
  DOWNSTREAM_PEER_FINGERPRINT_256: ofPeer(({ sha256 }) => sha256),
  DOWNSTREAM_PEER_CERT: ofPeer(({ pem }) => encodeURIComponent(pem)),
  FILTER_CHAIN_NAME: ({ connection }) => text(connection.filterChain),
  CONNECTION_ID: ({ connection }) => connection.id,
  HOSTNAME: () => hostname(),
  REQUEST_HEADERS_BYTES: ({ request }) => request?.byteSize ?? 0,
  RESPONSE_HEADERS_BYTES: ({ response }) => response?.byteSize ?? 0,
  RESPONSE_TRAILERS_BYTES: ({ trailers }) => trailers?.byteSize ?? 0,
  GRPC_STATUS_NUMBER: (subject) => grpcStatusOf(subject),
}

const operatorsWithArgument: Readonly<Record<string, (argument: string) => Operator>> = {
  REQ: (argument) => headerOperator(argument, ({ request }) => request),
  RESP: (argument) => headerOperator(argument, ({ response }) => response),
  TRAILER: (argument) => headerOperator(argument, ({ trailers }) => trailers),
  START_TIME: (argument) => {
    const format = compileTimeFormat(argument)
    return ({ info }) => format(info.startTime)
  },
  GRPC_STATUS: (argument) => grpcOperator(argument),
  DYNAMIC_METADATA: (argument) => {
    const [namespace = '', ...path] = argument.split(':')
    return ({ info }) => below(info.dynamicMetadata.get(namespace), path)
  },
  UPSTREAM_METADATA: (argument) => {
    const [namespace = '', ...path] = argument.split(':')
    return ({ info }) => below(info.upstreamHost?.metadata[namespace], path)
  },
  FILTER_STATE: (argument) => {
    const key = argument.split(':')[0] as string
    return ({ info }) => info.filterState.get(key)
  },
  ENVIRONMENT: (argument) => () => process.env[argument],
  QUERY_PARAM:
    (argument) =>
    ({ request }) =>
      queryOf(request)?.get(argument) ?? undefined,
  PATH: (argument) => pathOperator(argument),
}

/** `X?Y`: Y where there is no X. */
function headerOperator(argument: string, headersOf: (subject: FormatSubject) => Headers | undefined): Operator {
  const [first = '', second] = argument.toLowerCase().split('?')
  if (second === undefined) return (subject) => headersOf(subject)?.get(first)
  return (subject) => {
    const headers = headersOf(subject)
    return headers?.get(first) ?? headers?.get(second)
  }
}

function below(value: unknown, path: readonly string[]): OperatorValue {
  let found = value
  for (const key of path) found = (found as Readonly<Record<string, unknown>> | undefined)?.[key]
  if (typeof found === 'boolean') return String(found)
  return (found ?? undefined) as OperatorValue
}

function queryOf(request: Headers | undefined): URLSearchParams | undefined {
  const path = request?.get(':path') ?? ''
  const at = path.indexOf('?')
  return at < 0 ? undefined : new URLSearchParams(path.slice(at + 1))
}

/** `WQ`: with the query; `NQ`: without. `ORIG`: as it came, `PATH`: as it is now. */
function pathOperator(argument: string): Operator {
  const [query = 'WQ', which = 'ORIG_OR_PATH'] = argument.split(':')
  return ({ request }) => {
    const original = request?.get('x-envoy-original-path')
    const now = request?.get(':path')
    const path = which === 'PATH' ? now : which === 'ORIG' ? original : (original ?? now)
    return query === 'NQ' ? path?.replace(/\?.*$/, '') : path
  }
}

/** Of a gRPC response: its trailers, or headers where it has no others; what HTTP's status maps to elsewhere. */
function grpcStatusOf({ response, trailers, request }: FormatSubject): number | undefined {
  if (request?.get('content-type')?.startsWith('application/grpc') !== true) return undefined
  const status = trailers?.get('grpc-status') ?? response?.get('grpc-status')
  return status === undefined ? undefined : Number(status)
}

function grpcOperator(argument: string): Operator {
  if (argument === 'NUMBER') return grpcStatusOf
  const isSnake = argument === 'SNAKE_STRING'
  return (subject) => {
    const status = grpcStatusOf(subject)
    return status === undefined ? undefined : grpcStatusName(status, isSnake)
  }
}
