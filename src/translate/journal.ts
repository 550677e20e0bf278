/** Changes of maps and sets that can be taken back, all together. */
export class Journal {
  #undo: (() => void)[] = []

  set<K, V>(map: Map<K, V>, key: K, value: V): void {
    const before = map.get(key)
    const had = before !== undefined || map.has(key)
    map.set(key, value)
    this.#undo.push(had ? () => map.set(key, before as V) : () => map.delete(key))
  }

  delete<K, V>(map: Map<K, V>, key: K): void {
    const before = map.get(key)
    if (before === undefined && !map.has(key)) return
    map.delete(key)
    this.#undo.push(() => map.set(key, before as V))
  }

  add<V>(set: Set<V>, value: V): void {
    if (set.has(value)) return
    set.add(value)
    this.#undo.push(() => set.delete(value))
  }

  drop<V>(set: Set<V>, value: V): void {
    if (set.delete(value)) this.#undo.push(() => set.add(value))
  }

  /** Everything since the last `commit` is as if it had not been. */
  rollback(): void {
    const undo = this.#undo
    this.#undo = []
    for (const one of undo.reverse()) one()
  }

  commit(): void {
    this.#undo = []
  }
}
