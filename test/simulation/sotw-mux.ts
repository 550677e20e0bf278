import { typeUrls, wordOfUrl } from './meaning.ts'
import type { Interest, Mux, Send, Take } from './mux.ts'
import type { Word } from './scenario.ts'
import { decodeResponse, encodeNames, encodeSotw } from './wire.ts'

interface Type {
  /** Encoded. */
  names: Buffer
  /** For the transcript. */
  asked: string
  version: string
  nonce: string
  error: string | undefined
  pauses: number
  /** A request is due when it is no longer paused. */
  isDue: boolean
}

/** State of the world, as Envoy speaks it: one request is the whole subscription and the verdict on the last response. */
export class SotwMux implements Mux {
  readonly #types = new Map<Word, Type>()
  readonly #node: Buffer
  readonly #take: Take
  #send: Send | undefined
  #hasSentNode = false

  constructor(node: Buffer, take: Take) {
    this.#node = node
    this.#take = take
  }

  open(send: Send): void {
    this.#send = send
    this.#hasSentNode = false
    for (const [word, type] of this.#types) {
      type.nonce = ''
      type.error = undefined
      this.#request(word, type)
    }
  }

  close(): void {
    this.#send = undefined
  }

  watch(word: Word, interest: Interest, isAgain: boolean): void {
    // Envoy names the newest first; the order means nothing.
    const names = encodeNames([...(interest ?? [])].reverse())
    const asked = interest === undefined ? '*' : interest.join(' ')
    const known = this.#types.get(word)
    if (known === undefined) {
      // It never asks for nothing by name, save after it asked for something.
      if (interest?.length === 0) return
      const type: Type = { names, asked, version: '', nonce: '', error: undefined, pauses: 0, isDue: false }
      this.#types.set(word, type)
      this.#request(word, type)
    } else if (isAgain || !known.names.equals(names)) {
      known.names = names
      known.asked = asked
      this.#request(word, known)
    }
  }

  pause(word: Word): void {
    const type = this.#types.get(word)
    if (type !== undefined) type.pauses++
  }

  resume(word: Word): void {
    const type = this.#types.get(word)
    if (type === undefined) return
    type.pauses--
    if (type.isDue) this.#request(word, type)
  }

  receive(bytes: Buffer): void {
    const response = decodeResponse(bytes, false)
    const word = wordOfUrl(response.typeUrl)
    const type = word === undefined ? undefined : this.#types.get(word)
    if (word === undefined || type === undefined) return
    type.error = this.#take(word, response)
    type.nonce = response.nonce
    if (type.error === undefined) type.version = response.version
    this.#request(word, type)
  }

  /** Of several that are held back only the last state is said. */
  #request(word: Word, type: Type): void {
    if (this.#send === undefined) return
    type.isDue = type.pauses > 0
    if (type.isDue) return
    const { names, version, nonce, error } = type
    const node = this.#hasSentNode ? undefined : this.#node
    this.#hasSentNode = true
    type.error = undefined
    const bytes = encodeSotw({ node, typeUrl: typeUrls[word], version, names, nonce, error })
    const asked = type.asked
    this.#send(bytes, () => ({ word, text: `[${asked}]`, nonce, error }))
  }
}
