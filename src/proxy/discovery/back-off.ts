/** Waits that grow: each is anything from nothing to a bound, which doubles from the first to the last. As Envoy's. */
export class BackOff {
  readonly #random: () => number
  readonly #firstMs: number
  readonly #lastMs: number
  #boundMs: number

  constructor(random: () => number, firstMs: number, lastMs: number) {
    this.#random = random
    this.#firstMs = firstMs
    this.#lastMs = lastMs
    this.#boundMs = firstMs
  }

  nextMs(): number {
    const waitMs = this.#random() * this.#boundMs
    this.#boundMs = Math.min(this.#boundMs * 2, this.#lastMs)
    return waitMs
  }

  reset(): void {
    this.#boundMs = this.#firstMs
  }
}
