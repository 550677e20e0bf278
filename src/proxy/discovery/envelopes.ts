import type { EnvoyApi } from '../../resource/envoy-api.ts'
import { decodeMessage, encodeMessage } from '../../resource/json/codec.ts'

/** The messages of xDS around the resources, read and written through the descriptors of Envoy's API. */

/** A message packed in an Any. */
export interface Packed {
  readonly typeUrl: string
  readonly bytes: Uint8Array
}

/** One resource of a response. */
export interface Arrived {
  /** Empty where only its content says it: SotW without a wrapper. */
  readonly name: string
  readonly version: string
  readonly ttlMs: number | undefined
  /** Undefined of a heartbeat: what is there stays, and lives on. */
  readonly content: Packed | undefined
}

/** What both protocols answer. */
export interface Response {
  readonly typeUrl: string
  readonly nonce: string
  /** Of the whole response: in delta for people only. */
  readonly version: string
  readonly resources: readonly Arrived[]
  /** Delta only. */
  readonly removed: readonly string[]
  /** `control_plane.identifier` */
  readonly server: string
}

export interface Request {
  readonly typeUrl: string
  /** Empty where it answers nothing. */
  readonly nonce: string
  /** Why the answered response is refused: a NACK. */
  readonly error?: string | undefined
}

export interface SotwRequest extends Request {
  /** The last that was taken. */
  readonly version: string
  /** Empty: all that there are. */
  readonly names: readonly string[]
}

export interface DeltaRequest extends Request {
  readonly subscribe: readonly string[]
  readonly unsubscribe: readonly string[]
  /** On the first of a type on a stream: what the client has. */
  readonly initialVersions: ReadonlyMap<string, string>
}

type Fields = Record<string, unknown>

const prefix = 'type.googleapis.com/'
const wrapper = `${prefix}envoy.service.discovery.v3.Resource`

/** `INTERNAL`, which is what Envoy says whatever is wrong. */
const internal = 13

/** Longer messages would make a header block or a request that nobody takes; Envoy cuts there too. */
const longestError = 4096

function emptyMessage(api: EnvoyApi, name: string): ReturnType<typeof decodeMessage> & { readonly fields: Fields } {
  const decoded = decodeMessage(api, prefix + name, new Uint8Array(0))
  return { ...decoded, fields: decoded.message as unknown as Fields }
}

function encode(api: EnvoyApi, name: string, fields: Fields): Buffer {
  const { desc, message } = emptyMessage(api, name)
  Object.assign(message, fields)
  return Buffer.from(encodeMessage(desc, message))
}

function requestFields(api: EnvoyApi, { typeUrl, nonce, error }: Request, node: object | undefined): Fields {
  return {
    typeUrl,
    responseNonce: nonce,
    ...(node !== undefined && { node }),
    ...(error !== undefined && { errorDetail: statusOf(api, error) }),
  }
}

function statusOf(api: EnvoyApi, error: string): object {
  const message = error.length > longestError ? `${error.slice(0, longestError)}...(truncated)` : error
  return Object.assign(emptyMessage(api, 'google.rpc.Status').message, { code: internal, message })
}

/** @param node a `Node` message, or undefined where the stream has had one */
export function encodeSotwRequest(api: EnvoyApi, request: SotwRequest, node: object | undefined): Buffer {
  return encode(api, 'envoy.service.discovery.v3.DiscoveryRequest', {
    ...requestFields(api, request, node),
    versionInfo: request.version,
    resourceNames: [...request.names],
  })
}

/** @param node a `Node` message, or undefined where the stream has had one */
export function encodeDeltaRequest(api: EnvoyApi, request: DeltaRequest, node: object | undefined): Buffer {
  return encode(api, 'envoy.service.discovery.v3.DeltaDiscoveryRequest', {
    ...requestFields(api, request, node),
    resourceNamesSubscribe: [...request.subscribe],
    resourceNamesUnsubscribe: [...request.unsubscribe],
    initialResourceVersions: Object.fromEntries(request.initialVersions),
  })
}

interface Any {
  readonly typeUrl: string
  readonly value: Uint8Array
}

interface ResourceMessage {
  readonly name: string
  readonly version: string
  readonly ttl?: { readonly seconds: bigint; readonly nanos: number }
  readonly resource?: Any
}

/** @throws ControlPlaneError `api` when the bytes are no response */
export function decodeSotwResponse(api: EnvoyApi, bytes: Uint8Array): Response {
  const message = decodeMessage(api, `${prefix}envoy.service.discovery.v3.DiscoveryResponse`, bytes)
    .message as unknown as {
    readonly versionInfo: string
    readonly resources: readonly Any[]
    readonly typeUrl: string
    readonly nonce: string
    readonly controlPlane?: { readonly identifier: string }
  }
  const { typeUrl, nonce, versionInfo: version } = message
  return {
    typeUrl,
    nonce,
    version,
    resources: message.resources.map((any) => ({ ...arrivedIn(api, any), version })),
    removed: [],
    server: message.controlPlane?.identifier ?? '',
  }
}

/** A resource as it is, or in the wrapper that gives it a TTL. */
function arrivedIn(api: EnvoyApi, any: Any): Arrived {
  if (any.typeUrl !== wrapper) return { name: '', version: '', ttlMs: undefined, content: packed(any) }
  return arrived(decodeMessage(api, wrapper, any.value).message as unknown as ResourceMessage)
}

function arrived({ name, version, ttl, resource }: ResourceMessage): Arrived {
  return {
    name,
    version,
    ttlMs: ttl && Number(ttl.seconds) * 1000 + ttl.nanos / 1_000_000,
    content: resource && packed(resource),
  }
}

const packed = ({ typeUrl, value }: Any): Packed => ({ typeUrl, bytes: value })

/** @throws ControlPlaneError `api` when the bytes are no response */
export function decodeDeltaResponse(api: EnvoyApi, bytes: Uint8Array): Response {
  const message = decodeMessage(api, `${prefix}envoy.service.discovery.v3.DeltaDiscoveryResponse`, bytes)
    .message as unknown as {
    readonly systemVersionInfo: string
    readonly resources: readonly ResourceMessage[]
    readonly typeUrl: string
    readonly nonce: string
    readonly removedResources: readonly string[]
    readonly controlPlane?: { readonly identifier: string }
  }
  return {
    typeUrl: message.typeUrl,
    nonce: message.nonce,
    version: message.systemVersionInfo,
    resources: message.resources.map(arrived),
    removed: message.removedResources,
    server: message.controlPlane?.identifier ?? '',
  }
}
