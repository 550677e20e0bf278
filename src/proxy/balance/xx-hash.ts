import xxhash from 'xxhash-wasm'

const hasher = await xxhash()

/** xxHash64 of a text whose characters are bytes, as header values are. */
export function xxHash64(text: string, seed = 0n): bigint {
  // Only ASCII is the same bytes in UTF-8, which `h64` takes.
  // oxlint-disable-next-line no-control-regex
  return /^[\0-\x7f]*$/.test(text) ? hasher.h64(text, seed) : hasher.h64Raw(Buffer.from(text, 'latin1'), seed)
}
