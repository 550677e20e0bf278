/**
 * The candidate that `name` most likely means, or undefined when none is near. Case, dashes and underscores count little;
 * where no candidate is spelt alike, the only one that begins with the name as a word is meant (`port` for `port_value`).
 * @param within how many letters may differ; a third of them, if not given.
 */
export function nearestName(name: string, candidates: Iterable<string>, within?: number): string | undefined {
  const wanted = plain(name)
  let best: string | undefined
  let limit = within ?? Math.max(1, Math.floor(wanted.length / 3))
  const longer: string[] = []
  for (const candidate of candidates) {
    if (name !== '' && candidate.startsWith(`${name}_`)) longer.push(candidate)
    const distance = editDistance(wanted, plain(candidate), limit)
    if (distance > limit || (distance === limit && best !== undefined)) continue
    best = candidate
    limit = distance
    if (distance === 0) break
  }
  return best ?? (within === undefined && longer.length === 1 ? longer[0] : undefined)
}

const plain = (name: string): string => name.replaceAll(/[-_]/g, '').toLowerCase()

/** Levenshtein's distance with neighbours swapped counted as one; `limit + 1` as soon as it must exceed `limit`. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1
  let beforePrevious: number[] = []
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    let least = i
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1
      let distance = Math.min(at(previous, j) + 1, at(row, j - 1) + 1, at(previous, j - 1) + cost)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        distance = Math.min(distance, at(beforePrevious, j - 2) + 1)
      }
      row.push(distance)
      least = Math.min(least, distance)
    }
    if (least > limit) return limit + 1
    beforePrevious = previous
    previous = row
  }
  return at(previous, b.length)
}

const at = (row: readonly number[], index: number): number => row[index] ?? Number.POSITIVE_INFINITY
