import type { Readable } from 'node:stream'
import type { Headers } from '../http/headers.ts'
import type { UpstreamStream } from '../upstream/upstream.ts'

/**
 * The body of a request on its way to an upstream, kept for another try, and for mirrors, as long as it is not too long. What comes before
 * there is a connection is kept too, up to the same length, and then no more is read.
 */
export class RequestBody {
  readonly #source: Readable
  readonly #trailers: () => Headers | undefined
  readonly #limit: number
  readonly #onEnd: () => void
  readonly #onTooLong: () => void
  readonly #mirrors: UpstreamStream[] = []
  #sink: UpstreamStream | undefined
  #chunks: Buffer[] = []
  #size = 0
  #isKept: boolean
  #isStopped = false
  isEnded = false

  constructor(
    source: Readable,
    trailers: () => Headers | undefined,
    options: {
      readonly isKept: boolean
      readonly limit: number
      readonly onEnd: () => void
      readonly onTooLong: () => void
    },
  ) {
    this.#source = source
    this.#trailers = trailers
    this.#isKept = options.isKept
    this.#limit = options.limit
    this.#onEnd = options.onEnd
    this.#onTooLong = options.onTooLong
    source.on('data', this.#onData)
    source.on('end', this.#onSourceEnd)
    source.on('error', ignore)
    // Without retries nothing is read before somebody takes it.
    if (this.#isKept) source.resume()
    else source.pause()
  }

  /** The whole body goes there, from its beginning. */
  attach(sink: UpstreamStream): void {
    this.#sink = sink
    sink.body.on('drain', this.#onDrain)
    let isFull = false
    for (const chunk of this.#chunks) isFull = !sink.body.write(chunk) || isFull
    if (!this.#isKept) this.#chunks = []
    if (this.isEnded) this.#endSink(sink)
    else if (isFull) this.#source.pause()
    else this.#source.resume()
  }

  /** A copy goes there too, as far as it keeps up. */
  mirrorTo(sink: UpstreamStream): void {
    if (!this.#isKept) {
      // Its beginning is gone.
      sink.cancel()
      return
    }
    for (const chunk of this.#chunks) sink.body.write(chunk)
    if (this.isEnded) this.#endSink(sink)
    else this.#mirrors.push(sink)
  }

  detach(): void {
    this.#sink?.body.off('drain', this.#onDrain)
    this.#sink = undefined
    if (!this.isEnded && !this.#isKept) this.#source.pause()
  }

  /** It will not be tried again, and no mirror waits for its beginning. */
  letGo(): void {
    this.#isKept = false
    if (this.#sink !== undefined) this.#chunks = []
  }

  /** Nobody wants it any more: what still comes is read and forgotten. */
  stop(): void {
    if (this.#isStopped) return
    this.#isStopped = true
    this.detach()
    this.#chunks = []
    this.#source.off('data', this.#onData)
    this.#source.off('end', this.#onSourceEnd)
    if (!this.isEnded) this.#source.resume()
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#size += chunk.length
    const isTooLong = this.#size > this.#limit
    if (this.#isKept && isTooLong) {
      this.#isKept = false
      if (this.#sink !== undefined) this.#chunks = []
      this.#onTooLong()
    }
    for (const mirror of this.#mirrors) this.#writeTo(mirror, chunk)
    if (this.#isKept || this.#sink === undefined) this.#chunks.push(chunk)
    if (this.#sink === undefined) {
      if (isTooLong) this.#source.pause()
    } else if (!this.#sink.body.write(chunk)) this.#source.pause()
  }

  /** A mirror that does not keep up is given up, for nobody waits for it. */
  #writeTo(mirror: UpstreamStream, chunk: Buffer): void {
    if (mirror.body.writableLength + chunk.length <= this.#limit) mirror.body.write(chunk)
    else {
      this.#mirrors.splice(this.#mirrors.indexOf(mirror), 1)
      mirror.cancel()
    }
  }

  readonly #onSourceEnd = (): void => {
    this.isEnded = true
    if (this.#sink !== undefined) this.#endSink(this.#sink)
    for (const mirror of this.#mirrors) this.#endSink(mirror)
    this.#onEnd()
  }

  #endSink(sink: UpstreamStream): void {
    const trailers = this.#trailers()
    if (trailers === undefined) sink.body.end()
    else sink.endWith(trailers)
  }

  readonly #onDrain = (): void => {
    this.#source.resume()
  }
}

const ignore = (): void => undefined
