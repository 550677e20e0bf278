/** What was made lately, as long as the texts of it are not too long together. */
export class RecentlyUsed<T> {
  readonly #charactersAtMost: number
  readonly #known = new Map<string, { readonly value: T; readonly characters: number }>()
  #characters = 0

  constructor(charactersAtMost: number) {
    this.#charactersAtMost = charactersAtMost
  }

  get(key: string): T | undefined {
    const found = this.#known.get(key)
    if (found === undefined) return undefined
    // The last that was asked for stands last.
    this.#known.delete(key)
    this.#known.set(key, found)
    return found.value
  }

  /** @param characters of what `value` holds on to. One that is too long by itself is kept until the next comes. */
  set(key: string, value: T, characters: number): void {
    this.#forget(key)
    this.#known.set(key, { value, characters: key.length + characters })
    this.#characters += key.length + characters
    for (const oldest of this.#known.keys()) {
      if (this.#characters <= this.#charactersAtMost || oldest === key) break
      this.#forget(oldest)
    }
  }

  #forget(key: string): void {
    this.#characters -= this.#known.get(key)?.characters ?? 0
    this.#known.delete(key)
  }
}
