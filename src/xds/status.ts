import type { Origin } from '../errors.ts'
import type { Metrics, TallyCell, TimesCell } from '../metrics.ts'
import type { Node } from '../resource/node.ts'
import type { Resource } from '../resource/resource.ts'
import { resourceTypeOf, type TypeUrl, wordOf } from '../resource/type-url.ts'
import type { Presence } from './flow/shared-node-ids.ts'
import type { StandingRejection } from './rejection/rejection-book.ts'
import type { StreamRejections } from './rejection/stream-rejections.ts'
import type { Protocol } from './stream-event.ts'

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
  /** Resources that the node rejected and does not get until they change (rule 103). */
  readonly rejected: readonly RejectedStatus[]
  /** Since when it is held back, and goes on with what it has, for that may be newer than what is in force here (rule 87): RFC 3339. */
  readonly heldBackSince?: string
}

/** A resource as it is in force, and as one node rejected it. */
export interface RejectedStatus {
  readonly type: string
  readonly name: string
  /** The version that was rejected. */
  readonly version: string
  /** The version that the node has instead: null when it has none, `unknown` when it is not of this server. */
  readonly keeps: string | null
  readonly origin: Origin
  /** RFC 3339. */
  readonly since: string
  /** The node's reason. */
  readonly message: string
}

/** Where a resource stands that a node has. */
export type OriginOf = (resource: Resource, node: Node) => Origin | undefined

/** Reads who is connected; `admin/` and the CLI show it. */
export interface StatusReader {
  /** Streams that named their node, in order of node id. */
  nodes(): readonly NodeStatus[]
}

/** What happens to one type of a stream, told where it happens. */
export class TypeRecord {
  readonly #tallies: Tallies
  #names = 0
  #isWildcard = false
  #sent: string | undefined
  #acked: string | undefined
  #nacked: TypeStatus['nacked']
  /** What was rejected is known, and the client gets all else. */
  #isBlamed = false
  #responses = 0
  #resources = 0

  constructor(tallies: Tallies) {
    this.#tallies = tallies
  }

  asked(names: number, isWildcard: boolean): void {
    this.#names = names
    this.#isWildcard = isWildcard
  }

  sent(version: string, resources: number, bytes: number): void {
    this.#sent = version
    this.#isBlamed = false
    this.#responses++
    this.#resources += resources
    this.#tallies.responses.value++
    this.#tallies.bytes.value += bytes
  }

  /** Nothing that the client is brought to, so not among its responses. */
  heartbeat(bytes: number): void {
    this.#tallies.heartbeats.value++
    this.#tallies.bytes.value += bytes
  }

  /** `ms`: from the response. `isPartial`: the client does not have all of `version`. */
  acked(version: string, ms: number, isPartial: boolean): void {
    if (!isPartial) {
      this.#acked = version
      this.#nacked = undefined
    }
    this.#tallies.acks.value++
    this.#tallies.ackSeconds.observe(ms / 1000)
  }

  nacked(version: string, message: string): void {
    this.#nacked = { version, at: new Date().toISOString(), message }
    this.#isBlamed = false
    this.#tallies.nacks.value++
  }

  /** The client told late that it had rejected a response before the one that it took. */
  rejectedBefore(): void {
    this.#tallies.nacks.value++
  }

  /** The rejection is about known resources. `taken`: the version that the client has without them, if it said so. */
  blamed(taken: string | undefined): void {
    this.#isBlamed = true
    if (taken === undefined) return
    this.#sent = taken
    this.#acked = taken
  }

  /** `isRejecting`: the client is kept from something of this type. When nothing is any more, the rejection is over. */
  statusWhile(isRejecting: boolean): TypeStatus {
    const isOver = this.#isBlamed && !isRejecting
    const sent = isOver ? this.#acked : this.#sent
    return {
      names: this.#names,
      isWildcard: this.#isWildcard,
      ...(sent !== undefined && { sent }),
      ...(this.#acked !== undefined && { acked: this.#acked }),
      ...(this.#nacked !== undefined && !isOver && { nacked: this.#nacked }),
      responses: this.#responses,
      resources: this.#resources,
    }
  }
}

/** Looked up once for a type of a stream, for they are added to with every response. */
interface Tallies {
  readonly responses: TallyCell
  readonly heartbeats: TallyCell
  readonly bytes: TallyCell
  readonly acks: TallyCell
  readonly nacks: TallyCell
  readonly ackSeconds: TimesCell
}

const maxWarnings = 10

interface RecordContext {
  readonly metrics: Metrics | undefined
  readonly originOf: OriginOf
}

/** What is known of one stream. */
export class StreamRecord {
  readonly streamId: number
  readonly protocol: Protocol
  readonly #peer: string
  readonly #metrics: Metrics | undefined
  readonly #originOf: OriginOf
  readonly #onClosed: () => void
  readonly #connectedAtMs = Date.now()
  readonly #service: TypeUrl | undefined
  readonly #sinceMs = performance.now()
  readonly #types = new Map<TypeUrl, TypeRecord>()
  #node: Node | undefined
  #group = ''
  #rejections: Pick<StreamRejections, 'standing'> | undefined
  #warnings: readonly string[] = []
  #heldBackSince: string | undefined

  constructor(open: OpenStream, { metrics, originOf }: RecordContext, onClosed: () => void) {
    this.#originOf = originOf
    this.streamId = open.streamId
    this.protocol = open.protocol
    this.#peer = open.peer
    this.#service = open.service
    this.#metrics = metrics
    this.#onClosed = onClosed
    metrics?.streams.inc({ protocol: open.protocol })
  }

  joined(node: Node, group: string): void {
    this.#node = node
    this.#group = group
  }

  /** Undefined until the stream has named its node. */
  get presence(): Presence | undefined {
    if (this.#node === undefined) return undefined
    const { id: nodeId } = this.#node
    const warn = (message: string): void => this.warned(message)
    return { nodeId, peer: this.#peer, service: this.#service, sinceMs: this.#sinceMs, warn }
  }

  movedTo(group: string): void {
    this.#group = group
  }

  typeOf(typeUrl: TypeUrl): TypeRecord {
    let type = this.#types.get(typeUrl)
    if (type === undefined) {
      // Clients can make up types without end.
      type = new TypeRecord(talliesOf(this.#metrics, resourceTypeOf(typeUrl)?.word ?? 'other', this.protocol))
      this.#types.set(typeUrl, type)
    }
    return type
  }

  warned(message: string): void {
    this.#warnings = [...this.#warnings, message].slice(-maxWarnings)
  }

  /** What the client has may be newer than what is in force here. */
  heldBack(isHeldBack: boolean): void {
    this.#heldBackSince = isHeldBack ? new Date().toISOString() : undefined
  }

  /** From now on the client has some resources that it rejected. */
  rejected(rejections: Pick<StreamRejections, 'standing'>): void {
    this.#rejections = rejections
  }

  /** Of what the client should have, what it rejected. */
  get standing(): readonly StandingRejection[] {
    return this.#rejections?.standing ?? []
  }

  /** Undefined until the stream has named its node. */
  get nodeId(): string | undefined {
    return this.#node?.id
  }

  /** Where a resource stands now. */
  placeOf(resource: Resource): Origin {
    return (this.#node && this.#originOf(resource, this.#node)) ?? resource.origin
  }

  closed(): void {
    this.#metrics?.streams.dec({ protocol: this.protocol })
    this.#onClosed()
  }

  /** Undefined until the stream has named its node. */
  get status(): NodeStatus | undefined {
    const node = this.#node
    if (node === undefined) return undefined
    const rejected = this.standing.map((one) => rejectedStatus(one, this.placeOf(one.resource)))
    const rejecting = new Set(rejected.map(({ type }) => type))
    const types = [...this.#types].map(([typeUrl, type]): [string, TypeStatus] => {
      const word = wordOf(typeUrl)
      return [word, type.statusWhile(rejecting.has(word))]
    })
    return {
      streamId: this.streamId,
      id: node.id,
      cluster: node.cluster,
      group: this.#group,
      protocol: this.protocol,
      userAgent: `${node.userAgentName} ${node.userAgentVersion}`.trim(),
      peer: this.#peer,
      connectedAt: new Date(this.#connectedAtMs).toISOString(),
      types: Object.fromEntries(types),
      warnings: this.#warnings,
      rejected,
      ...(this.#heldBackSince !== undefined && { heldBackSince: this.#heldBackSince }),
    }
  }
}

function rejectedStatus({ resource, accepted, since, message }: StandingRejection, origin: Origin): RejectedStatus {
  const { typeUrl, name, version } = resource
  return { type: wordOf(typeUrl), name, version, keeps: accepted?.version ?? null, origin, since, message }
}

/** A stream that was just opened. */
export interface OpenStream {
  readonly streamId: number
  readonly protocol: Protocol
  /** The client's address and port. */
  readonly peer: string
  /** The type of a per-type service; undefined on ADS. */
  readonly service?: TypeUrl | undefined
}

/** Keeps the state of every open stream: the end of the one direction of data (docs/decisions/0001). */
export class StatusRecorder implements StatusReader {
  readonly #streams = new Set<StreamRecord>()
  readonly #metrics: Metrics | undefined
  readonly #originOf: OriginOf

  /** `originOf`: where a resource stands now, if that is known better than by itself. */
  constructor(metrics?: Metrics, originOf: OriginOf = () => undefined) {
    this.#metrics = metrics
    this.#originOf = originOf
    metrics?.rejectedResources.from(() => this.#countRejected())
  }

  #countRejected(): ReadonlyMap<{ readonly type: string }, number> {
    const byType = new Map<string, Set<string>>()
    for (const { nodeId, standing } of this.#streams) {
      for (const { resource } of standing) {
        const type = wordOf(resource.typeUrl)
        byType.set(type, (byType.get(type) ?? new Set<string>()).add(`${nodeId}\0${resource.name}`))
      }
    }
    return new Map([...byType].map(([type, resources]) => [{ type }, resources.size]))
  }

  /** A record that its stream writes to until it is closed. */
  open(open: OpenStream): StreamRecord {
    const context = { metrics: this.#metrics, originOf: this.#originOf }
    const record: StreamRecord = new StreamRecord(open, context, () => this.#streams.delete(record))
    this.#streams.add(record)
    return record
  }

  *presences(): Generator<Presence> {
    for (const { presence } of this.#streams) if (presence !== undefined) yield presence
  }

  nodes(): readonly NodeStatus[] {
    const nodes: NodeStatus[] = []
    for (const { status } of this.#streams) if (status !== undefined) nodes.push(status)
    return nodes.sort((a, b) => (a.id === b.id ? a.streamId - b.streamId : a.id < b.id ? -1 : 1))
  }
}

function talliesOf(metrics: Metrics | undefined, type: string, protocol: Protocol): Tallies {
  const nobodysCell = { value: 0 }
  return {
    responses: metrics?.responses.cell({ type, protocol }) ?? nobodysCell,
    heartbeats: metrics?.heartbeats.cell({ type }) ?? nobodysCell,
    bytes: metrics?.responseBytes.cell({ type, protocol }) ?? nobodysCell,
    acks: metrics?.acks.cell({ type }) ?? nobodysCell,
    nacks: metrics?.nacks.cell({ type }) ?? nobodysCell,
    ackSeconds: metrics?.ackSeconds.cell({ type }) ?? { observe: () => {} },
  }
}
