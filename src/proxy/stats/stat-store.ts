/** A number that only grows. */
export interface Counter {
  readonly value: number
  add(amount?: number): void
}

/** A number that comes and goes. */
export interface Gauge {
  readonly value: number
  set(value: number): void
  add(amount: number): void
}

/** Values of which the quantiles are told, as Envoy does for times in milliseconds. */
export interface Histogram {
  record(value: number): void
}

/** A word: which version of the clusters is in use. Envoy shows it in quotes among its numbers. */
export interface Text {
  readonly value: string
  set(value: string): void
}

/** The stats below a prefix: of `cluster.cart.`, `counter('upstream_rq_total')` is `cluster.cart.upstream_rq_total`. */
export interface StatScope {
  counter(name: string): Counter
  gauge(name: string): Gauge
  histogram(name: string): Histogram
  text(name: string): Text
  /** A new owner of stats below the prefix: to be asked for once, and kept. */
  scope(prefix: string): StatScope
  /**
   * Its owner is gone, and the owners of all scopes in it: what no other open scope was asked for too is forgotten. So the
   * old and the new form of a cluster count on in the same stats.
   */
  close(): void
}

/** All stats of one proxy. Names are Envoy's, dots and all; what is asked for twice is the same. */
export interface StatStore extends StatScope {
  /** In the order of their names. */
  readonly counters: ReadonlyMap<string, Counter>
  readonly gauges: ReadonlyMap<string, Gauge>
  readonly histograms: ReadonlyMap<string, HistogramReading>
  readonly texts: ReadonlyMap<string, Text>
}

export interface HistogramReading {
  readonly count: number
  readonly sum: number
  /** `0.99` → the value that 99% do not exceed, within a hundredth; NaN of none. */
  quantile(share: number): number
  /** How many were recorded that do not exceed this, within a hundredth of it. */
  countUpTo(value: number): number
}
