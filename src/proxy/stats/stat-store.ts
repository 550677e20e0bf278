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

/** The stats below a prefix: of `cluster.cart.`, `counter('upstream_rq_total')` is `cluster.cart.upstream_rq_total`. */
export interface StatScope {
  counter(name: string): Counter
  gauge(name: string): Gauge
  histogram(name: string): Histogram
  scope(prefix: string): StatScope
  /** Forgets all that begins with the prefix: its owner is gone. */
  close(): void
}

/** All stats of one proxy. Names are Envoy's, dots and all; what is asked for twice is the same. */
export interface StatStore extends StatScope {
  /** In the order of their names. */
  readonly counters: ReadonlyMap<string, Counter>
  readonly gauges: ReadonlyMap<string, Gauge>
  readonly histograms: ReadonlyMap<string, HistogramReading>
}

export interface HistogramReading {
  readonly count: number
  readonly sum: number
  /** `0.99` → the value that 99% do not exceed, within a hundredth. */
  quantile(share: number): number
}
