import type { Clock } from '../../src/clock.ts'

/** Time that stands still until a test moves it. */
export interface ManualClock extends Clock {
  /** Lets so much time pass; what is due is done in its order, each at its own time. */
  pass(ms: number): void
  /** How many wait. */
  readonly waiting: number
}

interface Due {
  readonly at: number
  readonly order: number
  readonly act: () => void
}

export function createManualClock(startMs = 0): ManualClock {
  let now = startMs
  let order = 0
  const waiting = new Set<Due>()
  const nextUntil = (end: number): Due | undefined =>
    [...waiting]
      .filter(({ at }) => at <= end)
      .sort((one, other) => one.at - other.at || one.order - other.order)
      .at(0)
  return {
    now: () => now,
    after(ms, act) {
      const due: Due = { at: now + ms, order: order++, act }
      waiting.add(due)
      return { cancel: () => void waiting.delete(due) }
    },
    pass(ms) {
      const end = now + ms
      for (let due = nextUntil(end); due !== undefined; due = nextUntil(end)) {
        waiting.delete(due)
        now = due.at
        due.act()
      }
      now = end
    },
    get waiting() {
      return waiting.size
    },
  }
}
