import type { Clock, Timer } from '../../clock.ts'
import { messageOf } from '../../errors.ts'
import type { Log } from '../../log.ts'

/** Somebody whose client may have what is newer than what is in force here. */
export interface Doubter {
  /** What is in force is as new as the sources were when it came. */
  prove(): void
}

export interface BarrierOptions {
  /** Resolves once what is in force is as new as the sources were when it was called. Rejects only when `signal` aborts. */
  readonly caughtUp: (signal: AbortSignal) => Promise<void>
  readonly clock: Clock
  readonly log: Log
  /** How many are held back, whenever that has changed. */
  readonly onHeld?: ((count: number) => void) | undefined
}

/** Between the beginnings of two questions: however many Envoys come at once, etcd is asked ten times a second. */
const paceMs = 100

/** Who is held back for longer is told of. */
const patienceMs = 5_000

/** After a question that failed. */
const retryMs = 1_000

/**
 * Asks whether what is in force is as new as the sources are (rule 87): one question at a time, which all share that came before it was asked.
 */
export class Barrier {
  readonly #options: BarrierOptions
  readonly #closed = new AbortController()
  /** Those of the question that is under way. */
  #asked = new Set<Doubter>()
  /** Those of the next one. */
  #next = new Set<Doubter>()
  /** Since when, the oldest first. */
  readonly #held = new Map<Doubter, number>()
  #isAsking = false
  #notBeforeMs = Number.NEGATIVE_INFINITY
  #pace: Timer | undefined
  #watch: Timer | undefined
  #hasTold = false

  constructor(options: BarrierOptions) {
    this.#options = options
  }

  /** How many wait for an answer, held back or not. */
  get doubting(): number {
    return this.#asked.size + this.#next.size
  }

  get held(): number {
    return this.#held.size
  }

  /** It is told when there is proof. */
  enter(doubter: Doubter): void {
    this.#next.add(doubter)
    this.#ask()
  }

  /** It is gone, or doubts no more. */
  leave(doubter: Doubter): void {
    this.#asked.delete(doubter)
    this.#next.delete(doubter)
    this.letGo(doubter)
  }

  /** True once there is proof; false if there is none in so many milliseconds. */
  async proof(ms: number): Promise<boolean> {
    return await new Promise((resolve) => {
      const doubter: Doubter = {
        prove() {
          timer.cancel()
          resolve(true)
        },
      }
      const timer = this.#options.clock.after(ms, () => {
        this.leave(doubter)
        resolve(false)
      })
      this.enter(doubter)
    })
  }

  /** It must not be answered until there is proof. */
  hold(doubter: Doubter): void {
    if (this.#held.has(doubter)) return
    this.#held.set(doubter, this.#options.clock.now())
    this.#options.onHeld?.(this.#held.size)
    this.#watchHeld()
  }

  letGo(doubter: Doubter): void {
    if (!this.#held.delete(doubter)) return
    this.#options.onHeld?.(this.#held.size)
    if (this.#held.size > 0) return
    this.#watch?.cancel()
    this.#watch = undefined
    if (this.#hasTold) this.#options.log.info('no client is held back any more: what is in force here is the newest')
    this.#hasTold = false
  }

  close(): void {
    this.#closed.abort(new Error('closed'))
    this.#pace?.cancel()
    this.#watch?.cancel()
  }

  #ask(): void {
    const { caughtUp, clock } = this.#options
    if (this.#isAsking || this.#pace !== undefined || this.#next.size === 0 || this.#closed.signal.aborted) return
    const waitMs = this.#notBeforeMs - clock.now()
    if (waitMs > 0) {
      this.#pace = clock.after(Math.ceil(waitMs), () => {
        this.#pace = undefined
        this.#ask()
      })
      return
    }
    this.#isAsking = true
    this.#notBeforeMs = clock.now() + paceMs
    this.#asked = this.#next
    this.#next = new Set()
    caughtUp(this.#closed.signal).then(
      () => this.#end(),
      (error: unknown) => this.#fail(error),
    )
  }

  #end(): void {
    const proven = this.#asked
    this.#asked = new Set()
    this.#isAsking = false
    for (const doubter of proven) {
      this.letGo(doubter)
      doubter.prove()
    }
    this.#ask()
  }

  #fail(error: unknown): void {
    if (this.#closed.signal.aborted) return
    this.#options.log.warn({ error: messageOf(error) }, 'the sources could not be asked for what is newest')
    for (const doubter of this.#asked) this.#next.add(doubter)
    this.#asked = new Set()
    this.#isAsking = false
    this.#notBeforeMs = this.#options.clock.now() + retryMs
    this.#ask()
  }

  #watchHeld(): void {
    const [oldestMs] = this.#held.values()
    if (this.#watch !== undefined || this.#hasTold || oldestMs === undefined) return
    const { clock, log } = this.#options
    this.#watch = clock.after(Math.max(1, Math.ceil(oldestMs + patienceMs - clock.now())), () => {
      this.#watch = undefined
      const [heldSinceMs = Number.POSITIVE_INFINITY] = this.#held.values()
      if (clock.now() - heldSinceMs < patienceMs) return this.#watchHeld()
      this.#hasTold = true
      log.warn(
        { streams: this.#held.size },
        'clients that have other versions are held back: they go on with what they have until it is known that nothing is newer than what is in force here',
      )
    })
  }
}
