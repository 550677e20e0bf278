import type { HistogramReading, StatStore } from '../stats/stat-store.ts'

export interface StatsQuestion {
  readonly isWanted: (name: string) => boolean
  /** Those that have never changed are left out. */
  readonly isUsedOnly: boolean
  readonly type: 'All' | 'Counters' | 'Gauges' | 'Histograms' | 'TextReadouts'
}

/** Envoy's `/stats`: words, then numbers, then quantiles, each by name. */
export function statsText(stats: StatStore, { isWanted, isUsedOnly, type }: StatsQuestion): string {
  const wants = (kind: StatsQuestion['type']): boolean => type === 'All' || type === kind
  const shown = <Stat>(all: ReadonlyMap<string, Stat>, isUsed: (stat: Stat) => boolean): (readonly [string, Stat])[] =>
    [...all].filter(([name, stat]) => isWanted(name) && (!isUsedOnly || isUsed(stat)))
  const isChanged = ({ value }: { readonly value: number }): boolean => value !== 0
  const texts = wants('TextReadouts') ? shown(stats.texts, ({ value }) => value !== '') : []
  const numbers = [
    ...(wants('Counters') ? shown(stats.counters, isChanged) : []),
    ...(wants('Gauges') ? shown(stats.gauges, isChanged) : []),
  ].sort(([one], [other]) => (one < other ? -1 : 1))
  const histograms = wants('Histograms') ? shown(stats.histograms, ({ count }) => count > 0) : []
  const lines = [
    ...texts.map(([name, { value }]) => `${name}: "${value}"`),
    ...numbers.map(([name, { value }]) => `${name}: ${value}`),
    ...histograms.map(([name, reading]) => `${name}: ${quantilesText(reading)}`),
  ]
  return lines.map((line) => `${line}\n`).join('')
}

/** Envoy's `/stats?format=json`. */
export function statsJson(stats: StatStore, { isWanted }: StatsQuestion): object {
  const numbers = [...stats.texts, ...stats.counters, ...stats.gauges].filter(([name]) => isWanted(name))
  const histograms = [...stats.histograms].filter(([name]) => isWanted(name))
  return {
    stats: [
      ...numbers.map(([name, { value }]) => ({ name, value })),
      {
        histograms: {
          supported_quantiles: quantiles.map((quantile) => quantile * 100),
          computed_quantiles: histograms.map(([name, reading]) => ({
            name,
            values: quantiles.map((quantile) => ({ interval: null, cumulative: numberOrNull(reading, quantile) })),
          })),
        },
      },
    ],
  }
}

const quantiles = [0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 1]

const numberOrNull = (reading: HistogramReading, share: number): number | null =>
  reading.count === 0 ? null : reading.quantile(share)

/** Of the last interval nothing is kept: the first of each pair is never a number. */
function quantilesText(reading: HistogramReading): string {
  if (reading.count === 0) return 'No recorded values'
  return quantiles.map((share) => `P${share * 100}(nan,${shortest(reading.quantile(share))})`).join(' ')
}

const shortest = (value: number): string => String(Number(value.toPrecision(6)))
