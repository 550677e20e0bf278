import { type DescMessage, ScalarType } from '@bufbuild/protobuf'
import type { EnvoyApi } from './envoy-api.ts'
import { isAnyType } from './references/reach.ts'
import { fieldsOf } from './references/wire-field.ts'
import { messageNameOf } from './type-url.ts'
import { varint } from './varint.ts'

/** An encoded message but for some texts in it: with these it is what encoding the whole would give. */
export interface Stencil {
  readonly pieces: readonly Piece[]
}

/** Bytes that stay, the number of a text, or a field whose length depends on what is filled in. */
type Piece = Uint8Array | number | { readonly tag: Uint8Array; readonly pieces: readonly Piece[] }

/**
 * Takes texts out of an encoded message wherever strings in it have them, in what is packed in it as well. Undefined where
 * one is where nobody can tell what it belongs to (in bytes, in a message that the API does not know), or what its place
 * would be: in the key of a map.
 */
export function cutStencil(
  api: EnvoyApi,
  desc: DescMessage,
  bytes: Uint8Array,
  texts: readonly string[],
): Stencil | undefined {
  const cut = new Cut(
    api,
    texts.map((text) => Buffer.from(text)),
  )
  const pieces = cut.message(desc, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
  return pieces && { pieces }
}

/** The message with these texts, none of them empty, where the others were taken out. */
export function fillStencil({ pieces }: Stencil, texts: readonly string[]): Uint8Array {
  const values = texts.map((text) => Buffer.from(text))
  const parts: Uint8Array[] = []
  fill(pieces, values, parts)
  const joined = Buffer.concat(parts)
  return new Uint8Array(joined.buffer, joined.byteOffset, joined.byteLength)
}

/** Appends what is filled in, and returns its length. */
function fill(pieces: readonly Piece[], values: readonly Uint8Array[], parts: Uint8Array[]): number {
  let length = 0
  for (const piece of pieces) {
    if (piece instanceof Uint8Array || typeof piece === 'number') {
      const bytes = typeof piece === 'number' ? (values[piece] as Uint8Array) : piece
      parts.push(bytes)
      length += bytes.length
    } else {
      parts.push(piece.tag)
      const at = parts.push(nothing) - 1
      const inner = fill(piece.pieces, values, parts)
      const prefix = varint(inner)
      parts[at] = prefix
      length += piece.tag.length + prefix.length + inner
    }
  }
  return length
}

const nothing = new Uint8Array()

/** Types of fields on the wire. */
const wire = { varint: 0, fixed64: 1, delimited: 2, fixed32: 5 } as const

class Cut {
  readonly #api: EnvoyApi
  readonly #texts: readonly Buffer[]

  constructor(api: EnvoyApi, texts: readonly Buffer[]) {
    this.#api = api
    this.#texts = texts
  }

  message(desc: DescMessage, bytes: Buffer): readonly Piece[] | undefined {
    if (isAnyType(desc)) return this.#packed(bytes)
    return this.#fields(bytes, (number, content) => {
      const field = desc.fields.find((one) => one.number === number)
      if (field?.fieldKind !== 'map') return field && this.#value(field.message, field.scalar, content)
      // An entry is a message of its key, by which the entries are sorted, and its value.
      return this.#fields(content, (part, inner) =>
        part === 1 ? undefined : this.#value(field.message, field.scalar, inner),
      )
    })
  }

  #packed(bytes: Buffer): readonly Piece[] | undefined {
    const typeUrl = fieldsOf(bytes).find(({ number }) => number === 1)?.bytes ?? nothing
    const desc = this.#api.registry.getMessage(messageNameOf(Buffer.from(typeUrl).toString()))
    return desc && this.#fields(bytes, (number, content) => (number === 2 ? this.message(desc, content) : undefined))
  }

  #value(
    message: DescMessage | undefined,
    scalar: ScalarType | undefined,
    content: Buffer,
  ): readonly Piece[] | undefined {
    if (message !== undefined) return this.message(message, content)
    return scalar === ScalarType.STRING ? this.#text(content) : undefined
  }

  /** Cuts those fields up in which some text is. */
  #fields(
    bytes: Buffer,
    cut: (number: number, content: Buffer) => readonly Piece[] | undefined,
  ): readonly Piece[] | undefined {
    const pieces: Piece[] = []
    let [kept, at] = [0, 0]
    const read = (): number => {
      let value = 0
      for (let factor = 1; ; factor *= 128) {
        const byte = bytes[at++] ?? 0
        value += (byte & 0x7f) * factor
        if (byte < 0x80) return value
      }
    }
    while (at < bytes.length) {
      const start = at
      const tag = read()
      const end = at
      const type = tag % 8
      if (type === wire.varint) read()
      else if (type === wire.fixed64) at += 8
      else if (type === wire.fixed32) at += 4
      else if (type !== wire.delimited) return undefined
      else {
        const length = read()
        const content = bytes.subarray(at, at + length)
        at += length
        if (!this.#texts.some((text) => content.includes(text))) continue
        const inner = cut(Math.floor(tag / 8), content)
        if (inner === undefined) return undefined
        pieces.push(bytes.subarray(kept, start), { tag: bytes.subarray(start, end), pieces: inner })
        kept = at
      }
    }
    return [...pieces, bytes.subarray(kept)]
  }

  #text(content: Buffer): readonly Piece[] {
    const found = this.#texts
      .map((text, index) => ({ text, index, at: content.indexOf(text) }))
      .filter(({ at }) => at >= 0)
      .sort((a, b) => a.at - b.at)
    const [first] = found
    if (first === undefined) return [content]
    const { text, index, at } = first
    return [content.subarray(0, at), index, ...this.#text(content.subarray(at + text.length))]
  }
}
