import type { Node } from '../resource/node.ts'
import type { TypeUrl } from '../resource/type-url.ts'

/** Which of the two protocols a stream speaks: state of the world, or incremental. */
export type Protocol = 'sotw' | 'delta'

/** What is common to all that happens on a stream. */
interface StreamEventBase {
  /** Unique in the life of this process; increases with every stream. */
  readonly streamId: number
}

/** A stream was opened; its node is not known before the first request. */
export interface OpenEvent extends StreamEventBase {
  readonly kind: 'open'
  readonly protocol: Protocol
  /** The gRPC method: `/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources`. */
  readonly method: string
  /** The client's address and port. */
  readonly peer: string
}

/** The first request named the node; what the node is served follows from `group`. */
export interface NodeEvent extends StreamEventBase {
  readonly kind: 'node'
  readonly node: Node
  /** The group's label, for people. */
  readonly group: string
}

/** The selectors changed, and with them the node's group. */
export interface GroupEvent extends StreamEventBase {
  readonly kind: 'group'
  /** The new group's label, for people. */
  readonly group: string
}

/** A request that subscribes or unsubscribes: not a mere ACK or NACK. */
export interface RequestEvent extends StreamEventBase {
  readonly kind: 'request'
  readonly typeUrl: TypeUrl
  /** Names that the client now asks for; for a wildcard, those beside it. */
  readonly names: number
  readonly isWildcard: boolean
}

/** A response was handed to the socket. */
export interface SentEvent extends StreamEventBase {
  readonly kind: 'sent'
  readonly typeUrl: TypeUrl
  /** Version of the set that the response brings the client to. */
  readonly version: string
  readonly nonce: string
  /** Resources in the response. */
  readonly resources: number
  /** Removed names in the response; 0 in SotW. */
  readonly removed: number
  readonly bytes: number
  /** True where a request asked for it; false for a push. */
  readonly isAnswer: boolean
}

/** A response without bodies that tells a delta client that what it has is still in force (rule 82): no update. */
export interface HeartbeatEvent extends StreamEventBase {
  readonly kind: 'heartbeat'
  readonly typeUrl: TypeUrl
  readonly nonce: string
  readonly resources: number
  readonly bytes: number
}

/** The client took a response. */
export interface AckEvent extends StreamEventBase {
  readonly kind: 'ack'
  readonly typeUrl: TypeUrl
  readonly version: string
  readonly nonce: string
  /** From the write of the response to its ACK. */
  readonly ms: number
  /** The client does not have all of `version`: it was a part of a push, or names sent beside a rejected response. */
  readonly isPartial?: boolean
}

/** The client refused a response. */
export interface NackEvent extends StreamEventBase {
  readonly kind: 'nack'
  readonly typeUrl: TypeUrl
  /** The version that was refused. */
  readonly version: string
  readonly nonce: string
  /** What the client says, without a dumped resource, at most 500 characters (rule 102). */
  readonly message: string
  readonly ms: number
}

/** Something on a stream that a person should know and that does not end it. */
export interface WarningEvent extends StreamEventBase {
  readonly kind: 'warning'
  readonly typeUrl: TypeUrl | undefined
  readonly message: string
}

/** The stream is over; nothing follows. */
export interface CloseEvent extends StreamEventBase {
  readonly kind: 'close'
  /** Why, for people: `client closed`, `cancelled`, or the status that we ended it with. */
  readonly reason: string
}

/** All that happens on a stream, in order, for those who look on. */
export type StreamEvent =
  | OpenEvent
  | NodeEvent
  | GroupEvent
  | RequestEvent
  | SentEvent
  | HeartbeatEvent
  | AckEvent
  | NackEvent
  | WarningEvent
  | CloseEvent
