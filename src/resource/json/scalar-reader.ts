import { ScalarType } from '@bufbuild/protobuf'
import type { ScalarTree, Tree } from '../tree.ts'
import { type Read, type Reading, report, reportWrongType } from './reading.ts'

/** Proto3 JSON's reading of every scalar type, into protobuf-es's own representation of it (64-bit integers as bigint). */
export function scalarReader(type: ScalarType): Read {
  switch (type) {
    case ScalarType.STRING:
      return readString
    case ScalarType.BOOL:
      return readBool
    case ScalarType.BYTES:
      return readBytes
    case ScalarType.DOUBLE:
      return (reading, tree) => readFloat(reading, tree, Number.MAX_VALUE)
    case ScalarType.FLOAT:
      return (reading, tree) => readFloat(reading, tree, maxFloat)
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return (reading, tree) => readInt32(reading, tree, -(2 ** 31), 2 ** 31 - 1)
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return (reading, tree) => readInt32(reading, tree, 0, 2 ** 32 - 1)
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return (reading, tree) => readInt64(reading, tree, -(2n ** 63n), 2n ** 63n - 1n)
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return (reading, tree) => readInt64(reading, tree, 0n, 2n ** 64n - 1n)
  }
}

/** The largest finite 32-bit float, and half a unit more that still rounds to it. */
const maxFloat = 3.4028235677973366e38

/** A map's key as a field's scalar: the string under which protobuf-es keeps it, or undefined when it is none. */
export function mapKey(type: ScalarType, key: string): string | undefined {
  if (type === ScalarType.STRING) return isWellFormed(key) ? key : undefined
  if (type === ScalarType.BOOL) return key === 'true' || key === 'false' ? key : undefined
  const value = exactInteger(key)
  const [least, most] = integerRange(type)
  return value !== undefined && value >= least && value <= most ? String(value) : undefined
}

const unsigned32: readonly ScalarType[] = [ScalarType.UINT32, ScalarType.FIXED32]
const unsigned64: readonly ScalarType[] = [ScalarType.UINT64, ScalarType.FIXED64]
const signed64: readonly ScalarType[] = [ScalarType.INT64, ScalarType.SINT64, ScalarType.SFIXED64]

function integerRange(type: ScalarType): [bigint, bigint] {
  if (unsigned32.includes(type)) return [0n, 2n ** 32n - 1n]
  if (unsigned64.includes(type)) return [0n, 2n ** 64n - 1n]
  return signed64.includes(type) ? [-(2n ** 63n), 2n ** 63n - 1n] : [-(2n ** 31n), 2n ** 31n - 1n]
}

function readString(reading: Reading, tree: Tree): string | undefined {
  if (tree.kind !== 'scalar' || typeof tree.value !== 'string') {
    const isScalar = tree.kind === 'scalar' && tree.value !== null
    reportWrongType(reading, tree, 'text', isScalar ? 'Put the value in quotes.' : 'Write a string.')
    return undefined
  }
  if (!isWellFormed(tree.value)) {
    report(reading, tree, 'wrong-type', 'The text is not valid Unicode.', 'Replace the broken surrogate pair.')
    return undefined
  }
  return tree.value
}

const isWellFormed = (text: string): boolean => !/\p{Surrogate}/u.test(text)

function readBool(reading: Reading, tree: Tree): boolean | undefined {
  if (tree.kind === 'scalar' && typeof tree.value === 'boolean') return tree.value
  reportWrongType(reading, tree, 'true or false', 'Write true or false, without quotes.')
  return undefined
}

/** Base64 in either alphabet, padded or not. */
function readBytes(reading: Reading, tree: Tree): Uint8Array | undefined {
  if (tree.kind === 'scalar' && typeof tree.value === 'string' && isBase64(tree.value)) {
    return new Uint8Array(Buffer.from(tree.value, 'base64'))
  }
  reportWrongType(reading, tree, 'base64', 'Encode the bytes in base64.')
  return undefined
}

function isBase64(text: string): boolean {
  const match = /^[A-Za-z0-9+/_-]*(={0,2})$/.exec(text)
  if (match === null) return false
  return match[1] === '' ? text.length % 4 !== 1 : text.length % 4 === 0
}

function readFloat(reading: Reading, tree: Tree, most: number): number | undefined {
  const value = floatOf(tree)
  if (value === undefined) {
    reportWrongType(reading, tree, 'a number', 'Write a number, or "NaN", "Infinity" or "-Infinity".')
    return undefined
  }
  if (Number.isFinite(value) ? Math.abs(value) < most || value === most || value === -most : isSpelledOut(tree)) {
    return value
  }
  report(reading, tree, 'wrong-type', 'The number is too large for the field.', 'Write a smaller number.')
  return undefined
}

const numeral = /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/

function floatOf(tree: Tree): number | undefined {
  if (tree.kind !== 'scalar') return undefined
  if (typeof tree.value === 'number' || typeof tree.value === 'bigint') return Number(tree.value)
  if (typeof tree.value !== 'string') return undefined
  if (isSpelledOut(tree) || numeral.test(tree.value)) return Number(tree.value)
  return undefined
}

/** Infinity that its author wrote (`"Infinity"`, YAML's `.inf`), not a number that overflowed. */
function isSpelledOut(tree: Tree): boolean {
  if (tree.kind !== 'scalar') return false
  if (typeof tree.value === 'number') return !/\d/.test(tree.source ?? '')
  return tree.value === 'NaN' || tree.value === 'Infinity' || tree.value === '-Infinity'
}

function readInt32(reading: Reading, tree: Tree, least: number, most: number): number | undefined {
  if (tree.kind === 'scalar' && typeof tree.value === 'number' && Number.isInteger(tree.value)) {
    if (tree.value >= least && tree.value <= most) return tree.value
  }
  const value = readInt64(reading, tree, BigInt(least), BigInt(most))
  return value === undefined ? undefined : Number(value)
}

function readInt64(reading: Reading, tree: Tree, least: bigint, most: bigint): bigint | undefined {
  const value = tree.kind === 'scalar' ? integerOf(tree) : undefined
  if (value !== undefined && value >= least && value <= most) return value
  reportWrongType(reading, tree, `a whole number from ${least} to ${most}`, 'Write a whole number in that range.')
  return undefined
}

function integerOf({ value, source }: ScalarTree): bigint | undefined {
  if (typeof value === 'bigint') return value
  if (typeof value === 'string') return exactInteger(value)
  if (typeof value !== 'number') return undefined
  if (source !== undefined && !Number.isSafeInteger(value)) return exactInteger(source)
  return Number.isInteger(value) ? BigInt(value) : undefined
}

/** The integer that a decimal numeral means, exponents and all, without passing through a double: `1.5e3` is 1500n. */
function exactInteger(text: string): bigint | undefined {
  if (/^-?\d{1,40}$/.test(text) || /^0[xo][0-9a-fA-F]{1,22}$/.test(text)) return parsedBigInt(text)
  const match = /^(-?)(\d{1,40})(?:\.(\d{1,40}))?(?:[eE]([+-]?\d{1,3}))?$/.exec(text)
  if (match === null) return undefined
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = match
  const shift = Number(exponent) - fraction.length
  const digits = BigInt(`${whole}${fraction}`)
  if (digits === 0n) return 0n
  if (Math.abs(shift) > 80) return undefined
  const power = 10n ** BigInt(Math.abs(shift))
  if (shift < 0 && digits % power !== 0n) return undefined
  const value = shift < 0 ? digits / power : digits * power
  return sign === '-' ? -value : value
}

function parsedBigInt(text: string): bigint | undefined {
  try {
    return BigInt(text)
  } catch {
    return undefined
  }
}
