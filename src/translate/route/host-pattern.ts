/** Hosts as a listener or Route gives them: an exact name, `*.suffix`, or `*`; in lower case, without a port. */

/** The hosts that both patterns match; undefined where there is none. */
function intersect(a: string, b: string): string | undefined {
  if (covers(a, b)) return b
  if (covers(b, a)) return a
  return undefined
}

/** Every host that `narrow` matches is matched by `wide`. */
export function covers(wide: string, narrow: string): boolean {
  if (wide === '*' || wide === narrow) return true
  // `*.a` is for what is below `a`, and neither for `a` nor for `*`.
  return wide.startsWith('*') && narrow.length > wide.length - 1 && narrow.endsWith(wide.slice(1))
}

/** All patterns that cover this one, itself first. */
export function patternsOver(host: string): readonly string[] {
  const found = [host]
  for (let dot = host.indexOf('.', 1); dot >= 0; dot = host.indexOf('.', dot + 1)) {
    const pattern = `*${host.slice(dot)}`
    if (pattern !== host) found.push(pattern)
  }
  return host === '*' ? found : [...found, '*']
}

/** The hosts of a Route that a listener serves, most of them as the Route gives them; empty `listener` is every host. */
export function servedHosts(route: readonly string[], listener: readonly string[]): readonly string[] {
  const wide = listener.length === 0 ? ['*'] : listener
  const found = route.flatMap((host) => wide.flatMap((pattern) => intersect(host, pattern) ?? []))
  return [...new Set(found)].sort()
}
