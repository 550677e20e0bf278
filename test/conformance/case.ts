/** What a case is, once it was read: plain values, without a word of how they are written. */
import type { ResourceSpec } from './kinds.ts'

/** What a server owes: by the specification, by its advice and the field's experience, or by fairlead's own rules 101–106. */
export type Level = 'must' | 'should' | 'ours'
export const levels: readonly Level[] = ['must', 'should', 'ours']

export type Protocol = 'sotw' | 'delta'
export const protocols: readonly Protocol[] = ['sotw', 'delta']

export interface Case {
  readonly level: Level
  /** A sentence; unique with the protocol. */
  readonly title: string
  /** Of docs/protocol.md. */
  readonly rules: readonly number[]
  readonly protocol: Protocol
  /** `ads`, or the type whose own service is called. */
  readonly service: string
  /** `client` is always among them. */
  readonly clients: Readonly<Record<string, ClientSpec>>
  readonly turns: readonly Turn[]
  readonly place: Place
}

export interface ClientSpec {
  /** Its `node.cluster`, but for a prefix of the case's own. */
  readonly group: string
  /** Of a client whose `node.id` this one has too. */
  readonly twinOf?: string
  readonly userAgent?: string
  readonly features: readonly string[]
  /** The largest message that it takes; absent, any. */
  readonly limitBytes?: number
}

export interface Place {
  readonly file: string
  readonly line: number
}

/** Group to its resources: all that is in force. */
export type World = Readonly<Record<string, readonly ResourceSpec[]>>

/** Type word (or message name) to names. */
export type NamesByType = Readonly<Record<string, readonly string[]>>

export interface Expected {
  readonly spec: ResourceSpec
  /** The content is not that of the present world but this very one. */
  readonly isExplicit: boolean
  readonly aliases: readonly string[]
  /** Whether the wrapper has one; `some` unless a case says otherwise. */
  readonly body: 'none' | 'some' | 'any'
  /** In a `discovery.v3.Resource`, or not; undefined: either. */
  readonly isWrapped?: boolean
  /** Null: without a TTL. */
  readonly ttlMs?: number | null
}

export interface ExpectedOfType {
  readonly resources: readonly Expected[]
  readonly removed: readonly string[]
}

export type ExpectedByType = Readonly<Record<string, ExpectedOfType>>

/** What the client says to each response that such a turn takes. */
export type Reply =
  | { readonly kind: 'accept' | 'wait' }
  | {
      readonly kind: 'reject'
      readonly message: string
      /** These alone, and all else of the response is applied; absent, the whole response. */
      readonly names?: readonly string[]
    }

interface Said {
  readonly place: Place
  /** As it stands in the file, on one line. */
  readonly text: string
}

export type Turn = Said & Act

/** What is given, said or expected. */
export type Act =
  | { readonly kind: 'given'; readonly world: World }
  | { readonly kind: 'subscribe' | 'unsubscribe' | 'resume'; readonly client: string; readonly names: NamesByType }
  | { readonly kind: 'say'; readonly client: string; readonly says: Says }
  | { readonly kind: 'accept'; readonly client: string; readonly type: string }
  | { readonly kind: 'reject'; readonly client: string; readonly type: string; readonly message: string }
  | { readonly kind: 'reconnect' | 'leave' | 'take'; readonly client: string }
  | {
      readonly kind: 'send'
      readonly client: string
      readonly expected: ExpectedByType
      /** And nothing else of these types. */
      readonly isOnly: boolean
      /** Before anything of another type. */
      readonly isFirst: boolean
      readonly reply: Reply
      readonly withinMs?: number
    }
  | { readonly kind: 'have'; readonly client: string; readonly expected: ExpectedByType; readonly withinMs?: number }
  | { readonly kind: 'silent'; readonly client: string; readonly types?: readonly string[] }
  | { readonly kind: 'end'; readonly client: string; readonly codes: readonly string[] }

/** A request in the protocol's own words, but for `type` and the places of what is known only when it is played. */
export interface Says {
  readonly type?: string
  /** Undefined: as always, with the first request of a stream. Its fields, or whose node it is, or `none`. */
  readonly node?: Readonly<Record<string, unknown>> | string
  /** Proto field names; a string `<last nonce>` stands for what came. */
  readonly fields: Readonly<Record<string, unknown>>
}

/** `26-1 sotw`-like text by which people and known-gaps.yaml name a case. */
export function nameOf({ title, protocol }: Pick<Case, 'title' | 'protocol'>): string {
  return `${title} (${protocol})`
}
