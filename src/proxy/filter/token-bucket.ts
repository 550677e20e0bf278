import type { Clock } from '../../clock.ts'
import type { FieldReader } from '../config/field-reader.ts'

export interface TokenBucketConfig {
  readonly maxTokens: number
  readonly perFill: number
  readonly intervalMs: number
}

/** `envoy.type.v3.TokenBucket`. */
export function readTokenBucket(fields: FieldReader): TokenBucketConfig {
  return {
    maxTokens: fields.number('max_tokens') ?? 0,
    perFill: fields.number('tokens_per_fill') ?? 1,
    intervalMs: fields.durationMs('fill_interval') ?? 0,
  }
}

/** Begins full, and fills all the time at the rate of the configuration, as Envoy's does. */
export class TokenBucket {
  readonly #config: TokenBucketConfig
  readonly #clock: Clock
  /** When it would have been empty, were nothing taken since: tokens are time. */
  #emptyAtMs: number

  constructor(config: TokenBucketConfig, clock: Clock) {
    this.#config = config
    this.#clock = clock
    this.#emptyAtMs = Number.NEGATIVE_INFINITY
  }

  /** Whether there was one. */
  take(): boolean {
    const now = this.#clock.now()
    const { maxTokens, perFill, intervalMs } = this.#config
    const msPerToken = intervalMs / perFill
    const emptyAt = Math.max(this.#emptyAtMs, now - maxTokens * msPerToken)
    if (now - emptyAt + 1e-6 < msPerToken) return false
    this.#emptyAtMs = emptyAt + msPerToken
    return true
  }
}
