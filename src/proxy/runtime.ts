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
