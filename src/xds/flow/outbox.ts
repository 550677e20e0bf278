import type { Clock } from '../../clock.ts'
import type { Call } from '../call.ts'
import type { FanOut, Sender, Writer } from './fan-out.ts'

/** Bytes on their way to one socket above which its stream says nothing more until they are gone. */
const maxBytes = 64 * 1024

/** Writes one stream's responses, and knows when it must hold its tongue: nothing queues here but what was just said. */
export class Outbox implements Writer {
  readonly #call: Pick<Call, 'write'>
  readonly #fanOut: FanOut
  readonly #clock: Clock
  readonly #sender: Sender
  /** Handed to the socket and not taken by it. */
  #unflushedBytes = 0
  /** Of those, the ones that count in the fan-out. */
  #reservedBytes = 0
  #lastTakenAtMs = 0
  #isWaiting = false
  #isClosed = false

  constructor(call: Pick<Call, 'write'>, fanOut: FanOut, clock: Clock, sender: Sender) {
    this.#call = call
    this.#fanOut = fanOut
    this.#clock = clock
    this.#sender = sender
    fanOut.open(this)
  }

  /** The call is over. */
  get isClosed(): boolean {
    return this.#isClosed
  }

  /** False when nothing may be written now; then the sender gets its turn when that has changed. */
  hasRoom(): boolean {
    if (this.#unflushedBytes >= maxBytes) {
      this.#isWaiting = true
      return false
    }
    if (this.#fanOut.isFull) {
      this.#fanOut.schedule(this.#sender, this.#sender.isAsked)
      return false
    }
    return true
  }

  write(bytes: Buffer): void {
    const size = bytes.length
    if (this.#unflushedBytes === 0) this.#lastTakenAtMs = this.#clock.now()
    this.#unflushedBytes += size
    this.#reservedBytes += size
    this.#fanOut.reserve(size)
    this.#call.write(bytes, () => this.#take(size))
  }

  close(): void {
    this.#isClosed = true
    this.#release(this.#reservedBytes)
    this.#fanOut.close(this, this.#sender)
  }

  #take(size: number): void {
    if (this.#isClosed) return
    this.#unflushedBytes -= size
    // With nothing more on its way there is nothing that could stall.
    if (this.#unflushedBytes > 0) this.#lastTakenAtMs = this.#clock.now()
    this.#release(Math.min(size, this.#reservedBytes))
    if (this.#isWaiting && this.#unflushedBytes < maxBytes) {
      this.#isWaiting = false
      this.#fanOut.schedule(this.#sender, this.#sender.isAsked)
    }
  }

  releaseIfStalled(sinceMs: number): void {
    if (this.#lastTakenAtMs <= sinceMs) this.#release(this.#reservedBytes)
  }

  #release(size: number): void {
    this.#reservedBytes -= size
    this.#fanOut.release(size)
  }
}
