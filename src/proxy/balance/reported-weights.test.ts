import { describe, expect, it } from 'vitest'
import { countBy, createHost, createOwner, createSet } from '../../../test/support/balanced-hosts.ts'
import type { ClusterHost } from '../cluster/cluster-host.ts'
import type { ReportedWeightConfig } from './balance-config.ts'
import { createBalancer } from './create-balancer.ts'
import { type LoadReport, parseLoadReport } from './load-report.ts'
import { reportedWeight } from './reported-weights.ts'

const config: ReportedWeightConfig = {
  policy: 'reported weights',
  blackoutMs: 10_000,
  expirationMs: 180_000,
  updatePeriodMs: 1000,
  errorPenalty: 1,
  locality: { by: 'zone', routingEnabledPercent: 100, minClusterSize: 6, failsTrafficOnPanic: false },
}

describe('hosts that report their load', () => {
  function createBed(): {
    readonly hosts: readonly ClusterHost[]
    report(): void
    pass(seconds: number): void
    shares(): readonly number[]
  } {
    const owner = createOwner()
    const hosts = [createHost(), createHost(), createHost()]
    const balancer = createBalancer(config, owner)
    balancer?.update([createSet(hosts)])
    return {
      hosts,
      report() {
        hosts[0]?.reportLoad('TEXT cpu_utilization=0.25, rps_fractional=100')
        hosts[1]?.reportLoad('JSON {"cpuUtilization": 0.5, "rpsFractional": 100}')
      },
      pass: (seconds) => owner.context.clock.pass(seconds * 1000),
      shares() {
        const counts = countBy(5000, () => balancer?.choose({}))
        return hosts.map((host) => Math.round((counts.get(host) ?? 0) / 100))
      },
    }
  }

  it('get turns by it once they have reported for a while; who reports nothing has the middle weight', () => {
    const bed = createBed()
    const even = [17, 17, 17]
    expect(bed.shares()).toEqual(even)
    bed.report()
    bed.pass(9)
    bed.report()
    expect(bed.shares()).toEqual(even)
    bed.pass(1)
    // 400, 200, and the greater one of two.
    expect(bed.shares()).toEqual([20, 10, 20])
  })

  it('get turns as before when their reports are too old', () => {
    const bed = createBed()
    bed.report()
    bed.pass(10)
    expect(bed.shares()).toEqual([20, 10, 20])
    bed.pass(171)
    expect(bed.shares()).toEqual([17, 17, 17])
  })
})

it.each<readonly [LoadReport, penalty: number, weight: number]>([
  [{ requestRate: 100, errorRate: 0, utilization: 0.5 }, 1, 200_000],
  [{ requestRate: 100, errorRate: 50, utilization: 0.5 }, 1, 100_000],
  [{ requestRate: 100, errorRate: 50, utilization: 0.5 }, 0, 200_000],
  [{ requestRate: 0, errorRate: 0, utilization: 0.5 }, 1, 0],
  [{ requestRate: 100, errorRate: 0, utilization: 0 }, 1, 0],
])('%j with a penalty of %i weighs %i', (report, penalty, weight) => {
  expect(reportedWeight(report, penalty)).toBe(weight)
})

it.each([
  ['TEXT cpu=0.5,rps=10,eps=1', { requestRate: 10, errorRate: 1, utilization: 0.5 }],
  [
    'TEXT application_utilization=0.7, cpu_utilization=0.5, rps_fractional=10',
    { requestRate: 10, errorRate: 0, utilization: 0.7 },
  ],
  ['JSON {"cpu_utilization": 0.5, "rps_fractional": 1.5}', { requestRate: 1.5, errorRate: 0, utilization: 0.5 }],
  ['TEXT ', { requestRate: 0, errorRate: 0, utilization: 0 }],
  ['JSON {', undefined],
  ['JSON 1', undefined],
  ['cpu=0.5', undefined],
])('the report %j says %j', (header, report) => {
  expect(parseLoadReport(header)).toEqual(report)
})
