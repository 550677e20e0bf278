import type { FanOut, Sender, Writer } from './fan-out.ts'

/** The part of a gRPC call that takes responses. */
export interface Socket {
  /** `onTaken` is called when the bytes have left for the socket; never, when the call ends first. */
  write(bytes: Buffer, onTaken: () => void): unknown
}

/** Bytes on their way to one socket above which its stream says nothing more until they are gone. */
const maxBytes = 64 * 1024

/** Writes one stream's responses, and knows when it must hold its tongue: nothing queues here but what was just said. */
export class Outbox implements Writer {
  readonly #socket: Socket
  readonly #fanOut: FanOut
  readonly #sender: Sender
  /** Handed to the socket and not taken by it. */
  #unflushedBytes = 0
  /** Of those, the ones that count in the fan-out. */
  #reservedBytes = 0
  #lastTakenAtMs = 0
  #isWaiting = false
  #isClosed = false

  constructor(socket: Socket, fanOut: FanOut, sender: Sender) {
    this.#socket = socket
    this.#fanOut = fanOut
    this.#sender = sender
  }

  /** False when nothing may be written now; then the sender gets its turn when that has changed. */
  hasRoom(): boolean {
    if (this.#unflushedBytes >= maxBytes) {
      this.#isWaiting = true
      return false
    }
    if (this.#fanOut.isFull) {
      this.#fanOut.schedule(this.#sender)
      return false
    }
    return true
  }

  write(bytes: Buffer): void {
    const size = bytes.length
    if (this.#unflushedBytes === 0) this.#lastTakenAtMs = performance.now()
    this.#unflushedBytes += size
    this.#reservedBytes += size
    this.#fanOut.reserve(this, size)
    this.#socket.write(bytes, () => this.#take(size))
  }

  close(): void {
    this.#isClosed = true
    this.#fanOut.forget(this.#sender)
    this.#release(this.#reservedBytes)
  }

  #take(size: number): void {
    if (this.#isClosed) return
    this.#unflushedBytes -= size
    this.#lastTakenAtMs = performance.now()
    this.#release(Math.min(size, this.#reservedBytes))
    if (this.#isWaiting && this.#unflushedBytes < maxBytes) {
      this.#isWaiting = false
      this.#fanOut.schedule(this.#sender)
    }
  }

  releaseIfStalled(sinceMs: number): void {
    if (this.#lastTakenAtMs <= sinceMs) this.#release(this.#reservedBytes)
  }

  #release(size: number): void {
    this.#reservedBytes -= size
    this.#fanOut.release(this, size, this.#reservedBytes === 0)
  }
}
