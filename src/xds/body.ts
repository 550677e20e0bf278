import { responseWithoutNonce, withNonce } from '../resource/discovery-envelope.ts'
import type { Content, Question } from './content.ts'
import type { Protocol } from './stream-event.ts'

/** An encoded response. */
export interface Message {
  readonly nonce: number
  readonly bytes: Buffer
}

/** The answer to one question, shared by every stream that has it. */
export interface Body {
  readonly content: Content
  /** The response, its nonce higher than `lastNonce`: on each stream nonces strictly increase (rule 11). */
  message(lastNonce: number): Message
}

export interface BodyCacheOptions {
  /** `control_plane.identifier` of every response. */
  readonly identifier: string
  /** Answers kept; the least recently used goes first. */
  readonly maxBodies: number
  readonly maxBytes: number
}

/** What is encoded and how. `wrapped` is SotW for a client that knows the `Resource` wrapper (rule 81). */
export type Encoding = 'sotw' | 'sotw-wrapped' | 'delta'

let lastNonce = 0

const ids = new WeakMap<object, number>()
let lastId = 0

function idOf(value: object): number {
  let id = ids.get(value)
  if (id === undefined) {
    id = ++lastId
    ids.set(value, id)
  }
  return id
}

/** Encodes each answer once, however many streams get it (DESIGN.md 3). */
export class BodyCache {
  readonly #options: BodyCacheOptions
  readonly #bodies = new Map<string, CachedBody>()
  #bytes = 0
  /** Answers that were computed, and not found here. */
  builds = 0

  constructor(options: BodyCacheOptions) {
    this.#options = options
  }

  bodyOf(question: Question, encoding: Encoding, build: () => Content): Body {
    const key = keyOf(question, encoding)
    if (key === undefined) return this.bodyForOne(question, encoding, build())
    let body = this.#bodies.get(key)
    if (body === undefined) {
      this.builds++
      body = this.#create(question, encoding, build(), (bytes) => {
        this.#bytes += bytes
      })
    } else this.#bodies.delete(key)
    this.#bodies.set(key, body)
    this.#evict()
    return body
  }

  /** An answer that no other stream will get. */
  bodyForOne(question: Question, encoding: Encoding, content: Content): Body {
    this.builds++
    return this.#create(question, encoding, content, () => {})
  }

  #create(question: Question, encoding: Encoding, content: Content, onGrowth: (bytes: number) => void): CachedBody {
    const { version, typeUrl } = question.to
    const { frames, removed } = content
    const protocol: Protocol = encoding === 'delta' ? 'delta' : 'sotw'
    const { identifier } = this.#options
    const encode = (): Buffer => responseWithoutNonce(protocol, { version, typeUrl, frames, removed, identifier })
    return new CachedBody(content, encode, onGrowth)
  }

  #evict(): void {
    for (const [key, body] of this.#bodies) {
      if (this.#bodies.size <= this.#options.maxBodies && this.#bytes <= this.#options.maxBytes) return
      if (this.#bodies.size === 1) return
      this.#bodies.delete(key)
      this.#bytes -= body.bytes
      body.forget()
    }
  }
}

class CachedBody implements Body {
  readonly content: Content
  readonly #encode: () => Buffer
  #onGrowth: ((bytes: number) => void) | undefined
  #withoutNonce: Buffer | undefined
  #message: Message | undefined

  constructor(content: Content, encode: () => Buffer, onGrowth: (bytes: number) => void) {
    this.content = content
    this.#encode = encode
    this.#onGrowth = onGrowth
  }

  get bytes(): number {
    return (this.#withoutNonce?.length ?? 0) + (this.#message?.bytes.length ?? 0)
  }

  message(after: number): Message {
    if (this.#message !== undefined && this.#message.nonce > after) return this.#message
    const before = this.bytes
    this.#withoutNonce ??= this.#encode()
    const nonce = ++lastNonce
    this.#message = { nonce, bytes: withNonce(this.#withoutNonce, String(nonce)) }
    this.#onGrowth?.(this.bytes - before)
    return this.#message
  }

  /** It is no longer counted: somebody may still be writing it. */
  forget(): void {
    this.#onGrowth = undefined
  }
}

/** By identity of all that the answer follows from; undefined for one that only one client can have. */
function keyOf(question: Question, encoding: Encoding): string | undefined {
  const { to, isWildcard, names, owed, from, initialVersions } = question
  if (initialVersions !== undefined) return undefined
  const what = owed === 'all' ? 'all' : idOf(owed)
  return `${encoding}|${idOf(to)}|${isWildcard ? '*' : ''}${idOf(names)}|${what}|${from.map(idOf).join(',')}`
}
