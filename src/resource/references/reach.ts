import type { DescMessage } from '@bufbuild/protobuf'

/**
 * Builds a memoized test: is a message for which `isHit` holds reachable from this type, itself included? An Any counts
 * as a hit, because what it holds is known only at run time.
 */
export function createReach(isHit: (desc: DescMessage) => boolean): (desc: DescMessage) => boolean {
  const known = new Map<DescMessage, boolean>()
  return (start) => {
    const memo = known.get(start)
    if (memo !== undefined) return memo
    const seen = new Set([start])
    for (const desc of seen) {
      if (known.get(desc) === false) continue
      if (known.get(desc) || isAnyType(desc) || isHit(desc)) {
        known.set(start, true)
        return true
      }
      for (const field of desc.fields) if (field.message) seen.add(field.message)
    }
    // Nothing was found from `start`, so nothing can be found from anything below it either.
    for (const desc of seen) known.set(desc, false)
    return false
  }
}

export function isAnyType(desc: DescMessage): boolean {
  return desc.typeName === 'google.protobuf.Any'
}
