const size = 624
const middle = 397

/** MT19937: the numbers of 32 bits that C++'s `std::mt19937` gives for a seed. */
export function createMersenneTwister(seed: number): () => number {
  const state = new Uint32Array(size)
  state[0] = seed
  for (let at = 1; at < size; at++) {
    const before = state[at - 1] as number
    state[at] = Math.imul(1_812_433_253, before ^ (before >>> 30)) + at
  }
  let next = size
  const turn = (): void => {
    for (let at = 0; at < size; at++) {
      const mixed = ((state[at] as number) & 0x8000_0000) | ((state[(at + 1) % size] as number) & 0x7fff_ffff)
      const odd = (mixed & 1) === 0 ? 0 : 0x9908_b0df
      state[at] = (state[(at + middle) % size] as number) ^ (mixed >>> 1) ^ odd
    }
    next = 0
  }
  return () => {
    if (next === size) turn()
    let value = state[next++] as number
    value ^= value >>> 11
    value ^= (value << 7) & 0x9d2c_5680
    value ^= (value << 15) & 0xefc6_0000
    value ^= value >>> 18
    return value >>> 0
  }
}
