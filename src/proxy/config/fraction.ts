import type { Fraction, Runtime } from '../runtime.ts'
import type { FieldReader } from './field-reader.ts'

const denominators = { HUNDRED: 100, TEN_THOUSAND: 10_000, MILLION: 1_000_000 } as const

/** `envoy.type.v3.FractionalPercent`. */
export function readFraction(fields: FieldReader): Fraction {
  const denominator = fields.choice('denominator', ['HUNDRED', 'TEN_THOUSAND', 'MILLION'])
  return { numerator: fields.number('numerator') ?? 0, denominator: denominators[denominator] }
}

/** `envoy.type.v3.Percent`, as a fraction of 1. */
export const readPercent = (fields: FieldReader): number => (fields.number('value') ?? 0) / 100

/** A share that operators may turn while the proxy runs. */
export interface RuntimeFraction {
  readonly key: string
  readonly byDefault: Fraction
}

/** `envoy.config.core.v3.RuntimeFractionalPercent`. */
export function readRuntimeFraction(fields: FieldReader): RuntimeFraction {
  return {
    key: fields.string('runtime_key'),
    byDefault: fields.message('default_value', readFraction) ?? { numerator: 0, denominator: 100 },
  }
}

/** Whether this time is one of the share, by a number from 0 up to 1. */
export function isChosen(share: RuntimeFraction, runtime: Runtime, random: number): boolean {
  return runtime.isChosen(share.key, share.byDefault, random)
}
