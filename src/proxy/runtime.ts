import type { JsonObject } from './config/field-reader.ts'

/** A share of all, as `envoy.type.v3.FractionalPercent` says it. */
export interface Fraction {
  readonly numerator: number
  /** 100, 10,000 or 1,000,000. */
  readonly denominator: number
}

/** The values that operators may turn while the proxy runs (bootstrap `layered_runtime`, RTDS); a later layer wins. */
export interface Runtime {
  number(key: string, byDefault: number): number
  flag(key: string, byDefault: boolean): boolean
  /** Whether this time is one of the share, by a number from 0 up to 1. */
  isChosen(key: string, byDefault: Fraction, random: number): boolean
}

export interface RuntimeLayer {
  readonly name: string
  /** Nested: `{a: {b: 1}}` is `a.b`; or with the dots in its names. */
  readonly values: JsonObject
}

/** A runtime whose layers may get other values. */
export interface LayeredRuntime extends Runtime {
  readonly layers: readonly RuntimeLayer[]
  /** All keys with the values in use, in the order of their names. */
  readonly entries: ReadonlyMap<string, RuntimeValue>
  /** @throws Error when there is no such layer */
  setLayer(name: string, values: JsonObject): void
}

export type RuntimeValue = number | boolean | string | Fraction

/** @param layers the last wins */
export function createRuntime(layers: readonly RuntimeLayer[] = []): LayeredRuntime {
  let current = layers
  let entries = merge(current)
  return {
    get layers() {
      return current
    },
    get entries() {
      return new Map([...entries].sort(([one], [other]) => (one < other ? -1 : 1)))
    },
    setLayer(name, values) {
      if (!current.some((layer) => layer.name === name)) throw new Error(`there is no runtime layer ${name}`)
      current = current.map((layer) => (layer.name === name ? { name, values } : layer))
      entries = merge(current)
    },
    number(key, byDefault) {
      const value = entries.get(key)
      return typeof value === 'number' ? value : byDefault
    },
    flag(key, byDefault) {
      const value = entries.get(key)
      return typeof value === 'boolean' ? value : byDefault
    },
    isChosen(key, byDefault, random) {
      const { numerator, denominator } = fractionOf(entries.get(key)) ?? byDefault
      return random < numerator / denominator
    },
  }
}

/** A whole number is so many of a hundred. */
function fractionOf(value: RuntimeValue | undefined): Fraction | undefined {
  if (typeof value === 'number') return { numerator: value, denominator: 100 }
  return typeof value === 'object' ? value : undefined
}

function merge(layers: readonly RuntimeLayer[]): ReadonlyMap<string, RuntimeValue> {
  const entries = new Map<string, RuntimeValue>()
  for (const { values } of layers) addAll(entries, '', values)
  return entries
}

function addAll(entries: Map<string, RuntimeValue>, prefix: string, values: JsonObject): void {
  for (const [name, value] of Object.entries(values)) {
    const key = `${prefix}${name}`
    if (typeof value === 'number' || typeof value === 'boolean') entries.set(key, value)
    else if (typeof value === 'string') entries.set(key, meaningOf(value))
    else if (value !== null && !isList(value)) {
      const fraction = asFraction(value)
      if (fraction === undefined) addAll(entries, `${key}.`, value)
      else entries.set(key, fraction)
    }
  }
}

const isList = (value: object): value is readonly unknown[] => Array.isArray(value)

/** Envoy reads texts as what they look like, for its files hold nothing else. */
function meaningOf(text: string): RuntimeValue {
  if (text === 'true' || text === 'false') return text === 'true'
  const number = Number(text)
  return text.trim() === '' || Number.isNaN(number) ? text : number
}

const denominators: Readonly<Record<string, number>> = { HUNDRED: 100, TEN_THOUSAND: 10_000, MILLION: 1_000_000 }

/** A struct with a numerator or denominator is no level of names. */
function asFraction({ numerator, denominator }: JsonObject): Fraction | undefined {
  if (numerator === undefined && denominator === undefined) return undefined
  if (typeof numerator === 'object' || typeof denominator === 'object') return undefined
  return { numerator: Number(numerator ?? 0), denominator: denominators[String(denominator ?? 'HUNDRED')] ?? 100 }
}
