import type { JsonObject } from '../config/field-reader.ts'
import type { NamedType, WildcardType } from './discovery.ts'

/** What a proxy may be told to do wrong, for tests of a control plane. Each is asked for anew every time. */
export interface Misbehaviour {
  /** Why a resource is to be refused though nothing is wrong with it. */
  refuses?(resource: RefusableResource): string | undefined
  /** Never answers responses of this type. */
  neverAnswers?(type: WildcardType | NamedType): boolean
  /** Requests that get lost. */
  drops?(request: OutgoingRequest): boolean
  /** The requests that would go out now, in another order. */
  reorders?(requests: readonly OutgoingRequest[]): readonly OutgoingRequest[]
}

export interface RefusableResource {
  readonly type: WildcardType | NamedType
  readonly name: string
  readonly version: string
  readonly content: JsonObject
}

export interface OutgoingRequest {
  readonly type: WildcardType | NamedType
  /** It answers a response: an ACK or a NACK. */
  readonly isAnswer: boolean
  readonly bytes: Buffer
}
