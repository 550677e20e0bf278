import type { Readable, Writable } from 'node:stream'

/** Whoever wants to know what a pump does. */
export interface PumpListener {
  onChunk(chunk: Buffer): void
  /** The source has ended; the sink is the listener's to end. */
  onEnd(): void
  onError(error: Error): void
}

class Pump {
  readonly #source: Readable
  readonly #sink: Writable
  readonly #listener: PumpListener
  #isStopped = false

  constructor(source: Readable, sink: Writable, listener: PumpListener) {
    this.#source = source
    this.#sink = sink
    this.#listener = listener
  }

  start(): void {
    const source = this.#source
    source.on('data', this.#onData)
    source.on('end', this.#onEnd)
    source.on('error', this.#onError)
    source.on('close', this.#onClose)
    this.#sink.on('drain', this.#onDrain)
    if (source.readableEnded || source.destroyed) process.nextTick(this.#onClose)
    else source.resume()
  }

  #stop(): void {
    if (this.#isStopped) return
    this.#isStopped = true
    const source = this.#source
    source.off('data', this.#onData)
    source.off('end', this.#onEnd)
    source.off('close', this.#onClose)
    this.#sink.off('drain', this.#onDrain)
    // Its errors go on being heard.
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#listener.onChunk(chunk)
    if (!this.#isStopped && !this.#sink.write(chunk)) this.#source.pause()
  }

  readonly #onEnd = (): void => {
    this.#stop()
    this.#listener.onEnd()
  }

  readonly #onError = (error: Error): void => {
    if (this.#isStopped) return
    this.#stop()
    this.#listener.onError(error)
  }

  readonly #onClose = (): void => {
    if (this.#isStopped) return
    if (this.#source.readableEnded) this.#onEnd()
    else this.#onError(this.#source.errored ?? new Error('the stream was closed before its end'))
  }

  readonly #onDrain = (): void => {
    this.#source.resume()
  }
}

/**
 * Moves a body from a stream to another no faster than the other takes it: like `pipe`, but that its owner sees the
 * chunks go by and ends the sink itself.
 */
export function startPump(source: Readable, sink: Writable, listener: PumpListener): void {
  new Pump(source, sink, listener).start()
}
