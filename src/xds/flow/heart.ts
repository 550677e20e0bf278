import type { Clock, Timer } from '../../clock.ts'
import type { TypeUrl } from '../../resource/type-url.ts'

/** Heartbeats without a verdict that are remembered, of one type. */
const maxUnanswered = 8

/** When the client of one stream is to hear which types again. One timer, and only while there is a TTL. */
export class Heart {
  readonly #clock: Clock
  readonly #onBeat: () => void
  #phase: number
  readonly #dueMs = new Map<TypeUrl, number>()
  readonly #unanswered = new Map<TypeUrl, { readonly nonce: string; readonly names: readonly string[] }[]>()
  #timer: { readonly atMs: number; readonly timer: Timer } | undefined

  /** `seed`: streams of different ones do not beat at the same moments. */
  constructor(clock: Clock, seed: number, onBeat: () => void) {
    this.#clock = clock
    this.#onBeat = onBeat
    this.#phase = spread(seed)
  }

  /**
   * The client has something of this type that expires. `isOld`: since an earlier stream, so that nobody knows how much
   * of its time is left.
   */
  keep(typeUrl: TypeUrl, periodMs: number, isOld: boolean): void {
    const now = this.#clock.now()
    const dueMs = this.#dueMs.get(typeUrl) ?? (isOld ? now : now + this.#jittered(periodMs))
    this.#dueMs.set(typeUrl, Math.min(dueMs, now + periodMs))
  }

  drop(typeUrl: TypeUrl): void {
    this.#dueMs.delete(typeUrl)
  }

  isDue(typeUrl: TypeUrl): boolean {
    return this.#clock.now() >= (this.#dueMs.get(typeUrl) ?? Number.POSITIVE_INFINITY)
  }

  /** Said, or `isMissed`: there was no room for it, and it is tried again before it is too late. */
  next(typeUrl: TypeUrl, periodMs: number, isMissed: boolean): void {
    this.#dueMs.set(typeUrl, this.#clock.now() + this.#jittered(isMissed ? periodMs / 4 : periodMs))
  }

  /** After all `keep`, `drop` and `next` of a moment. */
  arm(): void {
    const atMs = Math.min(...this.#dueMs.values())
    if (this.#timer?.atMs === atMs) return
    this.#timer?.timer.cancel()
    this.#timer = undefined
    if (atMs === Number.POSITIVE_INFINITY) return
    // A millisecond more, for timers may fire early by a fraction of one.
    const delayMs = Math.max(0, Math.ceil(atMs - this.#clock.now())) + 1
    const timer = this.#clock.after(delayMs, () => {
      this.#timer = undefined
      this.#onBeat()
    })
    this.#timer = { atMs, timer }
  }

  noteSent(typeUrl: TypeUrl, nonce: string, names: readonly string[]): void {
    const unanswered = this.#unanswered.get(typeUrl) ?? []
    this.#unanswered.set(typeUrl, [...unanswered, { nonce, names }].slice(-maxUnanswered))
  }

  /** Takes the client's answer to a heartbeat: the names in it; undefined when the nonce is none of a heartbeat. */
  answered(typeUrl: TypeUrl, nonce: string): readonly string[] | undefined {
    const unanswered = this.#unanswered.get(typeUrl)
    const at = unanswered?.findIndex((beat) => beat.nonce === nonce) ?? -1
    if (unanswered === undefined || at < 0) return undefined
    const [beat] = unanswered.splice(0, at + 1).slice(-1)
    return beat?.names
  }

  stop(): void {
    this.#timer?.timer.cancel()
    this.#timer = undefined
    this.#dueMs.clear()
  }

  /** A fifth less at most, another each time. */
  #jittered(ms: number): number {
    this.#phase = (this.#phase + goldenRatio) % 1
    return ms * (0.8 + 0.2 * this.#phase)
  }
}

/** Its multiples are spread evenly between whole numbers, as far as one goes. */
const goldenRatio = 0.618_033_988_749_895

function spread(seed: number): number {
  return (seed * goldenRatio) % 1
}
