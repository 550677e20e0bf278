import { describe, expect, it } from 'vitest'
import { atTestEnd } from '../../../test/support/at-test-end.ts'
import { type EndpointText, staticCluster } from '../../../test/support/cluster-json.ts'
import { createManualDiscovery } from '../../../test/support/manual-discovery.ts'
import { createTestContext, type TestContext } from '../../../test/support/proxy-context.ts'
import { type ClusterManager, createClusterManager } from '../cluster/cluster-manager.ts'
import type { Host, TryOutcome } from '../cluster/host.ts'
import type { JsonObject } from '../config/field-reader.ts'
import { successRateThreshold } from './success-rate.ts'

interface Bed {
  readonly context: TestContext
  readonly clusters: ClusterManager
  readonly hosts: readonly Host[]
  stat(name: string): number | undefined
  /** The indexes of the hosts that are out. */
  readonly out: readonly number[]
}

function createBed(outlier_detection: JsonObject, hostCount = 5): Bed {
  const context = createTestContext()
  const clusters = createClusterManager({ context, discovery: createManualDiscovery() })
  atTestEnd(() => clusters.close())
  const endpoints = Array.from(
    { length: hostCount },
    (_, index): EndpointText => ({ at: `10.0.${index >> 8}.${index & 255}:80` }),
  )
  clusters.applyStatic([staticCluster('cart', endpoints, { outlier_detection })])
  const hosts = [...(clusters.get('cart')?.hosts ?? [])]
  return {
    context,
    clusters,
    hosts,
    stat: (name) => context.stat(`cluster.cart.outlier_detection.${name}`),
    get out() {
      return hosts.flatMap(({ health }, index) => (health === 'unhealthy' ? [index] : []))
    },
  }
}

function report(host: Host | undefined, outcomes: readonly TryOutcome[]): void {
  for (const outcome of outcomes) host?.report(outcome)
}

const times = (count: number, outcome: TryOutcome): readonly TryOutcome[] =>
  Array.from({ length: count }, () => outcome)
const ok: TryOutcome = { status: 200 }
const broken: TryOutcome = { status: 500 }
const gateway: TryOutcome = { status: 502 }
const refused: TryOutcome = { failure: 'connect' }

describe('a host is let out', () => {
  it.each<readonly [name: string, config: JsonObject, outcomes: readonly TryOutcome[], isOut: boolean]>([
    ['after five answers of 5xx in a row', {}, times(5, broken), true],
    ['not after four', {}, times(4, broken), false],
    ['not where one of another status is between', {}, [...times(4, broken), { status: 404 }, broken], false],
    ['after as many as its cluster says', { consecutive_5xx: 2 }, times(2, broken), true],
    ['after failures to connect, which count as 503', {}, times(5, refused), true],
    ['after timeouts, which count as 504', {}, times(5, { failure: 'timeout' }), true],
    ['after resets', {}, times(5, { failure: 'reset' }), true],
    ['not for gateway errors, unless that is enforced', { consecutive_5xx: 9 }, times(8, gateway), false],
    [
      'for gateway errors where that is enforced',
      { consecutive_5xx: 9, consecutive_gateway_failure: 3, enforcing_consecutive_gateway_failure: 100 },
      times(3, gateway),
      true,
    ],
    [
      'not for gateway errors with another 5xx between them',
      { consecutive_5xx: 9, consecutive_gateway_failure: 3, enforcing_consecutive_gateway_failure: 100 },
      [gateway, gateway, broken, gateway],
      false,
    ],
    ['never where that is not enforced', { enforcing_consecutive_5xx: 0 }, times(20, broken), false],
    [
      'for failures to connect, counted apart from answers',
      { split_external_local_origin_errors: true, consecutive_local_origin_failure: 2 },
      [refused, refused],
      true,
    ],
    [
      'not where it could be connected between them',
      { split_external_local_origin_errors: true, consecutive_local_origin_failure: 2 },
      [refused, { connected: true }, refused],
      false,
    ],
    [
      'not for both kinds together when they are counted apart',
      { split_external_local_origin_errors: true, consecutive_local_origin_failure: 4, consecutive_5xx: 4 },
      [...times(3, refused), ...times(3, broken)],
      false,
    ],
  ])('%s', (_, config, outcomes, isOut) => {
    const bed = createBed({ max_ejection_percent: 100, ...config })
    report(bed.hosts[1], outcomes)
    expect(bed.out).toEqual(isOut ? [1] : [])
    expect(bed.stat('ejections_active')).toBe(isOut ? 1 : 0)
  })

  it('unless too many are out already', () => {
    const bed = createBed({ max_ejection_percent: 40 })
    for (const host of bed.hosts) report(host, times(5, broken))
    expect(bed.out).toEqual([0, 1])
    expect(bed.stat('ejections_overflow')).toBe(3)
    expect(bed.stat('ejections_enforced_total')).toBe(2)
    expect(bed.stat('ejections_detected_consecutive_5xx')).toBe(5)
  })

  it('not even alone where the percent does not allow it, unless one always may', () => {
    expect(outOf(createBed({}))).toEqual([])
    expect(outOf(createBed({ always_eject_one_host: true }))).toEqual([0])
    function outOf(bed: Bed): readonly number[] {
      for (const host of bed.hosts) report(host, times(5, broken))
      return bed.out
    }
  })

  it('for a share of the times by chance', () => {
    const bed = createBed({ consecutive_5xx: 1, enforcing_consecutive_5xx: 30, max_ejection_percent: 100 }, 2000)
    for (const host of bed.hosts) host.report(broken)
    expect(Math.abs(bed.out.length - 600)).toBeLessThan(3 * Math.sqrt(2000 * 0.3 * 0.7))
  })
})

it('hosts that are let out are counted no more when their cluster ends', () => {
  const bed = createBed({ max_ejection_percent: 100 })
  const gauge = bed.context.stats.gauge('cluster.cart.outlier_detection.ejections_active')
  report(bed.hosts[0], times(5, broken))
  expect(gauge.value).toBe(1)
  bed.clusters.close()
  expect(gauge.value).toBe(0)
})

describe('a host comes back', () => {
  const config = { base_ejection_time: '30s', interval: '10s', max_ejection_percent: 100, max_ejection_time: '100s' }

  it('at the end of an interval after its time, which grows from one time to the next', () => {
    const bed = createBed(config)
    const [host] = bed.hosts
    const outFor = (): number => {
      report(host, times(5, broken))
      const start = bed.context.clock.now()
      while (bed.out.length > 0) bed.context.clock.pass(1000)
      return (bed.context.clock.now() - start) / 1000
    }
    expect([outFor(), outFor(), outFor(), outFor()]).toEqual([30, 60, 90, 100])
  })

  it('with its time outside shorter again when it was well for a while', () => {
    const bed = createBed(config)
    const [host] = bed.hosts
    report(host, times(5, broken))
    bed.context.clock.pass(30_000)
    bed.context.clock.pass(10_000)
    report(host, times(5, broken))
    bed.context.clock.pass(29_000)
    expect(bed.out).toEqual([0])
    bed.context.clock.pass(1000)
    expect(bed.out).toEqual([])
  })

  it('without what it had failed at before', () => {
    const bed = createBed({ ...config, consecutive_gateway_failure: 6, enforcing_consecutive_gateway_failure: 100 })
    const [host] = bed.hosts
    report(host, times(5, gateway))
    bed.context.clock.pass(30_000)
    expect(bed.out).toEqual([])
    report(host, [gateway])
    expect(bed.out).toEqual([])
  })
})

describe('at the end of an interval a host is let out', () => {
  const requests = (failures: number, of = 100): readonly TryOutcome[] =>
    Array.from({ length: of }, (_, index) => (index % of < failures ? ({ status: 500 } as const) : ok))
  const quiet = { consecutive_5xx: 1000, max_ejection_percent: 100, interval: '10s' }

  it('that succeeds far less often than the others', () => {
    const bed = createBed(quiet)
    bed.hosts.forEach((host, index) => report(host, requests(index === 3 ? 50 : 0)))
    expect(bed.out).toEqual([])
    bed.context.clock.pass(10_000)
    expect(bed.out).toEqual([3])
    expect(bed.stat('ejections_enforced_success_rate')).toBe(1)
  })

  it.each([
    ['not with fewer requests than that takes', { success_rate_request_volume: 101 }],
    ['not among fewer hosts than that takes', { success_rate_minimum_hosts: 6 }],
    ['not where it is not enforced', { enforcing_success_rate: 0 }],
    ['not within as many standard deviations as are allowed', { success_rate_stdev_factor: 2100 }],
  ])('%s', (_, config) => {
    const bed = createBed({ ...quiet, ...config })
    bed.hosts.forEach((host, index) => report(host, requests(index === 3 ? 50 : 0)))
    bed.context.clock.pass(10_000)
    expect(bed.out).toEqual([])
  })

  it('that fails more often than it may, whatever the others do', () => {
    const bed = createBed({
      ...quiet,
      enforcing_success_rate: 0,
      enforcing_failure_percentage: 100,
      failure_percentage_threshold: 40,
    })
    bed.hosts.forEach((host, index) => report(host, requests([40, 39, 60, 0, 0][index] ?? 0)))
    bed.context.clock.pass(10_000)
    expect(bed.out).toEqual([0, 2])
    expect(bed.stat('ejections_enforced_failure_percentage')).toBe(2)
  })

  it('that could not be connected far more often than the others, where that is counted apart', () => {
    const bed = createBed({
      ...quiet,
      split_external_local_origin_errors: true,
      consecutive_local_origin_failure: 1000,
    })
    bed.hosts.forEach((host, index) => report(host, [...times(60, ok), ...times(40, index === 2 ? refused : ok)]))
    bed.context.clock.pass(10_000)
    expect(bed.out).toEqual([2])
    expect(bed.stat('ejections_enforced_local_origin_success_rate')).toBe(1)
  })
})

it.each([
  [[50, 100, 100, 100, 100], 1.9, 52],
  [[100, 100], 1.9, 100],
  [[0, 100], 1, 0],
])('below %j by %f standard deviations is below %d', (percents, factor, expected) => {
  expect(successRateThreshold(percents, factor)).toBeCloseTo(expected)
})
