import type { Clock, Timer } from '../../clock.ts'

/** Resources that expire unless the server speaks of them again. */
export class Lifetimes {
  readonly #clock: Clock
  readonly #onExpired: (name: string) => void
  readonly #timers = new Map<string, Timer>()

  constructor(clock: Clock, onExpired: (name: string) => void) {
    this.#clock = clock
    this.#onExpired = onExpired
  }

  /** @param ttlMs undefined: it lives for ever */
  set(name: string, ttlMs: number | undefined): void {
    this.#timers.get(name)?.cancel()
    this.#timers.delete(name)
    if (ttlMs === undefined) return
    const expire = (): void => {
      this.#timers.delete(name)
      this.#onExpired(name)
    }
    this.#timers.set(name, this.#clock.after(ttlMs, expire))
  }

  close(): void {
    for (const timer of this.#timers.values()) timer.cancel()
    this.#timers.clear()
  }
}
