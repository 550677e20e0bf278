/**
 * xDS on the wire, read and written by a protobuf library from the descriptors of Envoy's API: no code of any server's takes
 * part in it.
 */
import {
  type DescMessage,
  equals,
  fromBinary,
  fromJson,
  type JsonValue,
  type Message,
  toBinary,
} from '@bufbuild/protobuf'
import { Client, type ClientDuplexStream, credentials, status } from '@grpc/grpc-js'
import { type EnvoyApi, loadEnvoyApi } from '../../src/resource/envoy-api.ts'
import { nameIn, services } from '../support/xds-names.ts'
import type { Protocol } from './case.ts'
import { type Json, wordOf } from './kinds.ts'

export interface Response {
  readonly type: string
  readonly version: string
  readonly nonce: string
  readonly resources: readonly Received[]
  readonly removed: readonly string[]
}

export interface Received {
  readonly name: string
  /** The type in the resource itself; undefined without a body. */
  readonly type?: string
  readonly isWrapped: boolean
  readonly version: string
  readonly aliases: readonly string[]
  readonly ttlMs?: number
  readonly bytes?: Uint8Array
}

export interface Ending {
  /** The name of the gRPC status. */
  readonly code: string
  readonly details: string
}

export interface WireStream {
  send(request: Json): void
  /** Half-closes. */
  end(): void
  cancel(): void
  readonly ended: Ending | undefined
  readonly closed: Promise<Ending>
}

export interface StreamListener {
  onResponse(response: Response): void
  onEnd(ending: Ending): void
}

export interface Wire {
  open(target: StreamTarget, listener: StreamListener): WireStream
  /** Whether the bytes are a message equal to this JSON, field by field. */
  isSame(bytes: Uint8Array, json: Json): boolean
  /** @throws Error for what Envoy's API does not know */
  check(json: Json): void
}

export interface StreamTarget {
  readonly address: string
  readonly protocol: Protocol
  /** `ads`, or a type. */
  readonly service: string
  readonly limitBytes?: number
}

/** Loads the descriptors. */
export function loadWire(): Wire {
  const api = loadEnvoyApi()
  const requests = { sotw: messageOf(api, 'DiscoveryRequest'), delta: messageOf(api, 'DeltaDiscoveryRequest') }
  const read = readerOf(api)
  const decoded = (json: Json): { desc: DescMessage; message: Message } => {
    const { '@type': type, ...fields } = json
    const desc = api.registry.getMessage(String(type).slice(String(type).lastIndexOf('/') + 1))
    if (desc === undefined) throw new Error(`Envoy's API has no ${String(type)}`)
    return { desc, message: fromJson(desc, fields as JsonValue, { registry: api.registry }) }
  }
  return {
    open: (target, listener) =>
      openStream(target, listener, {
        write: (request) => {
          const desc = requests[target.protocol]
          return Buffer.from(toBinary(desc, fromJson(desc, request as JsonValue, { registry: api.registry })))
        },
        read: (bytes) => read(target.protocol, bytes),
      }),
    isSame(bytes, json) {
      const { desc, message } = decoded(json)
      return equals(desc, fromBinary(desc, bytes), message, { registry: api.registry, unpackAny: true, unknown: true })
    },
    check: (json) => void decoded(json),
  }
}

function messageOf(api: EnvoyApi, name: string): DescMessage {
  return api.registry.getMessage(`envoy.service.discovery.v3.${name}`) as DescMessage
}

interface Coding {
  readonly write: (request: Json) => Buffer
  readonly read: (bytes: Buffer) => Response
}

function openStream(target: StreamTarget, listener: StreamListener, coding: Coding): WireStream {
  const { address, protocol, service, limitBytes = -1 } = target
  const known = services[service]
  const method = known?.[protocol]
  if (known === undefined || method === undefined) throw new Error(`${service} has no ${protocol} method`)
  const client = new Client(address, credentials.createInsecure(), {
    'grpc.max_receive_message_length': limitBytes,
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_http_proxy': 0,
  })
  const call: ClientDuplexStream<Json, Response> = client.makeBidiStreamRequest(
    `/${known.service}/${method}`,
    coding.write,
    coding.read,
  )
  let ended: Ending | undefined
  const closed = new Promise<Ending>((resolve) => {
    call.once('status', ({ code, details }) => {
      ended = { code: status[code], details }
      client.close()
      listener.onEnd(ended)
      resolve(ended)
    })
  })
  // The status says all; without a listener the error would end the process.
  call.on('error', () => {})
  call.on('data', (response: Response) => listener.onResponse(response))
  return {
    send: (request) => void call.write(request),
    end: () => call.end(),
    cancel: () => call.cancel(),
    get ended() {
      return ended
    },
    closed,
  }
}

interface AnyMessage {
  readonly typeUrl: string
  readonly value: Uint8Array
}

interface WrapperMessage {
  readonly name: string
  readonly version: string
  readonly aliases: readonly string[]
  readonly ttl?: { readonly seconds: bigint; readonly nanos: number }
  readonly resource?: AnyMessage
}

function readerOf(api: EnvoyApi): (protocol: Protocol, bytes: Uint8Array) => Response {
  const wrapper = messageOf(api, 'Resource')
  const responses = { sotw: messageOf(api, 'DiscoveryResponse'), delta: messageOf(api, 'DeltaDiscoveryResponse') }

  const plain = (any: AnyMessage): Received => {
    const type = wordOf(any.typeUrl)
    return { name: nameIn(any.value), type, isWrapped: false, version: '', aliases: [], bytes: any.value }
  }
  const wrapped = ({ name, version, aliases, ttl, resource }: WrapperMessage): Received => ({
    name: name === '' && resource !== undefined ? nameIn(resource.value) : name,
    isWrapped: true,
    version,
    aliases,
    ...(ttl && { ttlMs: Number(ttl.seconds) * 1000 + ttl.nanos / 1e6 }),
    ...(resource && { type: wordOf(resource.typeUrl), bytes: resource.value }),
  })
  return (protocol, bytes) => {
    const message = fromBinary(responses[protocol], bytes) as unknown as {
      readonly typeUrl: string
      readonly nonce: string
      readonly versionInfo?: string
      readonly systemVersionInfo?: string
      readonly resources: readonly (AnyMessage & WrapperMessage)[]
      readonly removedResources?: readonly string[]
    }
    const received = message.resources.map((one) => {
      if (protocol === 'delta') return wrapped(one)
      if (!one.typeUrl.endsWith('/envoy.service.discovery.v3.Resource')) return plain(one)
      return wrapped(fromBinary(wrapper, one.value) as unknown as WrapperMessage)
    })
    return {
      type: wordOf(message.typeUrl),
      version: message.versionInfo ?? message.systemVersionInfo ?? '',
      nonce: message.nonce,
      resources: received,
      removed: message.removedResources ?? [],
    }
  }
}
