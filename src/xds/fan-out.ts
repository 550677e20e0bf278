/** Something that has news for its client and can say it now. */
export interface Sender {
  /** Says what is to be said at this moment. */
  advance(): void
}

/** Something with bytes on their way to a socket. */
export interface Writer {
  /** Gives back what it reserved, if its socket has taken nothing since. On the clock of `performance.now()`. */
  releaseIfStalled(sinceMs: number): void
}

/** A socket that takes nothing for this long no longer counts against what the others may send. */
const stallMs = 1000

export interface FanOutOptions {
  /** Bytes that may be on their way to sockets, over all streams. */
  readonly maxUnflushedBytes: number
  /** How long one turn of the event loop may take. */
  readonly sliceMs: number
}

/**
 * Lets many streams speak without flooding memory or blocking the event loop: each in its turn, a few milliseconds at a
 * time, while the bytes on their way to the sockets stay below the limit. Nothing queues here but the streams
 * themselves: what they say is computed when their turn comes (rules 79, 80).
 */
export class FanOut {
  readonly #options: FanOutOptions
  readonly #waiting = new Set<Sender>()
  readonly #writing = new Set<Writer>()
  #unflushedBytes = 0
  #stall: NodeJS.Timeout | undefined
  #turn: NodeJS.Immediate | undefined

  constructor(options: FanOutOptions) {
    this.#options = options
  }

  get unflushedBytes(): number {
    return this.#unflushedBytes
  }

  /** True when a stream must wait for its turn instead of writing at once. */
  get isFull(): boolean {
    return this.#unflushedBytes >= this.#options.maxUnflushedBytes
  }

  schedule(sender: Sender): void {
    this.#waiting.add(sender)
    this.#arm()
  }

  forget(sender: Sender): void {
    this.#waiting.delete(sender)
  }

  /** Counts bytes handed to a socket until `release`. */
  reserve(writer: Writer, bytes: number): void {
    this.#writing.add(writer)
    this.#unflushedBytes += bytes
  }

  /** `isLast`: the writer has no more bytes on their way. */
  release(writer: Writer, bytes: number, isLast: boolean): void {
    if (isLast) this.#writing.delete(writer)
    this.#unflushedBytes -= bytes
    if (bytes > 0) this.#arm()
  }

  #arm(): void {
    if (this.#turn !== undefined || this.#waiting.size === 0) return
    if (this.isFull) return this.#watchStalls()
    this.#turn = setImmediate(() => {
      this.#turn = undefined
      this.#run()
    })
  }

  /** While the streams wait for room, sockets that take nothing must not hold it. */
  #watchStalls(): void {
    if (this.#stall !== undefined) return
    this.#stall = setTimeout(() => {
      this.#stall = undefined
      const sinceMs = performance.now() - stallMs
      for (const writer of this.#writing) writer.releaseIfStalled(sinceMs)
      this.#arm()
    }, stallMs).unref()
  }

  #run(): void {
    const end = performance.now() + this.#options.sliceMs
    for (const sender of this.#waiting) {
      if (this.isFull) break
      this.#waiting.delete(sender)
      sender.advance()
      if (performance.now() >= end) break
    }
    this.#arm()
  }
}
