import { createHash } from 'node:crypto'
import { setImmediate as nextTick } from 'node:timers/promises'
import { isKindUnit, selectorKeysOf, type Unit } from '../snapshot/unit.ts'

/** Equal for servers that serve equal resources to equal nodes, wherever their documents stand and whatever they are called. */
export interface ServedDigest {
  /**
   * 16 hexadecimal digits.
   * @param units those of when it is called: they are asked for again when all that they held has been hashed
   */
  of(units: () => readonly Unit[]): Promise<string>
}

/** How long hashing may keep the event loop before it lets streams have it. */
const sliceMs = 10

/** Asking again costs an addition for each unit: what a unit holds is hashed once. */
export function createServedDigest(): ServedDigest {
  const hashes = new WeakMap<Unit, bigint>()
  const hashOf = (unit: Unit): bigint => {
    const known = hashes.get(unit) ?? hashUnit(unit)
    hashes.set(unit, known)
    return known
  }
  return {
    async of(units) {
      let sliceStart = performance.now()
      for (const unit of units()) {
        hashOf(unit)
        if (performance.now() - sliceStart < sliceMs) continue
        await nextTick()
        sliceStart = performance.now()
      }
      let sum = 0n
      for (const unit of units()) sum += hashOf(unit)
      return BigInt.asUintN(64, sum).toString(16).padStart(16, '0')
    },
  }
}

/** A sum over its resources, so that it does not matter how they are spread over units. */
function hashUnit(unit: Unit): bigint {
  if (isKindUnit(unit)) return 0n
  const nodes = selectorKeysOf(unit)
  let sum = 0n
  for (const { typeUrl, name, version } of unit.resources) {
    sum += createHash('sha256')
      .update([typeUrl, name, version, ...nodes].join('\0'))
      .digest()
      .readBigUInt64BE()
  }
  return sum
}
