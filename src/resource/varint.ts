/** A number without a sign, below 2^31, as it is encoded: the length of what follows, most often. */
export function varint(value: number): Uint8Array {
  const bytes: number[] = []
  for (let rest = value; ; rest >>>= 7) {
    bytes.push(rest < 0x80 ? rest : (rest & 0x7f) | 0x80)
    if (rest < 0x80) return Uint8Array.from(bytes)
  }
}
