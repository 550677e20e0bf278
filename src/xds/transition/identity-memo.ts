interface Node<T> {
  value: T | undefined
  readonly next: WeakMap<object, Node<T>>
}

const newNode = <T>(): Node<T> => ({ value: undefined, next: new WeakMap() })

/**
 * Results of a pure function of several objects, by their identity: computed once for all streams that ask the same. Holds
 * a result only as long as somebody holds what it came from.
 */
export class IdentityMemo<T extends object> {
  readonly #root: Node<T> = newNode()

  /** Keys of different meaning must not follow each other without a mark between them. */
  get(keys: Iterable<object>, compute: () => T): T {
    let node = this.#root
    for (const key of keys) {
      let next = node.next.get(key)
      if (next === undefined) {
        next = newNode()
        node.next.set(key, next)
      }
      node = next
    }
    node.value ??= compute()
    return node.value
  }
}
