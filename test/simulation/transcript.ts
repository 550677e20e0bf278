import { meaningOf, wordOfUrl } from './meaning.ts'
import type { RequestWords } from './mux.ts'
import type { Response } from './wire.ts'

/** What is said on one client's streams, in words. */
export class Transcript {
  readonly #write: (line: string) => void
  /** The server counts nonces over all streams; here the first is 1, so that a scenario always reads the same. */
  readonly #numbers = new Map<string, number>()

  constructor(write: (line: string) => void) {
    this.#write = write
  }

  note(line: string): void {
    this.#write(line)
  }

  request({ word, text, nonce, error }: RequestWords): void {
    const verdict =
      error === undefined ? `ACK ${this.#numberOf(nonce)}` : `NACK ${this.#numberOf(nonce)}: ${error.trim()}`
    this.#write(`-> ${word} ${text}${nonce === '' ? '' : ` ${verdict}`}`)
  }

  /** `<- cluster 17: a@2(names) b@1 -c` */
  response({ typeUrl, nonce, resources, removed }: Response): void {
    const word = wordOfUrl(typeUrl)
    const held = resources.map(({ name, value }) => {
      if (value === undefined || word === undefined) return `${name}(no body)`
      const meaning = meaningOf(word, value)
      const { clusters, routes, children, assignment, secrets } = meaning
      const named = [...clusters, ...routes, ...children, ...(assignment === undefined ? [] : [assignment]), ...secrets]
      return `${meaning.name}@${meaning.revision}${named.length === 0 ? '' : `(${named.join(' ')})`}`
    })
    const content = [...held, ...removed.map((name) => `-${name}`)].join(' ')
    this.#write(`<- ${word ?? typeUrl} ${this.#numberOf(nonce)}: ${content}`)
  }

  #numberOf(nonce: string): number {
    const number = this.#numbers.get(nonce) ?? this.#numbers.size + 1
    this.#numbers.set(nonce, number)
    return number
  }
}
