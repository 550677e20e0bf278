import type { Clock, Timer } from '../../clock.ts'
import { defaultFetchTimeoutMs } from './topic.ts'

/** The time until a first answer counts as missing. */
export class Wait {
  #timer: Timer | undefined
  #isOver = false

  /** @param timeoutMs 0: for ever */
  constructor(clock: Clock, timeoutMs: number = defaultFetchTimeoutMs, onTimeout: () => void) {
    if (timeoutMs === 0) return
    this.#timer = clock.after(timeoutMs, () => {
      this.end()
      onTimeout()
    })
  }

  get isOver(): boolean {
    return this.#isOver
  }

  end(): void {
    this.#isOver = true
    this.#timer?.cancel()
    this.#timer = undefined
  }
}
