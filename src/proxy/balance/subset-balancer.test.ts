import { describe, expect, it } from 'vitest'
import {
  createHost,
  createOwner,
  createSet,
  isNear,
  many,
  type TestOwner,
} from '../../../test/support/balanced-hosts.ts'
import type { ClusterHost } from '../cluster/cluster-host.ts'
import type { JsonObject } from '../config/field-reader.ts'
import type { BalanceConfig, SubsetConfig, SubsetSelector } from './balance-config.ts'
import type { Balancer } from './balancer.ts'
import { createBalancer } from './create-balancer.ts'

const selector = (keys: readonly string[], changes: Partial<SubsetSelector> = {}): SubsetSelector => ({
  keys,
  isSingleHost: false,
  fallback: undefined,
  fallbackKeys: [],
  ...changes,
})

const roundRobin: BalanceConfig = {
  policy: 'round robin',
  slowStart: undefined,
  locality: { by: 'zone', routingEnabledPercent: 100, minClusterSize: 6, failsTrafficOnPanic: false },
}

const plain: SubsetConfig = {
  policy: 'subset',
  fallback: 'none',
  defaultSubset: {},
  selectors: [selector(['version']), selector(['stage', 'version'])],
  isLocalityWeightAware: false,
  scalesLocalityWeight: false,
  panicsToAny: false,
  listsAsAny: false,
  hasFallbackList: false,
  allowsRedundantKeys: false,
  inner: roundRobin,
}

/** By letters: v1 in prod, v1 in test, v2 in prod, v2 without a stage, and one without labels. */
const hosts = {
  a: createHost({ labels: { version: 'v1', stage: 'prod' } }),
  b: createHost({ labels: { version: 'v1', stage: 'test' } }),
  c: createHost({ labels: { version: 'v2', stage: 'prod' } }),
  d: createHost({ labels: { version: 'v2' } }),
  e: createHost(),
}

interface Bed {
  readonly owner: TestOwner
  readonly balancer: Balancer
  /** The letters of all hosts that take requests with those labels. */
  takers(labels?: JsonObject): string
}

function createBed(config: Partial<SubsetConfig>, of: Readonly<Record<string, ClusterHost>> = hosts): Bed {
  const owner = createOwner()
  const balancer = createBalancer({ ...plain, ...config }, owner) as Balancer
  balancer.update([createSet(Object.values(of))])
  return {
    owner,
    balancer,
    takers(labels) {
      const found = Array.from({ length: 20 }, () =>
        balancer.choose(labels === undefined ? {} : { metadataMatch: labels }),
      )
      const letters = Object.entries(of).filter(([, host]) => found.includes(host))
      return letters.map(([letter]) => letter).join('')
    },
  }
}

describe('a request that asks for labels', () => {
  it.each<readonly [name: string, config: Partial<SubsetConfig>, labels: JsonObject | undefined, takers: string]>([
    ['goes to the hosts that have them', {}, { version: 'v1' }, 'ab'],
    ['goes to the hosts that have all of them, in any order', {}, { version: 'v1', stage: 'prod' }, 'a'],
    ['goes nowhere where nobody has them', {}, { version: 'v3' }, ''],
    ['goes nowhere where no selector has those keys', {}, { stage: 'prod' }, ''],
    ['goes to anybody where that is the fallback', { fallback: 'any endpoint' }, { version: 'v3' }, 'abcde'],
    [
      'goes to the default subset where that is the fallback',
      { fallback: 'default subset', defaultSubset: { stage: 'prod' } },
      { version: 'v3' },
      'ac',
    ],
    [
      'goes to anybody in panic, where the default subset is empty',
      { fallback: 'default subset', defaultSubset: { stage: 'none' }, panicsToAny: true },
      { version: 'v3' },
      'abcde',
    ],
    [
      'goes where the fallback of its own selector says',
      { fallback: 'any endpoint', selectors: [selector(['version'], { fallback: 'none' })] },
      { version: 'v3' },
      '',
    ],
    [
      'goes by fewer labels where the fallback of its selector says so',
      {
        selectors: [
          selector(['version'], { fallback: 'any endpoint' }),
          selector(['stage', 'version'], { fallback: 'keys', fallbackKeys: ['version'] }),
        ],
      },
      { version: 'v1', stage: 'none' },
      'ab',
    ],
    ['goes nowhere with labels too many', { selectors: [selector(['version'])] }, { version: 'v1', x: 'y' }, ''],
    [
      'goes by those that a selector has, where others may be there',
      { selectors: [selector(['version'])], allowsRedundantKeys: true },
      { version: 'v1', x: 'y' },
      'ab',
    ],
    [
      'goes by the first of a list of labels that somebody has',
      { hasFallbackList: true },
      { stage: 'test', fallback_list: [{ version: 'v2' }, { version: 'v1' }, {}] },
      'b',
    ],
    ['without any goes to the fallback', { fallback: 'any endpoint' }, undefined, 'abcde'],
    ['without any goes nowhere without a fallback', {}, undefined, ''],
    [
      'goes to the one host that may be in its subset',
      { selectors: [selector(['version'], { isSingleHost: true })] },
      { version: 'v1' },
      'a',
    ],
  ])('%s', (_, config, labels, takers) => {
    expect(createBed(config).takers(labels)).toBe(takers)
  })

  it('goes to a host whose list has the value, where lists stand for their members', () => {
    const of = { a: createHost({ labels: { version: ['v1', 'v2'] } }), b: createHost({ labels: { version: 'v2' } }) }
    expect(createBed({ listsAsAny: true }, of).takers({ version: 'v2' })).toBe('ab')
    expect(createBed({ listsAsAny: false }, of).takers({ version: 'v2' })).toBe('b')
    expect(createBed({ listsAsAny: false }, of).takers({ version: ['v1', 'v2'] })).toBe('a')
  })

  it('goes to the healthy hosts of its subset, and in panic to all of it', () => {
    const ill = { labels: { version: 'v1' }, health: 'UNHEALTHY' } as const
    const of = {
      a: createHost({ labels: { version: 'v1' } }),
      b: createHost(ill),
      c: createHost({ labels: { version: 'v2' } }),
    }
    expect(createBed({}, of).takers({ version: 'v1' })).toBe('a')
    expect(createBed({}, { ...of, d: createHost(ill) }).takers({ version: 'v1' })).toBe('abd')
  })

  it('goes by the weights of localities, scaled to the hosts of the subset, where that is said', () => {
    const config: Partial<SubsetConfig> = {
      inner: { ...roundRobin, locality: { by: 'weight' } } as BalanceConfig,
      isLocalityWeightAware: true,
      scalesLocalityWeight: true,
    }
    const labels = { version: 'v1' }
    const set = createSet(
      [
        ...many(1, { zone: 'a', labels }),
        ...many(9, { zone: 'a' }),
        ...many(5, { zone: 'b', labels }),
        ...many(5, { zone: 'b' }),
      ],
      { zoneWeights: { a: 100, b: 100 } },
    )
    const balancer = createBalancer({ ...plain, ...config }, createOwner())
    balancer?.update([set])
    const found = Array.from({ length: 600 }, () => balancer?.choose({ metadataMatch: labels })?.locality.zone)
    expect(found.filter((zone) => zone === 'a').length).toBe(100)
  })
})

describe('the subsets of a cluster', () => {
  it('come and go with the labels of its hosts, and are counted', () => {
    const { owner, balancer } = createBed({ selectors: [selector(['version'])] })
    expect(owner.stat('lb_subsets_active')).toBe(2)
    balancer.update([createSet([hosts.a])])
    expect([
      owner.stat('lb_subsets_active'),
      owner.stat('lb_subsets_created'),
      owner.stat('lb_subsets_removed'),
    ]).toEqual([1, 2, 1])
    balancer.choose({ metadataMatch: { version: 'v1' } })
    expect(owner.stat('lb_subsets_selected')).toBe(1)
    balancer.close()
    expect(owner.stat('lb_subsets_active')).toBe(0)
  })

  it('balance as the whole would', () => {
    const labels = { version: 'v1' }
    const [heavy, light] = [createHost({ labels, weight: 3 }), createHost({ labels, weight: 1 })]
    const balancer = createBalancer(plain, createOwner())
    balancer?.update([createSet([heavy, light, ...many(5)])])
    const found = Array.from({ length: 400 }, () => balancer?.choose({ metadataMatch: labels }))
    expect(isNear(found.filter((host) => host === heavy).length, 0.75, 400)).toBe(true)
  })
})
