/** Encoded protobuf, field by field, right or wrong: for bytes that no honest encoder would write. */

export type Bytes = Buffer

/** A number as protobuf writes it: seven bits a byte, the lowest first. */
export function varint(value: number | bigint): Bytes {
  const bytes: number[] = []
  let rest = BigInt.asUintN(64, BigInt(value))
  do {
    const low = Number(rest & 0x7fn)
    rest >>= 7n
    bytes.push(rest === 0n ? low : low | 0x80)
  } while (rest !== 0n)
  return Buffer.from(bytes)
}

export function tag(field: number, wireType: number): Bytes {
  return varint(BigInt(field) * 8n + BigInt(wireType))
}

/** A string, a message or bytes. `length` may lie. */
export function delimited(field: number, content: string | Bytes, length?: number): Bytes {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content
  return Buffer.concat([tag(field, 2), varint(length ?? bytes.length), bytes])
}

export function numeric(field: number, value: number | bigint): Bytes {
  return Buffer.concat([tag(field, 0), varint(value)])
}

export const concat = (...parts: readonly Bytes[]): Bytes => Buffer.concat(parts)
