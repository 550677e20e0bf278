import { describe, expect, it } from 'vitest'
import { countBy, createHost, createOwner, createSet, isNear, many } from '../../../test/support/balanced-hosts.ts'
import type { ClusterHost } from '../cluster/cluster-host.ts'
import type { BalanceConfig, LocalityConfig } from './balance-config.ts'
import { createBalancer } from './create-balancer.ts'
import { EdfSchedule } from './edf-schedule.ts'
import type { HostSet } from './host-set.ts'
import { slowStartShare } from './slow-start.ts'

const locality: LocalityConfig = {
  by: 'zone',
  routingEnabledPercent: 100,
  minClusterSize: 6,
  failsTrafficOnPanic: false,
}
const roundRobin: BalanceConfig = { policy: 'round robin', slowStart: undefined, locality }
const leastRequest: BalanceConfig = {
  policy: 'least request',
  choices: 2,
  isFullScan: false,
  activeRequestBias: { byDefault: 1, runtimeKey: '' },
  slowStart: undefined,
  locality,
}
const random: BalanceConfig = { policy: 'random', locality }
const byWeight: LocalityConfig = { by: 'weight' }

function chooser(
  config: BalanceConfig,
  sets: readonly HostSet[],
  owner = createOwner(),
): () => ClusterHost | undefined {
  const balancer = createBalancer(config, owner)
  balancer?.update(sets)
  return () => balancer?.choose({})
}

const shares = (
  config: BalanceConfig,
  sets: readonly HostSet[],
  count = 10_000,
): ReadonlyMap<ClusterHost | undefined, number> => countBy(count, chooser(config, sets))

describe('round robin', () => {
  it('takes one after the other', () => {
    const hosts = many(3)
    const choose = chooser(roundRobin, [createSet(hosts)])
    const first = [choose(), choose(), choose()]
    expect(new Set(first)).toEqual(new Set(hosts))
    expect([choose(), choose(), choose()]).toEqual(first)
  })

  it('goes on where it was when the hosts change', () => {
    const hosts = many(4)
    const owner = createOwner()
    const balancer = createBalancer(roundRobin, owner)
    balancer?.update([createSet(hosts)])
    const before = balancer?.choose({})
    balancer?.update([createSet([...hosts])])
    expect(hosts.indexOf(balancer?.choose({}) as ClusterHost)).toBe((hosts.indexOf(before as ClusterHost) + 1) % 4)
  })

  it('gives each its turns by its weight, as evenly as can be', () => {
    const hosts = [1, 2, 5].map((weight) => createHost({ weight }))
    const choose = chooser(roundRobin, [createSet(hosts)])
    for (let round = 0; round < 5; round++) {
      const counts = countBy(8, choose)
      expect(hosts.map((host) => counts.get(host))).toEqual([1, 2, 5])
    }
  })

  it('does not begin all proxies with the same host', () => {
    const hosts = many(4)
    const owner = createOwner()
    const firsts = countBy(2000, () => chooser(roundRobin, [createSet(hosts)], owner)())
    for (const host of hosts) expect(isNear(firsts.get(host) ?? 0, 0.25, 2000)).toBe(true)
  })

  it('leaves unhealthy hosts out, and takes all when too few are well', () => {
    const [well, ...ill] = [createHost(), ...many(1, { health: 'UNHEALTHY' })]
    expect(shares(roundRobin, [createSet([well as ClusterHost, ...ill])], 10)).toEqual(new Map([[well, 10]]))
    const panicking = [well as ClusterHost, ...many(2, { health: 'UNHEALTHY' })]
    expect(shares(roundRobin, [createSet(panicking)], 9).size).toBe(3)
  })

  it('takes degraded hosts for what the healthy ones can not take', () => {
    const healthy = many(5)
    const counts = shares(roundRobin, [createSet([...healthy, ...many(5, { health: 'DEGRADED' })])])
    const toHealthy = healthy.reduce((sum, host) => sum + (counts.get(host) ?? 0), 0)
    expect(isNear(toHealthy, 0.7, 10_000)).toBe(true)
  })

  it('has nobody where nobody is there', () => {
    expect(chooser(roundRobin, [createSet([])])()).toBeUndefined()
  })
})

describe('least request', () => {
  it('takes the one of two draws that has fewer requests', () => {
    const [idle, busy] = [createHost({ active: 0 }), createHost({ active: 5 })]
    const counts = shares(leastRequest, [createSet([idle, busy])])
    // The busy one is taken only where both draws fall on it.
    expect(isNear(counts.get(busy) ?? 0, 0.25, 10_000)).toBe(true)
  })

  it('draws as often as it is told to', () => {
    const [idle, busy] = [createHost({ active: 0 }), createHost({ active: 5 })]
    const counts = shares({ ...leastRequest, choices: 4 }, [createSet([idle, busy])])
    expect(isNear(counts.get(busy) ?? 0, 1 / 16, 10_000)).toBe(true)
  })

  it('looks at all where it is told to, and takes any of those with the fewest', () => {
    const idle = many(2)
    const counts = shares({ ...leastRequest, isFullScan: true }, [createSet([...idle, ...many(5, { active: 1 })])])
    expect([...counts.keys()].every((host) => idle.includes(host as ClusterHost))).toBe(true)
    expect(isNear(counts.get(idle[0]) ?? 0, 0.5, 10_000)).toBe(true)
  })

  it.each([
    [1, 2 / 3],
    [0, 8 / 9],
    [2, 1 / 3],
  ])('gives turns by weights that shrink with the requests, by a bias of %i', (byDefault, share) => {
    // 8 / (3 + 1) = 2 to 1.
    const [heavy, light] = [createHost({ weight: 8, active: 3 }), createHost({ weight: 1 })]
    const config: BalanceConfig = { ...leastRequest, activeRequestBias: { byDefault, runtimeKey: '' } }
    const counts = shares(config, [createSet([heavy, light])], 9000)
    expect((counts.get(heavy) ?? 0) / 9000).toBeCloseTo(share, 2)
  })

  it('takes its bias from the runtime', () => {
    const owner = createOwner()
    owner.context.runtime.setLayer('test', { bias: 0 })
    const [heavy, light] = [createHost({ weight: 8, active: 3 }), createHost({ weight: 1 })]
    const config: BalanceConfig = { ...leastRequest, activeRequestBias: { byDefault: 1, runtimeKey: 'bias' } }
    const counts = countBy(9000, chooser(config, [createSet([heavy, light])], owner))
    expect((counts.get(heavy) ?? 0) / 9000).toBeCloseTo(8 / 9, 2)
  })
})

describe('random', () => {
  it('takes any, whatever its weight', () => {
    const hosts = [1, 9].map((weight) => createHost({ weight }))
    const counts = shares(random, [createSet(hosts)])
    expect(isNear(counts.get(hosts[0]) ?? 0, 0.5, 10_000)).toBe(true)
  })
})

describe('priorities', () => {
  it('get the load that is theirs', () => {
    const first = [...many(5), ...many(5, { health: 'UNHEALTHY' })]
    const second = many(3)
    const counts = shares(random, [createSet(first), createSet(second, { priority: 1 })])
    const toSecond = second.reduce((sum, host) => sum + (counts.get(host) ?? 0), 0)
    expect(isNear(toSecond, 0.3, 10_000)).toBe(true)
  })

  it('that were tried are left out by a retry', () => {
    const [first, second] = [many(3), many(3)]
    const balancer = createBalancer(random, createOwner())
    balancer?.update([createSet(first), createSet(second, { priority: 1 })])
    const counts = countBy(100, () => balancer?.choose({ triedPriorities: [0] }))
    expect([...counts.keys()].every((host) => second.includes(host as ClusterHost))).toBe(true)
  })
})

describe('a retry', () => {
  it.each([
    [0, 0.5],
    [1, 0.25],
    [3, 1 / 16],
  ])('that may choose %i times anew takes a tried host so seldom', (maxAttempts, share) => {
    const hosts = many(2)
    const balancer = createBalancer(random, createOwner())
    balancer?.update([createSet(hosts)])
    const counts = countBy(10_000, () => balancer?.choose({ tried: new Set([hosts[0] as ClusterHost]), maxAttempts }))
    expect(isNear(counts.get(hosts[0]) ?? 0, share, 10_000)).toBe(true)
  })
})

describe('localities with weights', () => {
  const weighted: BalanceConfig = { ...roundRobin, locality: byWeight }
  const inZone = (counts: ReadonlyMap<ClusterHost | undefined, number>, zone: string): number =>
    [...counts].reduce((sum, [host, count]) => sum + (host?.locality.zone === zone ? count : 0), 0)

  it('get requests by them, however many hosts they have', () => {
    const hosts = [...many(1, { zone: 'a' }), ...many(9, { zone: 'b' })]
    const counts = shares(weighted, [createSet(hosts, { zoneWeights: { a: 3, b: 1 } })], 400)
    expect([inZone(counts, 'a'), inZone(counts, 'b')]).toEqual([300, 100])
  })

  it('lose weight when too few of their hosts are healthy', () => {
    const hosts = [
      ...many(5, { zone: 'a' }),
      ...many(5, { zone: 'a', health: 'UNHEALTHY' }),
      ...many(20, { zone: 'b' }),
    ]
    const counts = shares(weighted, [createSet(hosts, { zoneWeights: { a: 1, b: 1 } })], 1700)
    // Half of its hosts times 1.4 is 0.7 of its weight.
    expect([inZone(counts, 'a'), inZone(counts, 'b')]).toEqual([700, 1000])
  })

  it('get nothing without a weight', () => {
    const hosts = [...many(5, { zone: 'a' }), ...many(5, { zone: 'b' })]
    const counts = shares(weighted, [createSet(hosts, { zoneWeights: { b: 1 } })], 100)
    expect(inZone(counts, 'b')).toBe(100)
  })

  it('do not count where none has a weight', () => {
    const counts = shares(weighted, [createSet([...many(5, { zone: 'a' }), ...many(5, { zone: 'b' })])], 100)
    expect(inZone(counts, 'a')).toBe(50)
  })
})

describe('slow start', () => {
  const slowStart = { windowMs: 60_000, aggression: { byDefault: 1, runtimeKey: '' }, minWeight: 0.1 }

  it.each<readonly [BalanceConfig]>([[{ ...roundRobin, slowStart }], [{ ...leastRequest, slowStart }]])(
    'lets a new host have its load by and by: %j',
    (config) => {
      const owner = createOwner()
      const [old, added] = [createHost(), createHost()]
      const balancer = createBalancer(config, owner)
      balancer?.update([createSet([old])])
      owner.context.clock.pass(100_000)
      balancer?.update([createSet([old, added])])
      const share = (): number => (countBy(1100, () => balancer?.choose({})).get(added) ?? 0) / 1100
      expect(share()).toBeCloseTo(0.1 / 1.1, 2)
      owner.context.clock.pass(30_000)
      expect(share()).toBeCloseTo(0.5 / 1.5, 2)
      owner.context.clock.pass(30_001)
      expect(share()).toBeCloseTo(0.5, 1)
    },
  )

  it('begins anew with a host that a check has found healthy again', () => {
    const owner = createOwner()
    const [old, back] = [createHost(), createHost()]
    const balancer = createBalancer({ ...roundRobin, slowStart }, owner)
    balancer?.update([createSet([old, back])])
    owner.context.clock.pass(100_000)
    back.healthySinceMs = owner.context.clock.now()
    balancer?.update([createSet([old, back])])
    expect((countBy(1100, () => balancer?.choose({})).get(back) ?? 0) / 1100).toBeCloseTo(0.1 / 1.1, 2)
  })

  it.each([
    [0.25, 1, 0.25],
    [0.25, 2, 0.5],
    [0.25, 0.5, 0.0625],
    [1, 2, 1],
    [0.25, 0, 0.25],
  ])('after %f of its window, by an aggression of %f, is at %f', (time, aggression, share) => {
    expect(slowStartShare(time, aggression)).toBeCloseTo(share)
  })
})

describe('turns by earliest deadline', () => {
  it('follow a weight that changes', () => {
    const weights = { a: 1, b: 1 }
    const schedule = new EdfSchedule(['a', 'b'] as const, (member) => weights[member], 0)
    expect(countBy(10, () => schedule.next())).toEqual(
      new Map([
        ['a', 5],
        ['b', 5],
      ]),
    )
    weights.a = 4
    const counts = countBy(100, () => schedule.next())
    expect(counts.get('a')).toBeGreaterThanOrEqual(79)
    expect(counts.get('a')).toBeLessThanOrEqual(81)
  })

  it('are nobody’s where nobody is', () => {
    expect(new EdfSchedule<string>([], () => 1, 0).next()).toBeUndefined()
  })
})
