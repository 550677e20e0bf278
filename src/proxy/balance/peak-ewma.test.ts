import { describe, expect, it } from 'vitest'
import { countBy, createHost, createOwner, createSet, isNear, many } from '../../../test/support/balanced-hosts.ts'
import type { ClusterHost } from '../cluster/cluster-host.ts'
import type { PeakEwmaConfig } from './balance-config.ts'
import { createBalancer } from './create-balancer.ts'
import { decayed, peakEwmaCost } from './peak-ewma.ts'

const config: PeakEwmaConfig = { policy: 'peak ewma', decayMs: 10_000, defaultMs: 10, penalty: 1_000_000 }

function shareOf(hosts: readonly ClusterHost[], of: ClusterHost, prepare: () => void): number {
  const balancer = createBalancer(config, createOwner())
  balancer?.update([createSet(hosts)])
  prepare()
  return countBy(10_000, () => balancer?.choose({})).get(of) ?? 0
}

describe('by how long hosts take to answer', () => {
  it('the slower of two is never asked while the other is idle', () => {
    const [fast, slow] = [createHost(), createHost()]
    const share = shareOf([fast, slow], fast, () => {
      fast.reportLatency(5)
      slow.reportLatency(50)
    })
    expect(share).toBe(10_000)
  })

  it('the slower of two is asked when so many wait for the other that it takes longer', () => {
    const [fast, slow] = [createHost({ active: 10 }), createHost()]
    const share = shareOf([fast, slow], slow, () => {
      fast.reportLatency(5)
      slow.reportLatency(50)
    })
    expect(share).toBe(10_000)
  })

  it('the slowest of several is never asked, and the others by which two are drawn', () => {
    const hosts = many(4)
    const share = shareOf(hosts, hosts[0] as ClusterHost, () => {
      hosts.forEach((host, index) => host.reportLatency(5 + index))
    })
    // In 3 of 6 pairs it is there, and the fastest.
    expect(isNear(share, 0.5, 10_000)).toBe(true)
  })

  it('one that has requests and never answered is asked last', () => {
    const [fast, silent] = [createHost(), createHost({ active: 1 })]
    expect(shareOf([fast, silent], fast, () => fast.reportLatency(5000))).toBe(10_000)
  })

  it('one alone is asked', () => {
    const host = createHost()
    expect(shareOf([host], host, () => undefined)).toBe(10_000)
  })
})

it.each([
  [undefined, 0, 10],
  [undefined, 2, 1_000_002],
  [5, 0, 5],
  [5, 3, 20],
])('a mean of %s ms and %i requests cost %i', (meanMs, active, cost) => {
  expect(peakEwmaCost(meanMs, active, config)).toBe(cost)
})

it.each([
  [100, 10, 0, 10],
  [100, 10, 10_000, 10 + 90 / Math.E],
  [100, 10, 1e9, 10],
  [100, 100, 5000, 100],
])('a mean of %i ms is, with an answer of %i ms %i ms later, %f', (mean, next, since, expected) => {
  expect(decayed(mean, next, since, 10_000)).toBeCloseTo(expected)
})
