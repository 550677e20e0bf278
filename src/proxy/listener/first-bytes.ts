import type { Socket } from 'node:net'

/** What a client sends first, looked at before anybody takes it. */
export class FirstBytes {
  readonly #socket: Socket
  #bytes: Buffer = Buffer.alloc(0)
  #isOver = false
  #onChange: (() => void) | undefined

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', this.#onData)
    socket.on('end', this.#onOver)
    socket.on('close', this.#onOver)
    socket.pause()
  }

  get bytes(): Buffer {
    return this.#bytes
  }

  /** Waits for more of them; `false` where no more come. */
  async more(): Promise<boolean> {
    if (this.#isOver) return false
    const before = this.#bytes.length
    await new Promise<void>((resolve) => {
      this.#onChange = resolve
      this.#socket.resume()
    })
    this.#onChange = undefined
    return this.#bytes.length > before
  }

  /** Takes them away from who comes after. */
  skip(count: number): void {
    this.#bytes = this.#bytes.subarray(count)
  }

  /** Nobody waits any longer. */
  giveUp(): void {
    this.#isOver = true
    this.#onChange?.()
  }

  /** Whoever reads from the socket now reads them, too. */
  release(): void {
    this.#socket.pause()
    this.#socket.removeListener('data', this.#onData)
    this.#socket.removeListener('end', this.#onOver)
    this.#socket.removeListener('close', this.#onOver)
    if (this.#bytes.length > 0 && !this.#socket.readableEnded && !this.#socket.destroyed) {
      this.#socket.unshift(this.#bytes)
    }
    this.#bytes = Buffer.alloc(0)
  }

  readonly #onData = (data: Buffer): void => {
    // No more than is asked for: what has been read has to be put back.
    this.#socket.pause()
    this.#bytes = this.#bytes.length === 0 ? data : Buffer.concat([this.#bytes, data])
    this.#onChange?.()
  }

  readonly #onOver = (): void => this.giveUp()
}
