/** A small generator of its own, so that a failing seed can be run again. */
export interface Random {
  /** A whole number from 0 to below that. */
  below(limit: number): number
  /** True so often: `chance(0.25)` one time in four. */
  chance(probability: number): boolean
  /** @throws Error when there is nothing to choose from */
  pick<T>(items: readonly T[]): T
  /** So many of them, or all, in random order. */
  some<T>(items: readonly T[], count: number): T[]
}

export function createRandom(seed: number): Random {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (limit: number): number => Math.floor(next() * limit)
  return {
    below,
    chance: (probability) => next() < probability,
    pick: (items) => {
      if (items.length === 0) throw new Error('there is nothing to choose from')
      return items[below(items.length)] as (typeof items)[number]
    },
    some: (items, count) => {
      const left = [...items]
      const taken: (typeof items)[number][] = []
      while (taken.length < count && left.length > 0) taken.push(...left.splice(below(left.length), 1))
      return taken
    },
  }
}

/** The seeds that a test plays: that of `FAIRLEAD_TEST_SEED` alone, or as many as it wants from `first` on. */
export function seedsOf(count: number, first = 1): readonly number[] {
  const given = process.env['FAIRLEAD_TEST_SEED']
  if (given !== undefined && given !== '') return [Number(given)]
  return Array.from({ length: count }, (_, index) => first + index)
}
