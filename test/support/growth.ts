/** How what a process holds grows over time: by a line through the later samples, so that no single one decides. */
export interface Sample {
  readonly atMs: number
  readonly value: number
}

/**
 * What a value grew by from the beginning to the end of the samples, by the slope of the line that fits them best (each pair
 * of samples has a slope; of all these the middle one).
 */
export function growthOf(samples: readonly Sample[]): number {
  const slopes: number[] = []
  for (const [index, a] of samples.entries()) {
    for (const b of samples.slice(index + 1)) slopes.push((b.value - a.value) / (b.atMs - a.atMs))
  }
  slopes.sort((a, b) => a - b)
  const middle = slopes[slopes.length >> 1]
  const [first, last] = [samples[0], samples.at(-1)]
  if (middle === undefined || first === undefined || last === undefined) throw new Error('too few samples')
  return middle * (last.atMs - first.atMs)
}
