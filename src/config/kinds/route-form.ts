import type { Backend, Bytes, Hash, HeaderChange, Ms, NamedForm, Percent, Retry } from './common-form.ts'

export interface RouteForm extends NamedForm<'Route'> {
  /** In lower case, without ports; `['*']` where the document does not say. */
  readonly hosts: readonly string[]
  /** Names of Gateways, and `mesh` for the sidecars; absent: the sidecars. */
  readonly gateways?: readonly string[]
  readonly rules: readonly Rule[]
}

export interface Rule {
  readonly name?: string
  /** Any of them; empty: everything. */
  readonly match: readonly Match[]
  readonly action: RuleAction
  readonly timeout?: Ms
  readonly idleTimeout?: Ms
  readonly retry?: Retry
  readonly mirror?: readonly Mirror[]
  readonly fault?: Fault
  readonly rewrite?: Rewrite
  readonly headers?: { readonly request?: HeaderChange; readonly response?: HeaderChange }
  readonly hash?: Hash
  readonly fallback?: Backend
  readonly cors?: Cors
  readonly websocket?: boolean
  readonly compression?: boolean
  readonly maxRequestSize?: Bytes
  readonly priority?: 'high'
}

export type RuleAction =
  | { readonly kind: 'forward'; readonly backends: readonly Backend[] }
  | { readonly kind: 'redirect'; readonly redirect: Redirect }
  | { readonly kind: 'respond'; readonly respond: { readonly status: number; readonly body?: string } }

export type Mirror = Backend & { readonly percent?: Percent }

export interface Match {
  readonly path?: readonly TextMatch[]
  readonly methods?: readonly string[]
  readonly headers?: readonly NamedMatch[]
  readonly query?: readonly NamedMatch[]
  readonly cookies?: readonly NamedMatch[]
  readonly grpc?: { readonly service?: string; readonly method?: string }
  /** A share of what matches. */
  readonly percent?: Percent
}

export type TextMatch =
  | { readonly exact: string }
  | { readonly prefix: string }
  | { readonly regex: string }
  | { readonly suffix: string }

export interface NamedMatch {
  /** A header's in lower case. */
  readonly name: string
  readonly any: readonly (TextMatch | { readonly present: boolean })[]
  /** None of `any` may hold. */
  readonly not?: boolean
}

export interface Redirect {
  readonly scheme?: 'http' | 'https'
  readonly host?: string
  readonly port?: number
  readonly path?: string
  readonly prefix?: string
  readonly status?: 301 | 302 | 303 | 307 | 308
}

export interface Rewrite {
  readonly prefix?: string
  readonly path?: string
  readonly regex?: { readonly pattern: string; readonly with: string }
  readonly host?: string
}

export interface Fault {
  readonly delay?: { readonly duration: Ms; readonly percent: Percent }
  readonly abort?: { readonly status: number; readonly grpcStatus?: number; readonly percent: Percent }
}

export interface Cors {
  readonly origins: readonly TextMatch[]
  readonly methods?: readonly string[]
  readonly headers?: readonly string[]
  readonly expose?: readonly string[]
  readonly credentials?: boolean
  readonly maxAge?: Ms
}
