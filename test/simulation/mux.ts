import type { Word } from './scenario.ts'
import type { Response } from './wire.ts'

/** The names that a client asks for of one type; undefined: everything, in the old way of an empty list. */
export type Interest = readonly string[] | undefined

/** Hands a request to the line; the words are for the transcript. */
export type Send = (bytes: Buffer, inWords: () => RequestWords) => void

export interface RequestWords {
  readonly word: Word
  /** What is asked. */
  readonly text: string
  readonly nonce: string
  readonly error: string | undefined
}

/** What the client makes of a response: an error's text refuses it. */
export type Take = (word: Word, response: Response) => string | undefined

/**
 * Envoy's side of one of the two protocols: keeps track of what is asked and answered, holds back the requests of a type
 * that is paused, and outlives the streams.
 */
export interface Mux {
  /** A new stream: everything is asked for again, with what is known. */
  open(send: Send): void
  close(): void
  /** `isAgain`: a new watch of a name that is being watched already. */
  watch(word: Word, interest: Interest, isAgain: boolean): void
  pause(word: Word): void
  resume(word: Word): void
  receive(bytes: Buffer): void
}
