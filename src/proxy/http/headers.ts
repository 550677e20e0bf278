/**
 * The headers of one message as Envoy sees them: names in lower case, pseudo headers (`:path`) among them, repeated
 * names kept apart and in their order.
 */
export class Headers {
  /** Name, value, name, value … */
  #list: string[]

  constructor(list: string[] = []) {
    this.#list = list
  }

  /** Of Node's flat `rawHeaders`; names may be in any case. */
  static fromRaw(raw: readonly string[]): Headers {
    const list = [...raw]
    for (let at = 0; at < list.length; at += 2) list[at] = (list[at] as string).toLowerCase()
    return new Headers(list)
  }

  static of(members: Readonly<Record<string, string>>): Headers {
    return new Headers(Object.entries(members).flat())
  }

  /** The first value of that name. */
  get(name: string): string | undefined {
    const list = this.#list
    for (let at = 0; at < list.length; at += 2) if (list[at] === name) return list[at + 1]
    return undefined
  }

  has(name: string): boolean {
    return this.get(name) !== undefined
  }

  all(name: string): readonly string[] {
    const found: string[] = []
    const list = this.#list
    for (let at = 0; at < list.length; at += 2) if (list[at] === name) found.push(list[at + 1] as string)
    return found
  }

  /** All values of that name with commas between them, as matchers see them. */
  joined(name: string): string | undefined {
    const found = this.all(name)
    return found.length > 1 ? found.join(',') : found[0]
  }

  /** One value in place of all of that name. */
  set(name: string, value: string): void {
    const list = this.#list
    for (let at = 0; at < list.length; at += 2) {
      if (list[at] !== name) continue
      list[at + 1] = value
      this.#removeFrom(name, at + 2)
      return
    }
    list.push(name, value)
  }

  append(name: string, value: string): void {
    this.#list.push(name, value)
  }

  remove(name: string): void {
    this.#removeFrom(name, 0)
  }

  removeWhere(isGone: (name: string) => boolean): void {
    const list = this.#list
    if (!list.some((name, at) => at % 2 === 0 && isGone(name))) return
    this.#list = list.filter((_, at) => !isGone(list[at - (at % 2)] as string))
  }

  *[Symbol.iterator](): IterableIterator<readonly [name: string, value: string]> {
    const list = this.#list
    for (let at = 0; at < list.length; at += 2) yield [list[at] as string, list[at + 1] as string]
  }

  /** Name, value, name, value, as Node's writers take them. Not to be changed. */
  get flat(): readonly string[] {
    return this.#list
  }

  /** What header limits count. */
  get byteSize(): number {
    return this.#list.reduce((sum, text) => sum + text.length, 0)
  }

  copy(): Headers {
    return new Headers([...this.#list])
  }

  #removeFrom(name: string, start: number): void {
    const list = this.#list
    let to = start
    for (let at = start; at < list.length; at += 2) {
      if (list[at] === name) continue
      list[to] = list[at] as string
      list[to + 1] = list[at + 1] as string
      to += 2
    }
    list.length = to
  }
}
