/** Milliseconds. */
export type Ms = number

/** 0–100. */
export type Percent = number

/** A number of bytes. */
export type Bytes = number

export type Labels = Readonly<Record<string, string>>

/** What every form has. Defaults are not filled in: what a document does not say stays absent, so that layers can be told apart. */
export interface NamedForm<K extends string> {
  readonly kind: K
  readonly name: string
}

export interface Address {
  readonly host: string
  readonly port: number
}

export interface AccessLog {
  readonly format?: 'json' | 'text'
  readonly path?: string
  /** Fields of the JSON: name to Envoy's format string. */
  readonly fields?: Readonly<Record<string, string>>
  /** The line of the text format. */
  readonly text?: string
  readonly off?: boolean
  readonly minStatus?: number
}

export interface Tracing {
  readonly otlp?: Address
  readonly zipkin?: Address
  readonly sample?: Percent
}

export interface Egress {
  /** Exact names, or `*.suffix`; in lower case, without ports. */
  readonly hosts: readonly string[]
  readonly ports?: readonly number[]
}

export interface RouteDefaults {
  readonly timeout?: Ms
  readonly idleTimeout?: Ms
  readonly retry?: Retry
}

export interface Retry {
  /** Retries after the first try; 0 switches off what is inherited. */
  readonly attempts?: number
  readonly perTryTimeout?: Ms
  readonly retryOn?: readonly string[]
  readonly methods?: readonly string[]
  readonly backOff?: { readonly base: Ms; readonly max?: Ms }
  readonly otherHosts?: boolean
}

export type Hash =
  | { readonly cookie: string; readonly ttl?: Ms }
  | { readonly header: string }
  | { readonly query: string }
  | { readonly source: true }

export interface HeaderChange {
  readonly set?: Readonly<Record<string, string>>
  readonly add?: Readonly<Record<string, string>>
  readonly remove?: readonly string[]
}

export interface Backend {
  readonly service: string
  readonly version?: string
  readonly weight?: number
  readonly headers?: HeaderChange
}

export interface Http2 {
  readonly maxStreams?: number
  readonly streamWindow?: Bytes
  readonly connectionWindow?: Bytes
  readonly keepalive?: Ms
}
