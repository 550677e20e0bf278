import type { Clock } from '../../clock.ts'

/** Of a log, what is needed here. */
export interface Warner {
  warn(fields: object, message: string): void
}

/** What a warning is about: of two with equal message and equal such fields one is enough. */
interface About {
  readonly type?: string | undefined
  readonly types?: readonly string[] | undefined
  readonly name?: string | undefined
  readonly version?: string | undefined
  /** In our own words: a client's would make each line another. */
  readonly warning?: string | undefined
}

interface Repeated {
  readonly about: About
  readonly message: string
  written: number
  /** Since it was last counted. */
  unwritten: number
}

/** Lines in full; the next ones of a minute are counted. */
const maxLines = 5

/** Different warnings known at a time; beyond, they are counted together. */
const maxKnown = 1000

const countMs = 60_000

/**
 * What each of thousands of streams may warn of in the same moment, for they are all told the same: the first few are
 * written, the others once a minute as a `count` of lines. After a minute without any it is news again.
 */
export class SeldomLog {
  readonly #log: Warner
  readonly #clock: Clock
  readonly #known = new Map<string, Repeated>()
  #others = 0
  #isCounting = false

  constructor(log: Warner, clock: Clock) {
    this.#log = log
    this.#clock = clock
  }

  /** `log`: the stream's own, asked for only if the line is written. */
  warn(log: () => Warner, fields: object, message: string): void {
    const { type, types, name, version, warning } = fields as About
    const key = JSON.stringify([message, type, types, name, version, warning])
    let repeated = this.#known.get(key)
    if (repeated === undefined) {
      this.#countLater()
      if (this.#known.size >= maxKnown) {
        this.#others++
        return
      }
      repeated = { about: { type, types, name, version, warning }, message, written: 0, unwritten: 0 }
      this.#known.set(key, repeated)
    }
    if (repeated.written < maxLines) {
      repeated.written++
      log().warn(fields, message)
    } else repeated.unwritten++
  }

  #countLater(): void {
    if (this.#isCounting) return
    this.#isCounting = true
    this.#clock.after(countMs, () => this.#count())
  }

  #count(): void {
    this.#isCounting = false
    for (const [key, repeated] of this.#known) {
      const { about, message, unwritten } = repeated
      if (unwritten === 0) this.#known.delete(key)
      else this.#log.warn({ ...about, count: unwritten }, message)
      repeated.unwritten = 0
    }
    if (this.#others > 0) this.#log.warn({ count: this.#others }, 'more warnings than are written one by one')
    this.#others = 0
    if (this.#known.size > 0) this.#countLater()
  }
}
