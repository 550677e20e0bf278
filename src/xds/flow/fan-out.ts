import type { Clock, Timer } from '../../clock.ts'

/** Something that has news for its client and can say it now. */
export interface Sender {
  /** Its client has asked for something that it waits for: requests come before pushes (rule 88). */
  readonly isAsked: boolean
  /** Says what is to be said at this moment. */
  advance(): void
}

/** Something with bytes on their way to a socket. */
export interface Writer {
  /** Gives back what it reserved, if its socket has taken nothing since. On the clock of `performance.now()`. */
  releaseIfStalled(sinceMs: number): void
}

/** Most pushes take some microseconds: the clock is not looked at after each. A first answer may take more. */
const sendersPerLook = 4

/** A socket that takes nothing for this long no longer counts against what the others may send. */
const stallMs = 1000

export interface FanOutOptions {
  /** Bytes that may be on their way to sockets, over all streams. */
  readonly maxUnflushedBytes: number
  /** How long one turn of the event loop may take. */
  readonly sliceMs: number
  readonly clock: Clock
  /** Calls `act` in a turn of the event loop of its own. */
  readonly defer: (act: () => void) => void
}

/**
 * Lets many streams speak without flooding memory or blocking the event loop: each in its turn, a few milliseconds at a
 * time, while the bytes on their way to the sockets stay below the limit. Nothing queues here but the streams
 * themselves: what they say is computed when their turn comes (rules 79, 80).
 */
export class FanOut {
  readonly #options: FanOutOptions
  /** Those whose clients have asked, in turn. No sender is in both, nor in one of them twice. */
  readonly #asked = new Set<Sender>()
  /** All others, in turn. */
  readonly #others = new Set<Sender>()
  /** Open, whether they write or not. */
  readonly #writers = new Set<Writer>()
  #unflushedBytes = 0
  #stall: Timer | undefined
  #isDeferred = false

  constructor(options: FanOutOptions) {
    this.#options = options
  }

  get unflushedBytes(): number {
    return this.#unflushedBytes
  }

  /** Senders that wait for their turn. */
  get waiting(): number {
    return this.#asked.size + this.#others.size
  }

  /** True when a stream must wait for its turn instead of writing at once. */
  get isFull(): boolean {
    return this.#unflushedBytes >= this.#options.maxUnflushedBytes
  }

  /** `isAsked`: before all pushes; even if it waits among them already, for it has been asked meanwhile. */
  schedule(sender: Sender, isAsked = false): void {
    // Of a thousand pushes none was asked for: a look-up less for each.
    if (this.#asked.size > 0 && this.#asked.has(sender)) return
    if (isAsked) this.#others.delete(sender)
    const queue = isAsked ? this.#asked : this.#others
    queue.add(sender)
    this.#arm()
  }

  open(writer: Writer): void {
    this.#writers.add(writer)
  }

  /** It gave back what it reserved. */
  close(writer: Writer, sender: Sender): void {
    this.#writers.delete(writer)
    this.#forget(sender)
  }

  /** False for one that was asked: no sender is in both. */
  #forget(sender: Sender): boolean {
    return this.#others.delete(sender) || !this.#asked.delete(sender)
  }

  /** Counts bytes handed to a socket until `release`. */
  reserve(bytes: number): void {
    this.#unflushedBytes += bytes
  }

  release(bytes: number): void {
    if (bytes === 0) return
    this.#unflushedBytes -= bytes
    this.#arm()
  }

  #arm(): void {
    if (this.#isDeferred || this.waiting === 0) return
    if (this.isFull) return this.#watchStalls()
    this.#isDeferred = true
    this.#options.defer(() => {
      this.#isDeferred = false
      this.#run()
    })
  }

  /** While the streams wait for room, sockets that take nothing must not hold it. */
  #watchStalls(): void {
    if (this.#stall !== undefined) return
    const { clock } = this.#options
    this.#stall = clock.after(stallMs, () => {
      this.#stall = undefined
      const sinceMs = clock.now() - stallMs
      for (const writer of this.#writers) writer.releaseIfStalled(sinceMs)
      this.#arm()
    })
  }

  #run(): void {
    const { clock, sliceMs } = this.#options
    const end = clock.now() + sliceMs
    let done = 0
    for (const sender of this.#inTurn()) {
      if (this.isFull) break
      const isAsked = !this.#forget(sender)
      sender.advance()
      if ((isAsked || ++done % sendersPerLook === 0) && clock.now() >= end) break
    }
    this.#arm()
  }

  /** Whoever waits again while this runs stands behind the others. */
  *#inTurn(): Generator<Sender> {
    while (this.waiting > 0) {
      yield* this.#asked
      for (const sender of this.#others) {
        yield sender
        if (this.#asked.size > 0) break
      }
    }
  }
}
