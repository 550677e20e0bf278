import type { HistogramReading, StatStore } from './stat-store.ts'
import { type Tag, tagged } from './stat-tags.ts'

/** Envoy's bounds of the buckets of every histogram. */
const bounds: readonly number[] = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000,
  3_600_000,
]

interface Family<Stat> {
  readonly type: string
  readonly stats: { readonly tags: readonly Tag[]; readonly stat: Stat }[]
}

/** What Prometheus reads, by the names and labels that it would find at an Envoy. */
export function prometheusText(stats: StatStore, isWanted: (name: string) => boolean = () => true): string {
  const lines: string[] = []
  const write = <Stat>(
    type: string,
    all: ReadonlyMap<string, Stat>,
    shown: (family: string, tags: readonly Tag[], stat: Stat) => void,
  ): void => {
    for (const [family, { stats: members }] of familiesOf(type, all, isWanted)) {
      lines.push(`# TYPE ${family} ${type}`)
      for (const { tags, stat } of members) shown(family, tags, stat)
    }
  }
  const showValue = (family: string, tags: readonly Tag[], { value }: { readonly value: number }): void => {
    lines.push(`${family}${labels(tags)} ${value}`)
  }
  write('counter', stats.counters, showValue)
  write('gauge', stats.gauges, showValue)
  write('histogram', stats.histograms, (family, tags, reading) => lines.push(...histogramLines(family, tags, reading)))
  return lines.map((line) => `${line}\n`).join('')
}

function familiesOf<Stat>(
  type: string,
  all: ReadonlyMap<string, Stat>,
  isWanted: (name: string) => boolean,
): ReadonlyMap<string, Family<Stat>> {
  const families = new Map<string, Family<Stat>>()
  for (const [fullName, stat] of all) {
    if (!isWanted(fullName)) continue
    const { name, tags } = tagged(fullName)
    const family = `envoy_${name.replaceAll(/\W/g, '_')}`
    const known = families.get(family) ?? { type, stats: [] }
    known.stats.push({ tags, stat })
    families.set(family, known)
  }
  return new Map([...families].sort(([one], [other]) => (one < other ? -1 : 1)))
}

function histogramLines(family: string, tags: readonly Tag[], reading: HistogramReading): readonly string[] {
  const bucket = (le: string, count: number): string =>
    `${family}_bucket${labels([...tags, { name: 'le', value: le }])} ${count}`
  return [
    ...bounds.map((bound) => bucket(String(bound), reading.countUpTo(bound))),
    bucket('+Inf', reading.count),
    `${family}_sum${labels(tags)} ${reading.sum}`,
    `${family}_count${labels(tags)} ${reading.count}`,
  ]
}

/** Envoy writes the braces always. */
function labels(tags: readonly Tag[]): string {
  return `{${tags.map(({ name, value }) => `${name.replaceAll(/\W/g, '_')}="${escaped(value)}"`).join(',')}}`
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}
