interface Event {
  readonly atMs: number
  readonly order: number
  act: (() => void) | undefined
}

/** A clock that stands still until it is told to go on, and then jumps from one event to the next. */
export class VirtualTime {
  #nowMs = 0
  #lastOrder = 0
  /** A binary heap: each event comes before its two children. */
  readonly #events: Event[] = []

  now(): number {
    return this.#nowMs
  }

  after(ms: number, act: () => void): { cancel(): void } {
    const event: Event = { atMs: this.#nowMs + Math.max(0, ms), order: ++this.#lastOrder, act }
    this.#push(event)
    return {
      cancel() {
        event.act = undefined
      },
    }
  }

  /** After everything that is due now already. */
  defer(act: () => void): void {
    this.#push({ atMs: this.#nowMs, order: ++this.#lastOrder, act })
  }

  /** Lets everything happen that is due until then, and what follows from it; or until it is over. */
  runUntil(ms: number, isOver: () => boolean): void {
    for (let event = this.#events[0]; event !== undefined && event.atMs <= ms; event = this.#events[0]) {
      if (isOver()) return
      this.#pop()
      this.#nowMs = event.atMs
      event.act?.()
    }
    this.#nowMs = ms
  }

  #push(event: Event): void {
    const events = this.#events
    let at = events.length
    while (at > 0) {
      const parentAt = (at - 1) >> 1
      const parent = events[parentAt] as Event
      if (isBefore(parent, event)) break
      events[at] = parent
      at = parentAt
    }
    events[at] = event
  }

  #pop(): void {
    const events = this.#events
    const last = events.pop() as Event
    const size = events.length
    if (size === 0) return
    let at = 0
    for (;;) {
      let childAt = 2 * at + 1
      if (childAt >= size) break
      if (childAt + 1 < size && isBefore(events[childAt + 1] as Event, events[childAt] as Event)) childAt++
      const child = events[childAt] as Event
      if (isBefore(last, child)) break
      events[at] = child
      at = childAt
    }
    events[at] = last
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}
