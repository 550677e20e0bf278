/** Envoy repeats a request when a cluster warms again (rule 72), which happens at the pace of changes. */
const maxRepeatsPerSecond = 50

/** More are the mark of a client that makes them up: each costs a place in the books. */
export const maxUnknownTypes = 100

/** What one client may ask for so that it makes no loop of it, and no heap. */
export class RequestLimits {
  #unknownTypes = 0
  #sinceMs = 0
  #repeats = 0

  /** One more type that is not known here. */
  mayBeUnknown(): boolean {
    return ++this.#unknownTypes <= maxUnknownTypes
  }

  /** The same request once more. `nowMs`: on a clock that only grows. */
  mayRepeat(nowMs: number): boolean {
    if (nowMs - this.#sinceMs >= 1000) {
      this.#sinceMs = nowMs
      this.#repeats = 0
    }
    return ++this.#repeats <= maxRepeatsPerSecond
  }
}
