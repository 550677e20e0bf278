import type { EnvoyApi } from '../../resource/envoy-api.ts'
import { encodeDeltaRequest, type Response } from './envelopes.ts'
import type { Talk } from './talk.ts'

/** Delta: a request says what has changed in what is wanted. Each response has an answer of its own, in their order. */
export class DeltaTalk implements Talk {
  readonly #typeUrl: string
  /** How many want each name. */
  readonly #wanted = new Map<string, number>()
  #wantsAll = false
  /** Of what was taken and not removed since. */
  readonly #versions = new Map<string, string>()
  readonly #added = new Set<string>()
  readonly #removed = new Set<string>()
  #answers: { readonly nonce: string; readonly error: string | undefined }[] = []
  /** The next request is the first of this type on its stream. */
  #isFirst = true

  constructor(typeUrl: string) {
    this.#typeUrl = typeUrl
  }

  get isDue(): boolean {
    if (this.#answers.length > 0) return true
    if (this.#isFirst) return this.#wantsAll || this.#wanted.size > 0
    return this.#added.size > 0 || this.#removed.size > 0
  }

  get isAnswer(): boolean {
    return this.#answers.length > 0
  }

  want(name: string): void {
    const count = this.#wanted.get(name) ?? 0
    this.#wanted.set(name, count + 1)
    if (count > 0) return
    this.#added.add(name)
    this.#removed.delete(name)
  }

  unwant(name: string): void {
    const count = this.#wanted.get(name) ?? 0
    if (count > 1) {
      this.#wanted.set(name, count - 1)
      return
    }
    this.#wanted.delete(name)
    this.#versions.delete(name)
    this.#added.delete(name)
    this.#removed.add(name)
  }

  wantAll(): void {
    this.#wantsAll = true
  }

  begin(): void {
    this.#isFirst = true
    this.#answers = []
  }

  accept({ nonce, resources, removed }: Response): void {
    for (const { name, version } of resources) {
      if (this.#wantsAll || this.#wanted.has(name)) this.#versions.set(name, version)
    }
    for (const name of removed) this.#versions.delete(name)
    this.#answers.push({ nonce, error: undefined })
  }

  reject({ nonce }: Response, error: string): void {
    this.#answers.push({ nonce, error })
  }

  shrug({ nonce }: Response): void {
    this.#answers.push({ nonce, error: undefined })
  }

  forget(name: string): void {
    this.#versions.delete(name)
  }

  next(api: EnvoyApi, node: object | undefined): Buffer | undefined {
    if (!this.isDue) return undefined
    const isFirst = this.#isFirst
    this.#isFirst = false
    const answer = this.#answers.shift()
    const subscribe = isFirst ? [...this.#wanted.keys()] : [...this.#added]
    const unsubscribe = isFirst ? [] : [...this.#removed]
    this.#added.clear()
    this.#removed.clear()
    return encodeDeltaRequest(
      api,
      {
        typeUrl: this.#typeUrl,
        nonce: answer?.nonce ?? '',
        error: answer?.error,
        subscribe: subscribe.sort(),
        unsubscribe: unsubscribe.sort(),
        initialVersions: isFirst ? this.#versions : new Map(),
      },
      node,
    )
  }
}
