/**
 * Which virtual host a request's authority belongs to, by Envoy's order: the exact domain, the longest `*.suffix`, the
 * longest `prefix.*`, `*`. A wildcard stands for at least one character.
 */
export class HostIndex<Value> {
  readonly #exact = new Map<string, Value>()
  readonly #suffixes: [suffix: string, Value][] = []
  readonly #prefixes: [prefix: string, Value][] = []
  #rest: Value | undefined

  /** Whether the domain was not there yet. */
  add(domain: string, value: Value): boolean {
    const name = domain.toLowerCase()
    if (name === '*') {
      if (this.#rest !== undefined) return false
      this.#rest = value
      return true
    }
    if (name.startsWith('*')) return insert(this.#suffixes, name.slice(1), value)
    if (name.endsWith('*')) return insert(this.#prefixes, name.slice(0, -1), value)
    if (this.#exact.has(name)) return false
    this.#exact.set(name, value)
    return true
  }

  find(host: string): Value | undefined {
    const name = host.toLowerCase()
    const exact = this.#exact.get(name)
    if (exact !== undefined) return exact
    for (const [suffix, value] of this.#suffixes) if (name.length > suffix.length && name.endsWith(suffix)) return value
    for (const [prefix, value] of this.#prefixes)
      if (name.length > prefix.length && name.startsWith(prefix)) return value
    return this.#rest
  }
}

/** Longest first. */
function insert<Value>(list: [string, Value][], text: string, value: Value): boolean {
  if (list.some(([other]) => other === text)) return false
  list.push([text, value])
  list.sort(([a], [b]) => b.length - a.length)
  return true
}

/** `cart:8080` → `cart`; `[::1]:80` → `[::1]`. */
export function withoutPort(host: string): string {
  const at = host.lastIndexOf(':')
  if (at < 0 || host.endsWith(']')) return host
  return /^\d*$/.test(host.slice(at + 1)) ? host.slice(0, at) : host
}
