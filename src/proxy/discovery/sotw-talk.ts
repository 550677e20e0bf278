import type { EnvoyApi } from '../../resource/envoy-api.ts'
import { encodeSotwRequest, type Response } from './envelopes.ts'
import type { Talk } from './talk.ts'

/**
 * State of the world: every request says all that is wanted, and repeats the last version that was taken. One request
 * answers a response, and says what has changed in the names too.
 */
export class SotwTalk implements Talk {
  readonly #typeUrl: string
  /** How many want each name; who asked last stands last. */
  readonly #wanted = new Map<string, number>()
  #wantsAll = false
  #version = ''
  #nonce = ''
  #error: string | undefined
  #isDue = false
  /** A request went out on this stream. */
  #isSaid = false
  #isAnswer = false

  constructor(typeUrl: string) {
    this.#typeUrl = typeUrl
  }

  get isDue(): boolean {
    return this.#isDue
  }

  get isAnswer(): boolean {
    return this.#isAnswer
  }

  want(name: string): void {
    const count = this.#wanted.get(name) ?? 0
    this.#wanted.delete(name)
    this.#wanted.set(name, count + 1)
    this.#isDue = true
  }

  unwant(name: string): void {
    const count = this.#wanted.get(name) ?? 0
    if (count > 1) this.#wanted.set(name, count - 1)
    else this.#wanted.delete(name)
    this.#isDue = this.#isSaid || this.#isWanting
  }

  wantAll(): void {
    this.#wantsAll = true
    this.#isDue = true
  }

  begin(): void {
    this.#nonce = ''
    this.#error = undefined
    this.#isSaid = false
    this.#isDue = this.#isWanting
    this.#isAnswer = false
  }

  accept({ nonce, version }: Response): void {
    this.#version = version
    this.#error = undefined
    this.#answer(nonce)
  }

  reject({ nonce }: Response, error: string): void {
    this.#error = error
    this.#answer(nonce)
  }

  /** Envoy repeats the version that it has, which is neither an ACK nor a NACK; nothing at all is taken as it comes. */
  shrug({ nonce, version, resources }: Response): void {
    if (resources.length === 0) this.#version = version
    else this.#isDue = true
    this.#nonce = nonce
  }

  forget(): void {
    // Only versions of the whole type are told.
  }

  next(api: EnvoyApi, node: object | undefined): Buffer | undefined {
    if (!this.#isDue) return undefined
    const request = {
      typeUrl: this.#typeUrl,
      nonce: this.#nonce,
      version: this.#version,
      // Newest first, as Envoy lists them.
      names: [...this.#wanted.keys()].reverse(),
      error: this.#error,
    }
    this.#error = undefined
    this.#isDue = false
    this.#isSaid = true
    this.#isAnswer = false
    return encodeSotwRequest(api, request, node)
  }

  /** An empty list would mean all on a stream that has not named any. */
  get #isWanting(): boolean {
    return this.#wantsAll || this.#wanted.size > 0
  }

  #answer(nonce: string): void {
    this.#nonce = nonce
    this.#isDue = true
    this.#isAnswer = true
  }
}
