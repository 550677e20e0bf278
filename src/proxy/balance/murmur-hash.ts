const multiplier = 0xc6a4a7935bd1e995n
const shift = 47n
const mask = 0xffff_ffff_ffff_ffffn

/** The seed of the C++ standard library's own hash, which is this one too. */
const standardSeed = 0xc70f6907n

/** MurmurHash2 of 64 bits, of the bytes of a text in UTF-8. */
export function murmurHash2(text: string, seed: bigint = standardSeed): bigint {
  const bytes = Buffer.from(text)
  let hash = seed ^ ((BigInt(bytes.length) * multiplier) & mask)
  const whole = bytes.length - (bytes.length % 8)
  for (let at = 0; at < whole; at += 8) {
    const mixed = mix((bytes.readBigUInt64LE(at) * multiplier) & mask)
    hash = ((hash ^ ((mixed * multiplier) & mask)) * multiplier) & mask
  }
  if (whole < bytes.length) {
    let rest = 0n
    for (let at = bytes.length - 1; at >= whole; at--) rest = (rest << 8n) | BigInt(bytes[at] as number)
    hash = ((hash ^ rest) * multiplier) & mask
  }
  return mix((mix(hash) * multiplier) & mask)
}

const mix = (value: bigint): bigint => value ^ (value >> shift)
