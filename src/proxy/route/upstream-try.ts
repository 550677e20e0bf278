import type { Timer } from '../../clock.ts'
import type { Cluster } from '../cluster/cluster.ts'
import type { Host } from '../cluster/host.ts'
import {
  type Connections,
  UpstreamFailure,
  type UpstreamRequest,
  type UpstreamResponse,
  type UpstreamStream,
} from '../upstream/upstream.ts'

/** Who waits for a try. */
export interface TryListener {
  onStream(stream: UpstreamStream): void
  onResponse(one: UpstreamTry, response: UpstreamResponse): void
  onFailure(one: UpstreamTry, failure: UpstreamFailure): void
}

/** One attempt to get a response from one host. */
export class UpstreamTry {
  readonly host: Host
  readonly startMs: number
  stream: UpstreamStream | undefined
  /** It was given up, or its response is there. */
  isOver = false
  timer: Timer | undefined
  idleTimer: Timer | undefined
  readonly #listener: TryListener

  constructor(host: Host, startMs: number, listener: TryListener) {
    this.host = host
    this.startMs = startMs
    this.#listener = listener
  }

  open(connections: Connections, cluster: Cluster, request: UpstreamRequest): void {
    connections.openStream(cluster, this.host, { ...request, isWanted: () => !this.isOver }).then(
      (stream) => this.#onStream(stream),
      (error: unknown) => this.#onFailure(error),
    )
  }

  #onStream(stream: UpstreamStream): void {
    // Writing to what is broken off fails here, and is told by the response.
    stream.body.on('error', ignore)
    this.stream = stream
    stream.response.then(
      (response) => {
        if (this.isOver) return
        this.stopTimers()
        this.#listener.onResponse(this, response)
      },
      (error: unknown) => this.#onFailure(error),
    )
    if (this.isOver) stream.cancel()
    else this.#listener.onStream(stream)
  }

  #onFailure(error: unknown): void {
    if (this.isOver) return
    this.isOver = true
    this.stopTimers()
    const failure = error instanceof UpstreamFailure ? error : new UpstreamFailure('UC', 'connection termination')
    this.#listener.onFailure(this, failure)
  }

  stopTimers(): void {
    this.timer?.cancel()
    this.idleTimer?.cancel()
  }

  /** Nobody waits for it any more. */
  giveUp(): void {
    this.isOver = true
    this.stopTimers()
    this.stream?.cancel()
  }
}

const ignore = (): void => undefined
