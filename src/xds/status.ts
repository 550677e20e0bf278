import type { Metrics, TallyCell } from '../metrics.ts'
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
  readonly tallies: Tallies
}

/** Looked up once for a type of a stream, for they are added to with every response. */
interface Tallies {
  readonly responses: TallyCell
  readonly bytes: TallyCell
  readonly acks: TallyCell
  readonly nacks: TallyCell
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
        const type = this.#typeOf(stream, event.typeUrl)
        type.names = event.names
        type.isWildcard = event.isWildcard
        break
      }
      case 'sent': {
        const type = this.#typeOf(stream, event.typeUrl)
        type.sent = event.version
        type.responses++
        type.resources += event.resources
        type.tallies.responses.value++
        type.tallies.bytes.value += event.bytes
        break
      }
      case 'ack': {
        const type = this.#typeOf(stream, event.typeUrl)
        if (event.isPartial !== true) {
          type.acked = event.version
          type.nacked = undefined
        }
        type.tallies.acks.value++
        this.#metrics?.ackSeconds.observe({ type: wordOf(event.typeUrl) }, event.ms / 1000)
        break
      }
      case 'nack': {
        const type = this.#typeOf(stream, event.typeUrl)
        type.nacked = { version: event.version, at: new Date().toISOString(), message: event.message }
        type.tallies.nacks.value++
        break
      }
      case 'warning':
        stream.warnings = [...stream.warnings, event.message].slice(-maxWarnings)
        break
      case 'close':
        this.#metrics?.streams.dec({ protocol: stream.protocol })
        this.#streams.delete(event.streamId)
        break
    }
  }

  #typeOf(stream: StreamStatus, typeUrl: TypeUrl): MutableTypeStatus {
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
        tallies: this.#talliesOf(wordOf(typeUrl), stream.protocol),
      }
      stream.types.set(typeUrl, type)
    }
    return type
  }

  #talliesOf(type: string, protocol: Protocol): Tallies {
    const nobodysCell = { value: 0 }
    return {
      responses: this.#metrics?.responses.cell({ type, protocol }) ?? nobodysCell,
      bytes: this.#metrics?.responseBytes.cell({ type, protocol }) ?? nobodysCell,
      acks: this.#metrics?.acks.cell({ type }) ?? nobodysCell,
      nacks: this.#metrics?.nacks.cell({ type }) ?? nobodysCell,
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
