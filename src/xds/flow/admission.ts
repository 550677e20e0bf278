import type { Clock, Timer } from '../../clock.ts'

/** Somebody who has just connected and waits for a first answer. */
export interface Entrant {
  /** Its turn has come. */
  admit(): void
}

export interface AdmissionOptions {
  /** How many are given their first answers at once. */
  readonly maxEntering: number
  /** For how long one that does not answer holds its place, in milliseconds. */
  readonly holdMs: number
  readonly clock: Clock
  /** How many wait, whenever that has changed. */
  readonly onWaiting?: ((count: number) => void) | undefined
}

/**
 * Lets new streams in at the rate at which they take their first answers, so that thousands that come back at once cost
 * neither memory nor the attention that settled clients need (rule 88). In the order in which they came.
 */
export class Admission {
  readonly #options: AdmissionOptions
  /** Since when, the oldest first. */
  readonly #entering = new Map<Entrant, number>()
  readonly #waiting = new Set<Entrant>()
  #timer: Timer | undefined

  constructor(options: AdmissionOptions) {
    this.#options = options
  }

  get entering(): number {
    return this.#entering.size
  }

  get waiting(): number {
    return this.#waiting.size
  }

  /** True if it may be answered now. If not, it is told when: `admit`. */
  enter(entrant: Entrant): boolean {
    if (this.#waiting.has(entrant)) return false
    if (this.#waiting.size === 0 && this.#hasPlace()) {
      this.#entering.set(entrant, this.#options.clock.now())
      return true
    }
    this.#waiting.add(entrant)
    this.#options.onWaiting?.(this.#waiting.size)
    this.#arm()
    return false
  }

  /** It has taken its first answer, or is gone. */
  leave(entrant: Entrant): void {
    const hasWaited = this.#waiting.delete(entrant)
    const isPlaceFree = this.#entering.delete(entrant)
    if (isPlaceFree && this.#waiting.size > 0) this.#admit()
    else if (hasWaited) this.#options.onWaiting?.(this.#waiting.size)
  }

  #hasPlace(): boolean {
    const { maxEntering, holdMs, clock } = this.#options
    if (this.#entering.size < maxEntering) return true
    const now = clock.now()
    for (const [entrant, sinceMs] of this.#entering) {
      if (now - sinceMs < holdMs) break
      this.#entering.delete(entrant)
    }
    return this.#entering.size < maxEntering
  }

  #admit(): void {
    const now = this.#options.clock.now()
    for (const entrant of this.#waiting) {
      if (!this.#hasPlace()) break
      this.#waiting.delete(entrant)
      this.#entering.set(entrant, now)
      entrant.admit()
    }
    this.#options.onWaiting?.(this.#waiting.size)
    this.#arm()
  }

  /** While some wait, a place that is not given back is taken. */
  #arm(): void {
    if (this.#timer !== undefined || this.#waiting.size === 0) return
    const { clock, holdMs } = this.#options
    const [oldestMs = clock.now()] = this.#entering.values()
    this.#timer = clock.after(Math.max(1, Math.ceil(oldestMs + holdMs - clock.now())), () => {
      this.#timer = undefined
      this.#admit()
    })
  }
}
