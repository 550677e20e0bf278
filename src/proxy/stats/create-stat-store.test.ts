import { describe, expect, it } from 'vitest'
import { createStatStore } from './create-stat-store.ts'

describe('a stat', () => {
  it('is the same whoever asks for it, by whichever prefix', () => {
    const stats = createStatStore()
    stats.scope('cluster.').scope('cart.').counter('upstream_rq_total').add()
    stats.counter('cluster.cart.upstream_rq_total').add(2)
    expect(stats.counters.get('cluster.cart.upstream_rq_total')?.value).toBe(3)
  })

  it('is told of in the order of the names', () => {
    const stats = createStatStore()
    for (const name of ['b', 'a.z', 'a']) stats.gauge(name).set(1)
    expect([...stats.gauges.keys()]).toEqual(['a', 'a.z', 'b'])
  })

  it('goes with its scope, and with the scope around that', () => {
    const stats = createStatStore()
    const outer = stats.scope('http.')
    outer.scope('edge.').text('version_text').set('1')
    expect([...stats.texts.keys()]).toEqual(['http.edge.version_text'])
    outer.close()
    expect(stats.texts.size).toBe(0)
  })

  it('counts on while the old and the new form of a cluster both have it', () => {
    const stats = createStatStore()
    const old = stats.scope('cluster.cart.')
    old.counter('upstream_rq_total').add(5)
    const young = stats.scope('cluster.cart.')
    young.counter('upstream_rq_total').add()
    old.counter('gone').add()
    old.close()
    old.close()
    expect([...stats.counters].map(([name, { value }]) => [name, value])).toEqual([
      ['cluster.cart.upstream_rq_total', 6],
    ])
  })
})

describe('a histogram', () => {
  function recorded(values: Iterable<number>): (share: number) => number {
    const stats = createStatStore()
    const histogram = stats.histogram('ms')
    for (const value of values) histogram.record(value)
    return (share) => stats.histograms.get('ms')?.quantile(share) as number
  }

  it('knows its quantiles within a hundredth', () => {
    const quantile = recorded(Array.from({ length: 10_000 }, (_, at) => at + 1))
    for (const share of [0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1]) {
      expect(Math.abs(quantile(share) / (share * 10_000) - 1)).toBeLessThanOrEqual(0.0101)
    }
  })

  it('knows zeros, and has none of nothing', () => {
    const quantile = recorded([0, 0, 0, 7])
    expect(quantile(0.5)).toBe(0)
    expect(quantile(1)).toBeCloseTo(7, 0)
    expect(recorded([])(0.5)).toBeNaN()
  })

  it('counts what does not exceed a bound', () => {
    const stats = createStatStore()
    for (const value of [0, 1, 5, 10, 10, 26]) stats.histogram('ms').record(value)
    const reading = stats.histograms.get('ms')
    expect([0, 0.5, 1, 5, 10, 25, 50].map((bound) => reading?.countUpTo(bound))).toEqual([1, 1, 2, 3, 5, 5, 6])
    expect(reading).toMatchObject({ count: 6, sum: 52 })
  })
})
