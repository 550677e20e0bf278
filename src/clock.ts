/** Something that will be done, unless it is cancelled first. */
export interface Timer {
  cancel(): void
}

/** Time, as everything that waits sees it: a simulation has its own. */
export interface Clock {
  /** Milliseconds that only grow. */
  now(): number
  /** Calls `act` once, `ms` from now. Nothing that merely waits keeps the process alive. */
  after(ms: number, act: () => void): Timer
}

export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, act) {
    // More than Node's timers can hold would be no wait at all; who waits that long looks again.
    const timer = setTimeout(act, Math.min(ms, 2 ** 31 - 1)).unref()
    return { cancel: () => clearTimeout(timer) }
  },
}
