import { describe, expect, it } from 'vitest'
import { countBy, createHost, createOwner, createSet, isNear, many } from '../../../test/support/balanced-hosts.ts'
import type { ClusterHost } from '../cluster/cluster-host.ts'
import type { BalanceConfig, ConsistentHashing, MaglevConfig, RingHashConfig } from './balance-config.ts'
import type { Balancer } from './balancer.ts'
import { createBalancer } from './create-balancer.ts'
import { weigh } from './hash-balancer.ts'
import type { HostSet } from './host-set.ts'
import { createMersenneTwister } from './mersenne-twister.ts'
import { murmurHash2 } from './murmur-hash.ts'
import { xxHash64 } from './xx-hash.ts'

const even: ConsistentHashing = { usesHostname: false, balanceFactor: 0, isLocalityWeighted: false }
const maglev: MaglevConfig = { policy: 'maglev', tableSize: 65_537, hashing: even }
const ring: RingHashConfig = {
  policy: 'ring hash',
  hash: 'xxHash',
  minimumRingSize: 1024,
  maximumRingSize: 8_388_608,
  hashing: even,
}

function create(config: BalanceConfig, sets: readonly HostSet[], owner = createOwner()): Balancer {
  const balancer = createBalancer(config, owner) as Balancer
  balancer.update(sets)
  return balancer
}

const hashes = Array.from({ length: 5000 }, (_, index) => xxHash64(`key-${index}`))

describe.each<readonly [string, RingHashConfig | MaglevConfig]>([
  ['a ring', ring],
  ['a Maglev table', maglev],
])('%s', (_name, config) => {
  it('leads a hash to the same host each time', () => {
    const sets = [createSet(many(5))]
    const [one, other] = [create(config, sets), create(config, sets)]
    expect(hashes.map((hash) => one.choose({ hash }))).toEqual(hashes.map((hash) => other.choose({ hash })))
  })

  it('moves few hashes but those of a host that leaves', () => {
    const hosts = many(10)
    const before = create(config, [createSet(hosts)])
    const after = create(config, [createSet(hosts.slice(1))])
    const moved = hashes.filter((hash) => {
      const host = before.choose({ hash })
      return host !== hosts[0] && host !== after.choose({ hash })
    })
    // With one host less, a ring has room for more places of each of the others.
    expect(moved.length / hashes.length).toBeLessThan(0.1)
  })

  it('leads to hosts by their weights', () => {
    const hosts = [1, 2, 5].map((weight) => createHost({ weight }))
    const balancer = create(config, [createSet(hosts)])
    const counts = countBy(80_000, () => balancer.choose({}))
    for (const host of hosts) {
      const share = (counts.get(host) ?? 0) / 80_000
      expect(Math.abs(share - host.weight / 8)).toBeLessThan(config.policy === 'maglev' ? 0.01 : 0.06)
    }
  })

  it('leads to healthy hosts only, or in panic to all', () => {
    const [well, ill] = [createHost(), createHost({ health: 'UNHEALTHY' })]
    const calm = create(config, [createSet([well, ill])])
    expect(new Set(hashes.map((hash) => calm.choose({ hash })))).toEqual(new Set([well]))
    const owner = createOwner()
    const panicking = create(config, [createSet([well, ill, ...many(1, { health: 'UNHEALTHY' })])], owner)
    expect(new Set(hashes.map((hash) => panicking.choose({ hash }))).size).toBe(3)
    expect(owner.stat('lb_healthy_panic')).toBe(hashes.length)
  })

  it('leads to nobody where nobody is', () => {
    expect(create(config, [createSet([])]).choose({ hash: 1n })).toBeUndefined()
  })

  it('leads the same hash to the same priority', () => {
    const first = [...many(5), ...many(5, { health: 'UNHEALTHY' })]
    const second = many(2)
    const balancer = create(config, [createSet(first), createSet(second, { priority: 1 })])
    const toSecond = hashes.filter((hash) => second.includes(balancer.choose({ hash }) as ClusterHost))
    expect(toSecond.every((hash) => hash % 100n >= 70n)).toBe(true)
    expect(isNear(toSecond.length, 0.3, hashes.length)).toBe(true)
  })

  it('leads a retry elsewhere', () => {
    const hosts = many(4)
    const balancer = create(config, [createSet(hosts)])
    const again = hashes.filter((hash) => {
      const first = balancer.choose({ hash }) as ClusterHost
      return balancer.choose({ hash, tried: new Set([first]), maxAttempts: 5 }) === first
    })
    // The tries are neighbours in the table, and not each of them is another host: a choice by chance would give a quarter.
    expect(again.length / hashes.length).toBeLessThan(0.1)
  })

  it('goes by a host’s name where it is told to, or by its hash key, and not by its address', () => {
    const at = (network: string, label?: string): readonly ClusterHost[] =>
      ['1', '2', '3'].map((last) => {
        const labels = label === undefined ? {} : { labels: { hash_key: `${label}-${last}` } }
        return createHost({ ip: `${network}.${last}`, hostname: `${last}.test`, ...labels })
      })
    const names = (hosts: readonly ClusterHost[], usesHostname: boolean): readonly (string | undefined)[] => {
      const balancer = create({ ...config, hashing: { ...even, usesHostname } }, [createSet(hosts)])
      return hashes.map((hash) => balancer.choose({ hash })?.hostname)
    }
    expect(names(at('10.0.0'), true)).toEqual(names(at('10.9.9'), true))
    expect(names(at('10.0.0', 'key'), false)).toEqual(names(at('10.9.9', 'key'), true))
    expect(names(at('10.0.0'), false)).not.toEqual(names(at('10.9.9'), false))
    expect(names(at('10.0.0', 'one'), true)).not.toEqual(names(at('10.0.0', 'other'), true))
  })

  it('asks others when a host has more than its bound', () => {
    const hosts = many(4)
    const balancer = create({ ...config, hashing: { ...even, balanceFactor: 150 } }, [createSet(hosts)])
    const hash = hashes[0] as bigint
    const first = balancer.choose({ hash }) as ClusterHost
    first.stats.rqActive = 10
    const second = balancer.choose({ hash })
    expect(second).not.toBe(first)
    expect(balancer.choose({ hash })).toBe(second)
    first.stats.rqActive = 0
    expect(balancer.choose({ hash })).toBe(first)
  })

  it('takes the least loaded where all have more than their bound', () => {
    const hosts = many(3)
    const balancer = create({ ...config, hashing: { ...even, balanceFactor: 100 } }, [createSet(hosts)])
    hosts.forEach((host, index) => {
      host.stats.rqActive = 30 + index
    })
    // One too many for each: 94 slots for three.
    const chosen = new Set(hashes.map((hash) => balancer.choose({ hash })))
    expect(chosen.has(hosts[0])).toBe(true)
  })
})

it('localities share the whole by their weights, and hosts their locality’s', () => {
  const hosts = [createHost({ zone: 'a' }), createHost({ zone: 'b', weight: 3 }), createHost({ zone: 'b' })]
  const set = createSet([...hosts, createHost({ zone: 'c' })], { zoneWeights: { a: 1, b: 1 } })
  expect(weigh(set, false, true).map(({ weight }) => weight)).toEqual([0.5, 0.375, 0.125])
  expect(weigh(set, false, false).map(({ weight }) => weight)).toEqual([1 / 6, 0.5, 1 / 6, 1 / 6])
})

it('the numbers of the Mersenne twister are those of C++', () => {
  const random = createMersenneTwister(5489)
  const first = random()
  for (let number = 2; number < 10_000; number++) random()
  // The standard says the 10,000th of the default seed.
  expect([first, random()]).toEqual([3_499_211_612, 4_123_659_995])
})

it('Murmur hashes of all lengths of the rest differ', () => {
  const texts = Array.from({ length: 20 }, (_, length) => 'abcdefghijklmnopqrst'.slice(0, length))
  expect(new Set(texts.map((text) => murmurHash2(text))).size).toBe(20)
})
