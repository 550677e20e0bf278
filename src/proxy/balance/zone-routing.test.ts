import { describe, expect, it } from 'vitest'
import { countBy, createHost, createOwner, createSet, isNear, many } from '../../../test/support/balanced-hosts.ts'
import type { LocalityConfig } from './balance-config.ts'
import type { HostSet } from './host-set.ts'
import { ListBalancer } from './list-balancer.ts'
import { random } from './list-policies.ts'
import { planZones } from './zone-routing.ts'

/** How many hosts are in each zone. */
type Zones = Readonly<Record<string, number>>

const setOf = (zones: Zones, ownZone = 'a'): HostSet =>
  createSet(
    Object.entries(zones).flatMap(([zone, count]) => many(count, { zone })),
    { ownZone },
  )

describe('what a proxy of zone a does', () => {
  it.each<readonly [name: string, hosts: Zones, peers: Zones, plan: object]>([
    ['keeps all where its zone has as large a share of hosts', { a: 5, b: 5 }, { a: 1, b: 1 }, { kind: 'direct' }],
    ['keeps all where its zone has a larger one', { a: 7, b: 3 }, { a: 1, b: 1 }, { kind: 'direct' }],
    [
      'keeps a part where it has a smaller one',
      { a: 2, b: 8 },
      { a: 1, b: 1 },
      { kind: 'residual', stays: 4000, spare: [0, 3000] },
    ],
    [
      'sends the rest where hosts are to spare',
      { a: 5, b: 10, c: 5 },
      { a: 4, b: 4, c: 2 },
      { kind: 'residual', stays: 6250, spare: [0, 1000, 1500] },
    ],
    [
      'sends all away from a zone without hosts',
      { b: 5, c: 5 },
      { a: 1, b: 1 },
      { kind: 'residual', stays: 0, spare: [0, 5000] },
    ],
    ['minds no zones where hosts are in one', { a: 10 }, { a: 1, b: 1 }, { kind: 'none' }],
    ['minds no zones where peers are in one', { a: 5, b: 5 }, { a: 2 }, { kind: 'none' }],
    [
      'minds no zones where it has no peers in its own',
      { a: 5, b: 5 },
      { b: 1, c: 1 },
      { kind: 'none', because: 'peers' },
    ],
    ['minds no zones of a small cluster', { a: 2, b: 3 }, { a: 1, b: 1 }, { kind: 'none', because: 'size' }],
  ])('%s', (_, hosts, peers, plan) => {
    expect(planZones(setOf(hosts), setOf(peers), 6)).toEqual(plan)
  })
})

describe('requests of a proxy of zone a', () => {
  const byZone: LocalityConfig = {
    by: 'zone',
    routingEnabledPercent: 100,
    minClusterSize: 6,
    failsTrafficOnPanic: false,
  }

  function shareOf(hosts: Zones, peers: Zones, locality: LocalityConfig = byZone): ReadonlyMap<string, number> {
    const owner = createOwner(50, { hosts: setOf(peers), onChanged: () => ({ cancel: () => undefined }) })
    const balancer = new ListBalancer(owner, random(owner), locality)
    balancer.update([setOf(hosts)])
    return countBy(10_000, () => balancer.choose({})?.locality.zone ?? 'none')
  }

  it('stay there where that is fair', () => {
    expect(shareOf({ a: 5, b: 5 }, { a: 1, b: 1 })).toEqual(new Map([['a', 10_000]]))
  })

  it('go elsewhere as far as that is fair', () => {
    const shares = shareOf({ a: 5, b: 10, c: 5 }, { a: 4, b: 4, c: 2 })
    expect(isNear(shares.get('a') ?? 0, 0.625, 10_000)).toBe(true)
    expect(isNear(shares.get('b') ?? 0, 0.375 * (2 / 3), 10_000)).toBe(true)
    expect(isNear(shares.get('c') ?? 0, 0.375 / 3, 10_000)).toBe(true)
  })

  it('mind no zones for as many as that is switched on for', () => {
    const shares = shareOf({ a: 5, b: 5 }, { a: 1, b: 1 }, { ...byZone, routingEnabledPercent: 40 })
    expect(isNear(shares.get('a') ?? 0, 0.4 + 0.6 / 2, 10_000)).toBe(true)
  })

  it('mind no zones where the peers themselves are ill', () => {
    const peers = createSet([...many(1, { zone: 'a' }), ...many(2, { zone: 'b', health: 'UNHEALTHY' })], {
      ownZone: 'a',
    })
    const owner = createOwner(50, { hosts: peers, onChanged: () => ({ cancel: () => undefined }) })
    const balancer = new ListBalancer(owner, random(owner), byZone)
    balancer.update([setOf({ a: 5, b: 5 })])
    const shares = countBy(10_000, () => balancer.choose({})?.locality.zone)
    expect(isNear(shares.get('a') ?? 0, 0.5, 10_000)).toBe(true)
    expect(owner.stat('lb_local_cluster_not_ok')).toBe(10_000)
  })

  it('follow the peers as they change', () => {
    let peers = setOf({ a: 1, b: 1 })
    let tell = (): void => undefined
    const owner = createOwner(50, {
      get hosts() {
        return peers
      },
      onChanged(act) {
        tell = act
        return { cancel: () => undefined }
      },
    })
    const balancer = new ListBalancer(owner, random(owner), byZone)
    balancer.update([setOf({ a: 5, b: 5 })])
    peers = setOf({ a: 3, b: 1 })
    tell()
    const shares = countBy(10_000, () => balancer.choose({})?.locality.zone)
    expect(isNear(shares.get('a') ?? 0, 0.6666, 10_000)).toBe(true)
    expect(owner.stat('lb_recalculate_zone_structures')).toBe(2)
  })

  it('fail in panic where that is wished', () => {
    const owner = createOwner()
    const balancer = new ListBalancer(owner, random(owner), { ...byZone, failsTrafficOnPanic: true })
    balancer.update([createSet([createHost(), ...many(9, { health: 'UNHEALTHY' })])])
    expect(balancer.choose({})).toBeUndefined()
    expect(owner.stat('lb_healthy_panic')).toBe(1)
  })
})
