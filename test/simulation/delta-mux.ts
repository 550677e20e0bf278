import { typeUrls, wordOfUrl } from './meaning.ts'
import type { Interest, Mux, Send, Take } from './mux.ts'
import type { Word } from './scenario.ts'
import { decodeResponse, encodeDelta, type Response } from './wire.ts'

interface Type {
  /** Undefined: everything. */
  names: ReadonlySet<string> | undefined
  /** As the server's wrappers said, of what was accepted. */
  readonly versions: Map<string, string>
  readonly added: Set<string>
  readonly removed: Set<string>
  /** Nothing was said of it on this stream. */
  isFresh: boolean
  pauses: number
}

interface Ack {
  readonly word: Word
  readonly nonce: string
  readonly error: string | undefined
}

const noNames: readonly string[] = []

/** The incremental protocol, as Envoy speaks it: every response gets its own verdict, and changes of interest ride along. */
export class DeltaMux implements Mux {
  readonly #types = new Map<Word, Type>()
  readonly #node: Buffer
  readonly #take: Take
  #acks: Ack[] = []
  #send: Send | undefined
  #hasSentNode = false

  constructor(node: Buffer, take: Take) {
    this.#node = node
    this.#take = take
  }

  open(send: Send): void {
    this.#send = send
    this.#hasSentNode = false
    this.#acks = []
    for (const type of this.#types.values()) type.isFresh = true
    this.#sendDue()
  }

  close(): void {
    this.#send = undefined
  }

  watch(word: Word, interest: Interest): void {
    const names = interest === undefined ? undefined : new Set(interest)
    const known = this.#types.get(word)
    if (known === undefined) {
      // VHDS alone asks for nothing at first; other types begin with a name.
      if (names?.size === 0 && word !== 'virtualHost') return
      const [added, removed] = [new Set(names), new Set<string>()]
      this.#types.set(word, { names, versions: new Map(), added, removed, isFresh: true, pauses: 0 })
    } else if (names !== undefined) {
      const before = known.names ?? new Set()
      for (const name of names) {
        if (before.has(name)) continue
        known.removed.delete(name)
        known.added.add(name)
      }
      for (const name of before) {
        if (names.has(name)) continue
        known.versions.delete(name)
        known.added.delete(name)
        known.removed.add(name)
      }
      known.names = names
    }
    this.#sendDue()
  }

  pause(word: Word): void {
    const type = this.#types.get(word)
    if (type !== undefined) type.pauses++
  }

  resume(word: Word): void {
    const type = this.#types.get(word)
    if (type === undefined) return
    type.pauses--
    this.#sendDue()
  }

  receive(bytes: Buffer): void {
    const response = decodeResponse(bytes, true)
    const word = wordOfUrl(response.typeUrl)
    const type = word === undefined ? undefined : this.#types.get(word)
    if (word === undefined || type === undefined) return
    const error = this.#take(word, response)
    if (error === undefined) noteVersions(type, response)
    this.#acks.push({ word, nonce: response.nonce, error })
    this.#sendDue()
  }

  /** Verdicts first, in their order, then what is asked without one. Envoy keeps back what belongs to a paused type. */
  #sendDue(): void {
    if (this.#send === undefined) return
    const waiting: Ack[] = []
    for (const ack of this.#acks) {
      const type = this.#types.get(ack.word) as Type
      if (type.pauses > 0) waiting.push(ack)
      else this.#request(ack.word, type, ack)
    }
    this.#acks = waiting
    for (const [word, type] of this.#types) {
      if (type.pauses === 0 && isPending(word, type)) this.#request(word, type, undefined)
    }
  }

  #request(word: Word, type: Type, ack: Ack | undefined): void {
    const subscribe = type.isFresh ? (type.names ?? noNames) : type.added
    const initialVersions = type.isFresh ? new Map(type.versions) : new Map<string, string>()
    const node = this.#hasSentNode ? undefined : this.#node
    this.#hasSentNode = true
    const request = {
      node,
      typeUrl: typeUrls[word],
      subscribe: [...subscribe],
      // What a stream was never asked for need not be taken back.
      unsubscribe: type.isFresh ? [] : [...type.removed],
      initialVersions,
      nonce: ack?.nonce ?? '',
      error: ack?.error,
    }
    type.isFresh = false
    type.added.clear()
    type.removed.clear()
    this.#send?.(encodeDelta(request), () => {
      const has = [...request.initialVersions.keys()].join(' ')
      const names = [...request.subscribe.map((name) => `+${name}`), ...request.unsubscribe.map((name) => `-${name}`)]
      const text = `[${names.join(' ')}]${has === '' ? '' : ` has [${has}]`}`
      return { word, text, nonce: request.nonce, error: request.error }
    })
  }
}

function isPending(word: Word, type: Type): boolean {
  if (type.isFresh) return type.names === undefined || type.names.size > 0 || word === 'virtualHost'
  return type.added.size > 0 || type.removed.size > 0
}

function noteVersions(type: Type, { resources, removed }: Response): void {
  for (const { name, version, value } of resources) {
    if (value !== undefined && (type.names === undefined || type.names.has(name))) type.versions.set(name, version)
  }
  for (const name of removed) type.versions.delete(name)
}
