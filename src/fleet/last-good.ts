import { documentIdOf } from '../config/document-key.ts'
import { joinDocuments } from '../config/document-text.ts'
import type { Unit } from '../snapshot/unit.ts'

/** A text that was read, and what it says of its units. */
export interface ReadText {
  readonly id: string
  /** Undefined: the document is gone. */
  readonly text: string | undefined
  readonly valid: readonly Unit[]
  /** Keys of what it holds and cannot be read. */
  readonly invalid: readonly string[]
  /** Keys of what it held before and holds no more. */
  readonly gone: readonly string[]
  /** Something in it is to be mended, be that in no unit of it. */
  readonly hasError: boolean
}

/** A text that is not wholly in force, or not known to be. */
interface Open extends ReadText {
  /** Of this and all texts since the last that was wholly in force. */
  readonly gone: readonly string[]
}

/** Knows of each document the last text of which everything was in force: what a server that knows nothing else of it should serve. */
export class LastGood {
  readonly #open = new Map<string, Open>()
  readonly #texts = new Map<string, string>()
  readonly #changed = new Set<string>()

  /** By id. */
  get texts(): ReadonlyMap<string, string> {
    return this.#texts
  }

  /** Something was read of it that is not gone. */
  knows(id: string): boolean {
    return this.#texts.has(id) || this.#open.has(id)
  }

  note(read: ReadText): void {
    const now = new Set([...read.valid.map(({ key }) => key), ...read.invalid])
    const gone = new Set([...(this.#open.get(read.id)?.gone ?? []), ...read.gone])
    this.#open.set(read.id, { ...read, gone: [...gone].filter((key) => !now.has(key)) })
  }

  /** After what was noted took effect, as far as it may; and after anything else that may have brought it into force. */
  settle(inForce: ReadonlyMap<string, Unit>): void {
    for (const [id, open] of this.#open) {
      if (isWhole(open, inForce)) {
        this.#open.delete(id)
        this.#keep(id, open.text)
      } else {
        const text = partOf(open, inForce)
        if (text !== undefined) this.#keep(id, text)
      }
    }
  }

  /** Ids of which another text, or none, is the last good one since this was asked. */
  takeChanged(): readonly string[] {
    const changed = [...this.#changed]
    this.#changed.clear()
    return changed
  }

  #keep(id: string, text: string | undefined): void {
    if (text === undefined) this.#texts.delete(id)
    else if (this.#texts.get(id) === text) return
    else this.#texts.set(id, text)
    this.#changed.add(id)
  }
}

/** `world.inForce` holds the very units that were read, once they are in force. */
function isWhole({ valid, invalid, gone, hasError }: Open, inForce: ReadonlyMap<string, Unit>): boolean {
  return (
    !hasError &&
    invalid.length === 0 &&
    valid.every((unit) => inForce.get(unit.key) === unit) &&
    gone.every((key) => !inForce.has(key))
  )
}

/** Where one document of several in a text took effect, and another stayed as it was, no text says what is in force: this one does. */
function partOf(open: Open, inForce: ReadonlyMap<string, Unit>): string | undefined {
  const { id, valid, invalid, gone } = open
  if (valid.every((unit) => inForce.get(unit.key) !== unit)) return undefined
  const keys = new Set([...valid.map(({ key }) => key), ...invalid, ...gone])
  const units = [...keys].flatMap((key) => (documentIdOf(key) === id ? (inForce.get(key) ?? []) : []))
  const contents = units.sort((a, b) => (a.key < b.key ? -1 : 1)).map(({ text }) => text?.content)
  return contents.includes(undefined) ? undefined : joinDocuments(contents as readonly string[])
}
