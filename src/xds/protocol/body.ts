import { responseWithoutNonce, withNonce } from '../../resource/discovery-envelope.ts'
import { resourceTypeOf } from '../../resource/type-url.ts'
import type { Protocol } from '../stream-event.ts'
import type { Content, Question } from './content.ts'

/** An encoded response. */
export interface Message {
  readonly nonce: number
  readonly bytes: Buffer
  readonly resources: number
  readonly removed: number
  /** What it holds and what it removes, where the answer was split. */
  readonly part: readonly string[] | undefined
}

/** The answer to one question, shared by every stream that has it. */
export interface Body {
  readonly content: Content
  /**
   * The response, in several parts where it is too large and may be split (rule 19); their nonces increase and are higher
   * than `lastNonce` (rule 11).
   */
  messages(lastNonce: number): readonly Message[]
}

export interface BodyCacheOptions {
  /** `control_plane.identifier` of every response. */
  readonly identifier: string
  /** Answers kept; the least recently used goes first. */
  readonly maxBodies: number
  readonly maxBytes: number
  /** Above this a response is split, if its type may be: 4 MiB is what gRPC clients take by default. */
  readonly maxResponseBytes: number
}

/**
 * What is encoded and how. `sotw-wrapped` is for a client that knows the `Resource` wrapper (rule 81), `heartbeat` is
 * delta without bodies (rule 82).
 */
export type Encoding = 'sotw' | 'sotw-wrapped' | 'delta' | 'heartbeat'

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

/** Encodes each answer once, however many streams get it. */
export class BodyCache {
  readonly #options: BodyCacheOptions
  readonly #bodies = new Map<string, CachedBody>()
  #bytes = 0
  #last: { readonly question: Question; readonly encoding: Encoding; readonly body: Body } | undefined
  /** Answers that were computed, and not found here. */
  builds = 0

  constructor(options: BodyCacheOptions) {
    this.#options = options
  }

  bodyOf(question: Question, encoding: Encoding, build: () => Content): Body {
    // In a fan-out one stream after the other has the same question.
    if (this.#last !== undefined && isSame(question, this.#last.question) && encoding === this.#last.encoding) {
      return this.#last.body
    }
    const body = this.#find(question, encoding, build)
    this.#last = question.initialVersions === undefined ? { question, encoding, body } : undefined
    return body
  }

  #find(question: Question, encoding: Encoding, build: () => Content): Body {
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
    const protocol: Protocol = encoding === 'delta' || encoding === 'heartbeat' ? 'delta' : 'sotw'
    const { identifier, maxResponseBytes } = this.#options
    const encode = (): readonly Part[] => {
      const isWhole = protocol === 'sotw' && resourceTypeOf(typeUrl)?.isFullState === true
      const parts = partsOf(content, isWhole ? Number.POSITIVE_INFINITY : maxResponseBytes)
      return parts.map(({ frames, removed, names }) => {
        const bytes = responseWithoutNonce(protocol, { version, typeUrl, frames, removed, identifier })
        const part = parts.length > 1 ? names : undefined
        return { bytes, resources: frames.length, removed: removed.length, part }
      })
    }
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

/** A response without its nonce. */
type Part = Omit<Message, 'nonce'>

interface PartContent {
  readonly frames: Uint8Array[]
  readonly removed: string[]
  readonly names: string[]
}

/** Room in a part for its version, type, nonce and identifier. */
const envelopeBytes = 1024

/** Room for the tag and the length of a removed name. */
const nameTagBytes = 6

function partsOf({ resources, frames, frameNames, removed }: Content, maxBytes: number): readonly PartContent[] {
  let part: PartContent = { frames: [], removed: [], names: [] }
  const parts = [part]
  let size = envelopeBytes
  const makeRoom = (bytes: number): void => {
    if (size + bytes > maxBytes && size > envelopeBytes) {
      part = { frames: [], removed: [], names: [] }
      parts.push(part)
      size = envelopeBytes
    }
    size += bytes
  }
  for (const [index, frame] of frames.entries()) {
    makeRoom(frame.length)
    part.frames.push(frame)
    const resource = resources[index]
    part.names.push(...(frameNames?.[index] ?? (resource === undefined ? [] : [resource.name])))
  }
  for (const name of removed) {
    makeRoom(Buffer.byteLength(name) + nameTagBytes)
    part.removed.push(name)
    part.names.push(name)
  }
  return parts
}

class CachedBody implements Body {
  readonly content: Content
  readonly #encode: () => readonly Part[]
  #onGrowth: ((bytes: number) => void) | undefined
  #parts: readonly Part[] | undefined
  #messages: readonly Message[] | undefined

  constructor(content: Content, encode: () => readonly Part[], onGrowth: (bytes: number) => void) {
    this.content = content
    this.#encode = encode
    this.#onGrowth = onGrowth
  }

  get bytes(): number {
    let size = 0
    for (const { bytes } of this.#parts ?? []) size += bytes.length
    for (const { bytes } of this.#messages ?? []) size += bytes.length
    return size
  }

  messages(after: number): readonly Message[] {
    const [first] = this.#messages ?? []
    if (this.#messages !== undefined && first !== undefined && first.nonce > after) return this.#messages
    const before = this.bytes
    this.#parts ??= this.#encode()
    this.#messages = this.#parts.map((part) => {
      const nonce = ++lastNonce
      return { ...part, nonce, bytes: withNonce(part.bytes, String(nonce)) }
    })
    this.#onGrowth?.(this.bytes - before)
    return this.#messages
  }

  /** It is no longer counted: somebody may still be writing it. */
  forget(): void {
    this.#onGrowth = undefined
  }
}

function isSame(a: Question, b: Question): boolean {
  return (
    a.to === b.to &&
    a.names === b.names &&
    a.owed === b.owed &&
    a.isWildcard === b.isWildcard &&
    a.isComplete === b.isComplete &&
    a.initialVersions === b.initialVersions &&
    a.from.length === b.from.length &&
    a.from.every((set, index) => set === b.from[index])
  )
}

/** By identity of all that the answer follows from; undefined for one that only one client can have. */
function keyOf(question: Question, encoding: Encoding): string | undefined {
  const { to, isWildcard, names, owed, from, initialVersions } = question
  if (initialVersions !== undefined) return undefined
  const what = owed === 'all' ? 'all' : idOf(owed)
  return `${encoding}|${idOf(to)}|${isWildcard ? '*' : ''}${idOf(names)}|${what}|${from.map(idOf).join(',')}`
}
