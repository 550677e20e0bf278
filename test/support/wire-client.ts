/**
 * A raw xDS client over real gRPC. It shares no code with src/ for what crosses the wire: the envelopes are encoded and
 * decoded by @grpc/proto-loader from the API's descriptors, so that a mistake in the server's own reading shows.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { type FileDescriptorProto, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import {
  type ChannelCredentials,
  Client,
  type ClientDuplexStream,
  credentials,
  Metadata,
  type MethodDefinition,
  type StatusObject,
  status,
} from '@grpc/grpc-js'
import {
  loadFileDescriptorSetFromBuffer,
  type MessageTypeDefinition,
  type PackageDefinition,
  type ServiceDefinition,
} from '@grpc/proto-loader'
import { atTestEnd } from './at-test-end.ts'
import { messageNames, nameIn, services } from './xds-names.ts'

export type Protocol = 'sotw' | 'delta'

/** `type.googleapis.com/envoy.config.cluster.v3.Cluster` of `cluster`; a type URL, or any other text, stands for itself. */
export function typeUrlOf(type: string): string {
  const message = messageNames[type]
  return message === undefined ? type : `type.googleapis.com/${message}`
}

/** The short word of a type URL, for people. */
export function wordOf(typeUrl: string): string {
  const message = typeUrl.slice(typeUrl.lastIndexOf('/') + 1)
  return Object.keys(messageNames).find((word) => messageNames[word] === message) ?? typeUrl
}

export type ServiceWord = keyof typeof services

/** A request in the protocol's own words: fields of `DiscoveryRequest` or `DeltaDiscoveryRequest`, in snake case. */
export interface WireRequest {
  readonly node?: WireNode
  readonly type_url?: string
  readonly version_info?: string
  readonly resource_names?: readonly string[]
  readonly resource_names_subscribe?: readonly string[]
  readonly resource_names_unsubscribe?: readonly string[]
  readonly initial_resource_versions?: Readonly<Record<string, string>>
  readonly response_nonce?: string
  readonly error_detail?: { readonly code?: number; readonly message: string }
}

export interface WireNode {
  readonly id?: string
  readonly cluster?: string
  /** Plain JSON; sent as a Struct. */
  readonly metadata?: Readonly<Record<string, unknown>>
  readonly user_agent_name?: string
  readonly user_agent_version?: string
  readonly client_features?: readonly string[]
}

/** What a response holds, of both protocols. */
export interface WireResponse {
  readonly typeUrl: string
  /** `version_info`, or in delta `system_version_info`. */
  readonly version: string
  readonly nonce: string
  readonly resources: readonly WireResource[]
  /** `removed_resources`; always empty in SotW. */
  readonly removed: readonly string[]
  /** `control_plane.identifier`. */
  readonly identifier: string
}

export interface WireResource {
  /** The name in the wrapper, or in the message itself. */
  readonly name: string
  /** The type of the resource itself (of the wrapper, when there is no body). */
  readonly typeUrl: string
  /** In a `discovery.v3.Resource` (always in delta). */
  readonly isWrapped: boolean
  /** Of the wrapper; '' without one. */
  readonly version: string
  readonly aliases: readonly string[]
  /** Undefined where the wrapper states none. */
  readonly ttlMs?: number
  /** The message's bytes; undefined in a wrapper without a body (rules 50, 82). */
  readonly bytes?: Uint8Array
}

export interface WireStream {
  readonly protocol: Protocol
  /** All responses so far but those to probes, in order. */
  readonly received: readonly WireResponse[]
  /** Resolves when the stream is over; status by its name: `OK`, `INVALID_ARGUMENT`. Never rejects. */
  readonly closed: Promise<{ readonly code: string; readonly details: string }>
  send(request: WireRequest): void
  /** The next response that was not yet taken. @throws Error when none comes in time, or the stream ends instead */
  next(timeoutMs?: number): Promise<WireResponse>
  /**
   * Resolves when the server has taken all that was sent, and written all that it had to say of it: it has answered a
   * wildcard subscription to a type that nobody has heard of, which this client then forgets. What is still on its way
   * to being said later (by a timer) is not waited for. Only for ADS, and for a node that is served.
   */
  probe(timeoutMs?: number): Promise<void>
  /** Responses that came and were not taken, now. Call `probe` first. */
  pending(): readonly WireResponse[]
  /** Half-closes: the server answers what it was asked and then ends the stream. */
  end(): void
  /** Resets the stream. */
  cancel(): void
}

export interface WireStreamOptions {
  /** 127.0.0.1 by default. */
  readonly host?: string
  readonly port: number
  readonly protocol: Protocol
  /** `ads` by default; `cluster` for CDS's own service, and so on. */
  readonly service?: ServiceWord
  readonly credentials?: ChannelCredentials
}

/** How long a test waits for what must come: long enough for a busy machine, for a passing test never waits it out. */
const patienceMs = 5_000

const probeTypePrefix = 'type.googleapis.com/fairlead.test.Probe'
let lastProbe = 0

/** Opens a stream; closed at the test's end. */
export function openStream(options: WireStreamOptions): WireStream {
  const { host = '127.0.0.1', port, protocol, service = 'ads', credentials: given } = options
  const { path, requestSerialize, responseDeserialize } = methodOf(service, protocol)
  const client = new Client(`${host}:${port}`, given ?? credentials.createInsecure(), {
    'grpc.max_receive_message_length': -1,
    // A connection of its own: one client's stream must not share another's back-pressure.
    'grpc.use_local_subchannel_pool': 1,
    // Proxies of the environment are no part of the test.
    'grpc.enable_http_proxy': 0,
  })
  const call: ClientDuplexStream<object, object> = client.makeBidiStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
    new Metadata(),
  )
  const received: WireResponse[] = []
  const untaken: WireResponse[] = []
  const probed = new Set<string>()
  const waiting = new Set<() => void>()
  let ended: { readonly code: string; readonly details: string } | undefined
  const wake = (): void => {
    for (const look of waiting) look()
  }
  const closed = new Promise<{ readonly code: string; readonly details: string }>((resolve) => {
    call.once('status', ({ code, details }: StatusObject) => {
      ended = { code: status[code], details }
      resolve(ended)
      wake()
      client.close()
    })
  })
  // The status says all; without a listener the error would end the process.
  call.on('error', () => {})
  call.on('data', (message: object) => {
    const response = decodeResponse(message as RawResponse, protocol)
    if (response.typeUrl.startsWith(probeTypePrefix)) probed.add(response.typeUrl)
    else {
      received.push(response)
      untaken.push(response)
    }
    wake()
  })
  atTestEnd(() => {
    call.cancel()
    client.close()
  })

  /** Waits for an event after which `look` has a value. */
  const until = <T>(what: string, timeoutMs: number, look: () => T | undefined): Promise<T> =>
    new Promise((resolve, reject) => {
      const settle = (then: () => void): void => {
        waiting.delete(attempt)
        clearTimeout(timer)
        then()
      }
      const attempt = (): void => {
        const value = look()
        if (value !== undefined) settle(() => resolve(value))
        else if (ended) {
          const { code, details } = ended
          settle(() => reject(new Error(`instead of ${what} the stream ended: ${code} ${details}`)))
        }
      }
      const timer = setTimeout(() => settle(() => reject(new Error(`no ${what} within ${timeoutMs} ms`))), timeoutMs)
      waiting.add(attempt)
      attempt()
    })

  const send = (request: WireRequest): void => void call.write(encodeRequest(request))
  return {
    protocol,
    received,
    closed,
    send,
    next: (timeoutMs = patienceMs) => until('response', timeoutMs, () => untaken.shift()),
    probe: async (timeoutMs = patienceMs) => {
      if (service !== 'ads') throw new Error('only an aggregated stream can be probed: end() this one, await closed')
      lastProbe += 1
      const type_url = `${probeTypePrefix}${lastProbe}`
      // Not an empty list: that is no wildcard for some clients (rule 47).
      send({ type_url, ...(protocol === 'sotw' ? { resource_names: ['*'] } : { resource_names_subscribe: ['*'] }) })
      await until('answer to a probe', timeoutMs, () => probed.has(type_url) || undefined)
    },
    pending: () => [...untaken],
    end: () => call.end(),
    cancel: () => call.cancel(),
  }
}

/** As proto-loader decodes them, fields in snake case; absent fields are absent. */
interface RawResponse {
  readonly version_info?: string
  readonly system_version_info?: string
  readonly type_url?: string
  readonly nonce?: string
  readonly resources?: readonly (RawAny | RawResource)[]
  readonly removed_resources?: readonly string[]
  readonly control_plane?: { readonly identifier?: string }
}

interface RawAny {
  readonly type_url?: string
  readonly value?: Uint8Array
}

interface RawResource {
  readonly name?: string
  readonly version?: string
  readonly aliases?: readonly string[]
  readonly ttl?: { readonly seconds?: string; readonly nanos?: number }
  readonly resource?: RawAny
}

const wrapperType = 'type.googleapis.com/envoy.service.discovery.v3.Resource'

function decodeResponse(raw: RawResponse, protocol: Protocol): WireResponse {
  const resources = (raw.resources ?? []).map((resource) => {
    if (protocol === 'delta') return wrapped(resource as RawResource)
    const any = resource as RawAny
    return any.type_url === wrapperType ? wrapped(decodeWrapper(any.value ?? new Uint8Array())) : plain(any)
  })
  return {
    typeUrl: raw.type_url ?? '',
    version: (protocol === 'delta' ? raw.system_version_info : raw.version_info) ?? '',
    nonce: raw.nonce ?? '',
    resources,
    removed: raw.removed_resources ?? [],
    identifier: raw.control_plane?.identifier ?? '',
  }
}

function plain(any: RawAny): WireResource {
  const bytes = any.value ?? new Uint8Array()
  return { name: nameIn(bytes), typeUrl: any.type_url ?? '', isWrapped: false, version: '', aliases: [], bytes }
}

function wrapped({ name, version, aliases, ttl, resource }: RawResource): WireResource {
  return {
    name: name ?? '',
    typeUrl: resource?.type_url ?? wrapperType,
    isWrapped: true,
    version: version ?? '',
    aliases: aliases ?? [],
    ...(ttl && { ttlMs: Number(ttl.seconds ?? 0) * 1000 + (ttl.nanos ?? 0) / 1e6 }),
    ...(resource && { bytes: resource.value ?? new Uint8Array() }),
  }
}

function encodeRequest(request: WireRequest): object {
  const { node, initial_resource_versions: versions } = request
  return {
    ...request,
    ...(node && { node: { ...node, ...(node.metadata && { metadata: structOf(node.metadata) }) } }),
    ...(versions && { initial_resource_versions: entriesOf(versions) }),
  }
}

/** proto-loader takes a map of a descriptor set for what it is on the wire: a list of entries. */
function entriesOf(map: Readonly<Record<string, unknown>>): object[] {
  return Object.entries(map).map(([key, value]) => ({ key, value }))
}

function structOf(value: Readonly<Record<string, unknown>>): object {
  return { fields: Object.entries(value).map(([key, item]) => ({ key, value: valueOf(item) })) }
}

function valueOf(value: unknown): object {
  if (value === null) return { null_value: 0 }
  if (typeof value === 'string') return { string_value: value }
  if (typeof value === 'number') return { number_value: value }
  if (typeof value === 'boolean') return { bool_value: value }
  if (Array.isArray(value)) return { list_value: { values: value.map(valueOf) } }
  return { struct_value: structOf(value as Record<string, unknown>) }
}

/** The path of an aggregated stream's method, and how the bytes of its responses are read: for who stands between two others. */
export function aggregatedMethod(protocol: Protocol): {
  readonly path: string
  readonly readResponse: (bytes: Buffer) => WireResponse
} {
  const { path, responseDeserialize } = methodOf('ads', protocol)
  return { path, readResponse: (bytes) => decodeResponse(responseDeserialize(bytes) as RawResponse, protocol) }
}

const definitions = loadDefinitions()

function decodeWrapper(bytes: Uint8Array): RawResource {
  const definition = definitions['envoy.service.discovery.v3.Resource'] as MessageTypeDefinition<object, object>
  return definition.deserialize(Buffer.from(bytes)) as RawResource
}

/** Those of the services alone: proto-loader takes half a second for the whole API. */
function loadDefinitions(): PackageDefinition {
  const file = fileURLToPath(new URL('../../dist/api/default.binpb', import.meta.url))
  const all = new Map(fromBinary(FileDescriptorSetSchema, readFileSync(file)).file.map((f) => [f.name, f]))
  const chosen = new Set<FileDescriptorProto>()
  const choose = (descriptor: FileDescriptorProto | undefined): void => {
    if (descriptor === undefined || chosen.has(descriptor)) return
    for (const dependency of descriptor.dependency) choose(all.get(dependency))
    chosen.add(descriptor)
  }
  const names = new Set(Object.values(services).map(({ service }) => service))
  for (const descriptor of all.values()) {
    if (descriptor.service.some(({ name }) => names.has(`${descriptor.package}.${name}`))) choose(descriptor)
  }
  const set = toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file: [...chosen] }))
  return loadFileDescriptorSetFromBuffer(Buffer.from(set), { keepCase: true, longs: String, enums: String })
}

function methodOf(service: ServiceWord, protocol: Protocol): MethodDefinition<object, object> {
  const names = services[service]
  const method = names?.[protocol]
  const definition = (definitions[names?.service ?? ''] as ServiceDefinition | undefined)?.[method ?? '']
  if (definition === undefined) throw new Error(`${service} has no ${protocol} method`)
  return definition as unknown as MethodDefinition<object, object>
}
