/** Gives the live object that was first given for `key`, so that what is equal by content is equal by identity. */
export type Intern<T extends object> = (key: string, value: T) => T

/** The same for what is only made where there is none. */
export type InternMade<T extends object> = (key: string, make: () => T) => T

/** Holds what it interns weakly: an object lives as long as somebody else holds it. */
export function createInterner<T extends object>(): Intern<T> {
  const intern = createMakingInterner<T>()
  return (key, value) => intern(key, () => value)
}

export function createMakingInterner<T extends object>(): InternMade<T> {
  const live = new Map<string, WeakRef<T>>()
  const registry = new FinalizationRegistry<string>((key) => {
    // By now the key may belong to a younger object.
    if (live.get(key)?.deref() === undefined) live.delete(key)
  })
  return (key, make) => {
    const known = live.get(key)?.deref()
    if (known !== undefined) return known
    const value = make()
    live.set(key, new WeakRef(value))
    registry.register(value, key)
    return value
  }
}
