import type { EnvoyApi } from '../resource/envoy-api.ts'
import type { Snapshot } from '../snapshot/snapshot.ts'

/** A request, or a connection, that somebody wants to know the way of. */
export interface RequestQuestion {
  /** The listener that it comes to; else the one of `port`, or the only one. */
  readonly listener?: string
  readonly method: string
  readonly scheme: 'http' | 'https' | 'tcp'
  readonly authority: string
  readonly path: string
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly sni?: string
  readonly port?: number
}

/** What a proxy that has a snapshot would do with it. */
export interface RequestAnswer {
  readonly listener?: string
  readonly filterChain?: string
  readonly virtualHost?: string
  readonly route?: string
  /** As the upstream would see it. */
  readonly path?: string
  readonly action: 'forward' | 'redirect' | 'respond' | 'closed' | 'not-found'
  readonly status?: number
  readonly clusters: readonly {
    readonly name: string
    /** 0–1. */
    readonly share: number
    readonly endpoints: readonly string[]
  }[]
  /** The route that would have matched with the fewest changes, and what it lacked. */
  readonly nearest?: { readonly route: string; readonly lacks: readonly string[] }
}

/** Pure: it asks the resources as they are sent, raw ones and generated ones alike. */
export type AnswerRequest = (api: EnvoyApi, snapshot: Snapshot, question: RequestQuestion) => RequestAnswer
