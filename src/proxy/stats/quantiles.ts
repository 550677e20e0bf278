import type { Histogram, HistogramReading } from './stat-store.ts'

/** Each bucket's upper bound is this many times its lower one, so that its middle is within a hundredth of all in it. */
const growth = 1.02
const perBucket = 1 / Math.log(growth)

/** Counts in buckets that grow with the value: small, and exact enough at every size. */
export class Quantiles implements Histogram, HistogramReading {
  #count = 0
  #sum = 0
  /** Of zero, and of what is less. */
  #zeros = 0
  /** By n, how many are above growth^(n - 1), up to growth^n. */
  readonly #buckets = new Map<number, number>()

  get count(): number {
    return this.#count
  }

  get sum(): number {
    return this.#sum
  }

  record(value: number): void {
    this.#count++
    if (value <= 0) {
      this.#zeros++
      return
    }
    this.#sum += value
    const bucket = bucketOf(value)
    this.#buckets.set(bucket, (this.#buckets.get(bucket) ?? 0) + 1)
  }

  quantile(share: number): number {
    if (this.#count === 0) return Number.NaN
    const rank = Math.max(1, Math.ceil(share * this.#count))
    let seen = this.#zeros
    if (seen >= rank) return 0
    let last = 0
    for (const [bucket, count] of this.#ordered()) {
      last = bucket
      seen += count
      if (seen >= rank) break
    }
    return middleOf(last)
  }

  countUpTo(value: number): number {
    if (value < 0) return 0
    const end = value === 0 ? Number.NEGATIVE_INFINITY : bucketOf(value)
    let seen = this.#zeros
    for (const [bucket, count] of this.#buckets) if (bucket <= end) seen += count
    return seen
  }

  #ordered(): readonly (readonly [number, number])[] {
    return [...this.#buckets].sort(([one], [other]) => one - other)
  }
}

function bucketOf(value: number): number {
  // A bound itself belongs below, whatever the last bit of its logarithm says.
  return Math.ceil(Math.log(value) * perBucket - 1e-9)
}

function middleOf(bucket: number): number {
  return (2 * growth ** bucket) / (1 + growth)
}
