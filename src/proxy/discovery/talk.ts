import type { EnvoyApi } from '../../resource/envoy-api.ts'
import type { Response } from './envelopes.ts'

/**
 * What one type of resources has to say to the server, in one of the two protocols. It knows no stream: it says what the
 * next request is, if one is due.
 */
export interface Talk {
  /** Another one wants this resource. In SotW that is said again even of a name that was known. */
  want(name: string): void
  unwant(name: string): void
  /** All that there are. */
  wantAll(): void
  /** A new stream, which knows nothing of what was said. */
  begin(): void
  /** Some response was taken: its ACK is due, and its resources are what a new stream is told that there are. */
  accept(response: Response): void
  /** Some response was refused. */
  reject(response: Response, error: string): void
  /** A response came that nobody waits for any more. */
  shrug(response: Response): void
  /** Its end came without the server: what is lost is told on the next stream no more. */
  forget(name: string): void
  /** The bytes of the next request, where one is due. */
  next(api: EnvoyApi, node: object | undefined): Buffer | undefined
  /** The next request is an ACK or a NACK. */
  readonly isAnswer: boolean
  readonly isDue: boolean
}
