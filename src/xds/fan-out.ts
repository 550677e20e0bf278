/** Something that has news for its client and can say it now. */
export interface Sender {
  /** Says what is to be said at this moment. */
  advance(): void
}

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
  #unflushedBytes = 0
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
  reserve(bytes: number): void {
    this.#unflushedBytes += bytes
  }

  release(bytes: number): void {
    this.#unflushedBytes -= bytes
    this.#arm()
  }

  #arm(): void {
    if (this.#turn !== undefined || this.#waiting.size === 0 || this.isFull) return
    this.#turn = setImmediate(() => {
      this.#turn = undefined
      this.#run()
    })
  }

  #run(): void {
    const end = performance.now() + this.#options.sliceMs
    for (const sender of this.#waiting) {
      if (this.isFull) return
      this.#waiting.delete(sender)
      sender.advance()
      if (performance.now() >= end) break
    }
    this.#arm()
  }
}
