import type { Metrics } from '../metrics.ts'
import type { Node } from '../resource/node.ts'
import { type TypeUrl, wordOf } from '../resource/type-url.ts'
import type { Protocol, StreamEvent } from './stream-event.ts'

/** What one client has of one type. */
export interface TypeStatus {
  /** Names that it asked for, beside a wildcard. */
  readonly names: number
  readonly isWildcard: boolean
  /** The version last sent; absent before the first response. */
  readonly sent?: string
  /** The version last accepted. */
  readonly acked?: string
  /** The last rejection, until a later response is accepted. */
  readonly nacked?: { readonly version: string; readonly at: string; readonly message: string }
  readonly responses: number
  readonly resources: number
}

/** One stream of one client; an Envoy has one, or several while it reconnects. */
export interface NodeStatus {
  readonly streamId: number
  readonly id: string
  readonly cluster: string
  readonly group: string
  readonly protocol: Protocol
  /** `envoy 1.40.0`. */
  readonly userAgent: string
  readonly peer: string
  readonly connectedAt: string
  /** By the type's short word, in the order in which the client asked. */
  readonly types: Readonly<Record<string, TypeStatus>>
  readonly warnings: readonly string[]
}

/** Reads who is connected; `admin/` and the CLI show it. */
export interface StatusReader {
  /** Streams that named their node, in order of node id. */
  nodes(): readonly NodeStatus[]
}

interface MutableTypeStatus {
  names: number
  isWildcard: boolean
  sent: string | undefined
  acked: string | undefined
  nacked: TypeStatus['nacked']
  responses: number
  resources: number
}

interface StreamStatus {
  readonly protocol: Protocol
  readonly peer: string
  readonly connectedAtMs: number
  node: Node | undefined
  group: string
  readonly types: Map<TypeUrl, MutableTypeStatus>
  warnings: string[]
}

const maxWarnings = 10

/** Keeps the state of every open stream, told event by event: the end of the one direction of data (DESIGN.md 1). */
export class StatusRecorder implements StatusReader {
  readonly #streams = new Map<number, StreamStatus>()
  readonly #metrics: Metrics | undefined

  constructor(metrics?: Metrics) {
    this.#metrics = metrics
  }

  record(event: StreamEvent): void {
    if (event.kind === 'open') {
      this.#metrics?.streams.inc({ protocol: event.protocol })
      this.#streams.set(event.streamId, {
        protocol: event.protocol,
        peer: event.peer,
        connectedAtMs: Date.now(),
        node: undefined,
        group: '',
        types: new Map(),
        warnings: [],
      })
      return
    }
    const stream = this.#streams.get(event.streamId)
    if (stream === undefined) return
    switch (event.kind) {
      case 'node':
        stream.node = event.node
        stream.group = event.group
        break
      case 'group':
        stream.group = event.group
        break
      case 'request': {
        const type = typeOf(stream, event.typeUrl)
        type.names = event.names
        type.isWildcard = event.isWildcard
        break
      }
      case 'sent': {
        const type = typeOf(stream, event.typeUrl)
        type.sent = event.version
        type.responses++
        type.resources += event.resources
        const labels = { type: wordOf(event.typeUrl), protocol: stream.protocol }
        this.#metrics?.responses.inc(labels)
        this.#metrics?.responseBytes.inc(labels, event.bytes)
        break
      }
      case 'ack': {
        const type = typeOf(stream, event.typeUrl)
        type.acked = event.version
        type.nacked = undefined
        const labels = { type: wordOf(event.typeUrl) }
        this.#metrics?.acks.inc(labels)
        this.#metrics?.ackSeconds.observe(labels, event.ms / 1000)
        break
      }
      case 'nack':
        typeOf(stream, event.typeUrl).nacked = {
          version: event.version,
          at: new Date().toISOString(),
          message: event.message,
        }
        this.#metrics?.nacks.inc({ type: wordOf(event.typeUrl) })
        break
      case 'warning':
        stream.warnings = [...stream.warnings, event.message].slice(-maxWarnings)
        break
      case 'close':
        this.#metrics?.streams.dec({ protocol: stream.protocol })
        this.#streams.delete(event.streamId)
        break
    }
  }

  nodes(): readonly NodeStatus[] {
    const nodes: NodeStatus[] = []
    for (const [streamId, stream] of this.#streams) {
      const { node } = stream
      if (node === undefined) continue
      nodes.push({
        streamId,
        id: node.id,
        cluster: node.cluster,
        group: stream.group,
        protocol: stream.protocol,
        userAgent: `${node.userAgentName} ${node.userAgentVersion}`.trim(),
        peer: stream.peer,
        connectedAt: new Date(stream.connectedAtMs).toISOString(),
        types: Object.fromEntries([...stream.types].map(([typeUrl, type]) => [wordOf(typeUrl), snapshotOf(type)])),
        warnings: stream.warnings,
      })
    }
    return nodes.sort((a, b) => (a.id === b.id ? a.streamId - b.streamId : a.id < b.id ? -1 : 1))
  }
}

function typeOf(stream: StreamStatus, typeUrl: TypeUrl): MutableTypeStatus {
  let type = stream.types.get(typeUrl)
  if (type === undefined) {
    type = {
      names: 0,
      isWildcard: false,
      sent: undefined,
      acked: undefined,
      nacked: undefined,
      responses: 0,
      resources: 0,
    }
    stream.types.set(typeUrl, type)
  }
  return type
}

function snapshotOf(type: MutableTypeStatus): TypeStatus {
  return {
    names: type.names,
    isWildcard: type.isWildcard,
    ...(type.sent !== undefined && { sent: type.sent }),
    ...(type.acked !== undefined && { acked: type.acked }),
    ...(type.nacked !== undefined && { nacked: type.nacked }),
    responses: type.responses,
    resources: type.resources,
  }
}
