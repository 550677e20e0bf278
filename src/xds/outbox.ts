import type { FanOut, Sender } from './fan-out.ts'

/** The part of a gRPC call that takes responses. */
export interface Socket {
  /** `onTaken` is called when the bytes have left for the socket; never, when the call ends first. */
  write(bytes: Buffer, onTaken: () => void): unknown
}

/** Bytes on their way to one socket above which its stream says nothing more until they are gone. */
const maxBytes = 64 * 1024

/** A socket that takes nothing for this long no longer counts against what the others may send. */
const stallMs = 1000

/** Writes one stream's responses, and knows when it must hold its tongue: nothing queues here but what was just said. */
export class Outbox {
  readonly #socket: Socket
  readonly #fanOut: FanOut
  readonly #sender: Sender
  /** Handed to the socket and not taken by it. */
  #unflushedBytes = 0
  /** Of those, the ones that count in the fan-out. */
  #reservedBytes = 0
  #stall: NodeJS.Timeout | undefined
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
    this.#unflushedBytes += size
    this.#reservedBytes += size
    this.#fanOut.reserve(size)
    this.#stall ??= setTimeout(() => {
      this.#stall = undefined
      this.#release(this.#reservedBytes)
    }, stallMs).unref()
    this.#socket.write(bytes, () => this.#take(size))
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#stall)
    this.#fanOut.forget(this.#sender)
    this.#release(this.#reservedBytes)
  }

  #take(size: number): void {
    if (this.#isClosed) return
    this.#unflushedBytes -= size
    this.#release(Math.min(size, this.#reservedBytes))
    if (this.#unflushedBytes === 0) {
      clearTimeout(this.#stall)
      this.#stall = undefined
    }
    if (this.#isWaiting && this.#unflushedBytes < maxBytes) {
      this.#isWaiting = false
      this.#fanOut.schedule(this.#sender)
    }
  }

  #release(size: number): void {
    this.#reservedBytes -= size
    this.#fanOut.release(size)
  }
}
