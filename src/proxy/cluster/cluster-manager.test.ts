import { describe, expect, it } from 'vitest'
import { atTestEnd } from '../../../test/support/at-test-end.ts'
import { assignmentJson, edsCluster, staticCluster } from '../../../test/support/cluster-json.ts'
import { createManualDiscovery, type ManualDiscovery } from '../../../test/support/manual-discovery.ts'
import { createTestContext, type TestContext } from '../../../test/support/proxy-context.ts'
import type { ConfigRejection } from '../config/config-rejection.ts'
import type { JsonObject } from '../config/field-reader.ts'
import { type ClusterManager, createClusterManager } from './cluster-manager.ts'

interface Bed {
  readonly context: TestContext
  readonly discovery: ManualDiscovery
  readonly clusters: ClusterManager
}

function createBed(options: { readonly localCluster?: string } = {}): Bed {
  const context = createTestContext()
  const discovery = createManualDiscovery()
  const clusters = createClusterManager({ context, discovery, ...options })
  atTestEnd(() => clusters.close())
  return { context, discovery, clusters }
}

/** A bed whose first clusters are there and warm. */
async function createWarmBed(first: Readonly<Record<string, JsonObject>> = {}): Promise<Bed> {
  const bed = createBed()
  bed.clusters.startDynamic()
  bed.discovery.sendAll('cluster', first)
  await bed.clusters.initialized
  return bed
}

const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve()
}

const isPending = async (promise: Promise<void>): Promise<boolean> => {
  let isDone = false
  void promise.then(() => {
    isDone = true
  })
  await settle()
  return !isDone
}

const addressesOf = (clusters: ClusterManager, name: string): readonly string[] =>
  [...(clusters.get(name)?.hosts ?? [])].map(({ address }) => address)

const one = [{ at: '10.0.0.1:80' }] as const
const two = [{ at: '10.0.0.1:80' }, { at: '10.0.0.2:80' }] as const

describe('the clusters of a proxy at its start', () => {
  it('are those of the bootstrap, at once', async () => {
    const { clusters, context } = createBed()
    clusters.applyStatic([staticCluster('cart', two)])
    await clusters.initialized
    expect(addressesOf(clusters, 'cart')).toEqual(['10.0.0.1:80', '10.0.0.2:80'])
    expect(context.stat('cluster_manager.active_clusters')).toBe(1)
    expect(context.stat('cluster.cart.membership_healthy')).toBe(2)
  })

  it('are not two of one name', () => {
    const { clusters } = createBed()
    expect(() => clusters.applyStatic([staticCluster('cart', one), staticCluster('cart', two)])).toThrow(
      "cluster manager: duplicate cluster 'cart'",
    )
  })

  it('wait for the assignments of EDS before others are asked for', async () => {
    const { clusters, discovery } = createBed()
    clusters.applyStatic([edsCluster('cart')])
    clusters.startDynamic()
    expect(discovery.asked).toEqual(['endpoint/cart'])
    discovery.send('endpoint', 'cart', assignmentJson('cart', one))
    await settle()
    expect(discovery.asked).toEqual(['cluster', 'endpoint/cart'])
    expect(await isPending(clusters.initialized)).toBe(true)
    discovery.sayMissing('cluster')
    expect(await isPending(clusters.initialized)).toBe(false)
  })

  it('wait for the assignments of all that CDS sends first', async () => {
    const { clusters, discovery } = createBed()
    clusters.startDynamic()
    discovery.sendAll('cluster', { cart: edsCluster('cart'), shop: edsCluster('shop') })
    discovery.send('endpoint', 'cart', assignmentJson('cart', one))
    expect(await isPending(clusters.initialized)).toBe(true)
    discovery.sayMissing('endpoint', 'shop')
    expect(await isPending(clusters.initialized)).toBe(false)
    expect(addressesOf(clusters, 'shop')).toEqual([])
  })

  it('do not wait for one that says so', async () => {
    const { clusters, discovery } = createBed()
    clusters.startDynamic()
    discovery.sendAll('cluster', { cart: edsCluster('cart', { wait_for_warm_on_init: false }) })
    expect(await isPending(clusters.initialized)).toBe(false)
  })

  it('wait for EDS as long as its source says', () => {
    const { clusters, discovery } = createBed()
    const source = { ads: {}, resource_api_version: 'V3', initial_fetch_timeout: '2s' }
    clusters.applyStatic([edsCluster('peers', { eds_cluster_config: { eds_config: source, service_name: 'all' } })])
    expect(discovery.optionsOf('endpoint', 'all')?.initialFetchTimeoutMs).toBe(2000)
  })
})

describe('a cluster that comes later', () => {
  it('is in use when it is warm, and CDS is answered then', async () => {
    const { clusters, discovery, context } = await createWarmBed()
    discovery.sendAll('cluster', { cart: edsCluster('cart') })
    expect(clusters.get('cart')).toBeUndefined()
    expect(context.stat('cluster_manager.warming_clusters')).toBe(1)
    expect(discovery.isPaused('cluster')).toBe(true)
    discovery.send('endpoint', 'cart', assignmentJson('cart', one))
    await settle()
    expect(addressesOf(clusters, 'cart')).toEqual(['10.0.0.1:80'])
    expect(context.stat('cluster_manager.warming_clusters')).toBe(0)
    expect(discovery.isPaused('cluster')).toBe(false)
  })

  it('takes the place of another when it is warm, and the other ends then', async () => {
    const { clusters, discovery } = await createWarmBed({ cart: staticCluster('cart', one) })
    const ended: string[] = []
    const before = clusters.get('cart')
    before?.onClosed(() => ended.push('cluster'))
    for (const host of before?.hosts ?? []) host.onRemoved(() => ended.push(host.address))
    discovery.sendAll('cluster', { cart: edsCluster('cart') })
    expect(clusters.get('cart')).toBe(before)
    expect(ended).toEqual([])
    discovery.send('endpoint', 'cart', assignmentJson('cart', two))
    await settle()
    expect(addressesOf(clusters, 'cart')).toEqual(['10.0.0.1:80', '10.0.0.2:80'])
    expect(ended).toEqual(['10.0.0.1:80', 'cluster'])
  })

  it('leaves the counts of the one in use as they are until it is warm', async () => {
    const { discovery, context } = await createWarmBed({ cart: staticCluster('cart', two) })
    discovery.sendAll('cluster', { cart: edsCluster('cart') })
    expect(context.stat('cluster.cart.membership_total')).toBe(2)
    discovery.send('endpoint', 'cart', assignmentJson('cart', one))
    await settle()
    expect(context.stat('cluster.cart.membership_total')).toBe(1)
    expect(context.stat('cluster.cart.membership_healthy')).toBe(1)
  })

  it('changes nothing where it is equal to the one in use', async () => {
    const { clusters, discovery, context } = await createWarmBed({ cart: staticCluster('cart', one) })
    const before = clusters.get('cart')
    discovery.sendAll('cluster', { cart: staticCluster('cart', one) })
    await settle()
    expect(clusters.get('cart')).toBe(before)
    expect(context.stat('cluster_manager.cluster_modified')).toBeUndefined()
  })

  it('takes the place of one that still warms', async () => {
    const { clusters, discovery, context } = await createWarmBed()
    discovery.sendAll('cluster', { cart: edsCluster('cart') })
    discovery.sendAll('cluster', { cart: staticCluster('cart', one) })
    await settle()
    expect(addressesOf(clusters, 'cart')).toEqual(['10.0.0.1:80'])
    expect(discovery.asked).toEqual(['cluster'])
    expect(context.stat('cluster_manager.cluster_modified')).toBe(1)
  })

  it('is refused without harm to the others of its response', async () => {
    const { clusters, discovery } = await createWarmBed({ cart: staticCluster('cart', one) })
    const refused = discovery.sendAll('cluster', {
      cart: staticCluster('cart', two, { preconnect_policy: { per_upstream_preconnect_ratio: 1.5 } }),
      shop: staticCluster('shop', one),
    })
    await settle()
    expect([...refused]).toEqual([['cart', 'preconnect_policy: the reference proxy does not know this field']])
    expect([...clusters.all.keys()]).toEqual(['cart', 'shop'])
    expect(addressesOf(clusters, 'cart')).toEqual(['10.0.0.1:80'])
  })

  it('does not take the place of one of the bootstrap, nor removes it', async () => {
    const { clusters, discovery } = createBed()
    clusters.applyStatic([staticCluster('cart', one)])
    clusters.startDynamic()
    await settle()
    discovery.sendAll('cluster', { cart: staticCluster('cart', two) }, ['cart'])
    await clusters.initialized
    expect(addressesOf(clusters, 'cart')).toEqual(['10.0.0.1:80'])
  })

  it('ends when it is removed, and takes its stats with it', async () => {
    const { clusters, discovery, context } = await createWarmBed({ cart: staticCluster('cart', one) })
    discovery.sendAll('cluster', {}, ['cart', 'unknown'])
    expect(clusters.get('cart')).toBeUndefined()
    expect(context.stat('cluster_manager.cluster_removed')).toBe(1)
    expect(context.stat('cluster.cart.membership_total')).toBeUndefined()
  })

  it('is told of, and so is its end', async () => {
    const { clusters, discovery } = await createWarmBed()
    const told: string[] = []
    clusters.onChanged((name, cluster) => told.push(`${name} ${cluster === undefined ? 'ends' : 'is there'}`))
    discovery.sendAll('cluster', { cart: staticCluster('cart', one) })
    await settle()
    discovery.sendAll('cluster', {}, ['cart'])
    expect(told).toEqual(['cart is there', 'cart ends'])
  })
})

describe('the hosts of a cluster of EDS', () => {
  async function createCart(fields: JsonObject = {}): Promise<Bed> {
    const bed = createBed()
    bed.clusters.startDynamic()
    bed.discovery.sendAll('cluster', { cart: edsCluster('cart', fields) })
    bed.discovery.send('endpoint', 'cart', assignmentJson('cart', two))
    await bed.clusters.initialized
    return bed
  }

  it('stay the same through changes of weight and health', async () => {
    const { clusters, discovery, context } = await createCart()
    const before = [...(clusters.get('cart')?.hosts ?? [])]
    const changed = [
      { at: '10.0.0.1:80', weight: 3 },
      { at: '10.0.0.2:80', health: 'DRAINING' },
    ] as const
    discovery.send('endpoint', 'cart', assignmentJson('cart', changed))
    expect([...(clusters.get('cart')?.hosts ?? [])]).toEqual(before)
    expect(before.map(({ weight, health }) => [weight, health])).toEqual([
      [3, 'healthy'],
      [1, 'unhealthy'],
    ])
    expect(context.stat('cluster.cart.membership_healthy')).toBe(1)
    expect(context.stat('cluster.cart.membership_change')).toBe(1)
  })

  it('tell when they are removed', async () => {
    const { clusters, discovery } = await createCart()
    const removed: string[] = []
    for (const host of clusters.get('cart')?.hosts ?? []) host.onRemoved(() => removed.push(host.address))
    discovery.send('endpoint', 'cart', assignmentJson('cart', [{ at: '10.0.0.2:80' }, { at: '10.0.0.3:80' }]))
    expect(removed).toEqual(['10.0.0.1:80'])
    expect(addressesOf(clusters, 'cart')).toEqual(['10.0.0.2:80', '10.0.0.3:80'])
  })

  it('take requests by their new weights within the window in which changes are merged', async () => {
    const { clusters, discovery, context } = await createCart({ common_lb_config: { update_merge_window: '2s' } })
    const choose = async (): Promise<string | undefined> => (await clusters.get('cart')?.chooseHost({}))?.address
    context.clock.pass(3000)
    const without = (gone: string): JsonObject =>
      assignmentJson(
        'cart',
        two.map(({ at }) => ({ at, health: at === gone ? 'UNHEALTHY' : 'HEALTHY' })),
      )
    discovery.send('endpoint', 'cart', without('10.0.0.1:80'))
    expect(await choose()).toBe('10.0.0.2:80')
    discovery.send('endpoint', 'cart', without('10.0.0.2:80'))
    context.clock.pass(1999)
    expect(await choose()).toBe('10.0.0.2:80')
    context.clock.pass(1)
    expect(await choose()).toBe('10.0.0.1:80')
  })

  it('take requests by the weights of their localities, and by new ones', async () => {
    const byWeight = {
      lb_policy: 'RANDOM',
      common_lb_config: { locality_weighted_lb_config: {}, update_merge_window: '0s' },
    }
    const { clusters, discovery } = await createCart(byWeight)
    const send = (x: number, y: number): void => {
      const endpoints = [
        { at: '10.0.0.1:80', zone: 'x', localityWeight: x },
        { at: '10.0.0.2:80', zone: 'y', localityWeight: y },
      ]
      discovery.send('endpoint', 'cart', assignmentJson('cart', endpoints))
    }
    const choose = async (): Promise<readonly string[]> => {
      const found = new Set<string>()
      for (let request = 0; request < 20; request++) {
        found.add(String((await clusters.get('cart')?.chooseHost({}))?.address))
      }
      return [...found]
    }
    send(1, 0)
    expect(await choose()).toEqual(['10.0.0.1:80'])
    send(0, 1)
    expect(await choose()).toEqual(['10.0.0.2:80'])
  })

  it('share the load by the overprovisioning factor that comes with them', async () => {
    const { clusters, discovery } = await createCart({ lb_policy: 'RANDOM' })
    const endpoints = [
      { at: '10.0.0.3:80' },
      { at: '10.0.0.4:80', health: 'UNHEALTHY' },
      { at: '10.0.0.5:80', priority: 1 },
    ]
    const choose = async (): Promise<number> => {
      const found = await Promise.all(
        Array.from({ length: 1000 }, async () => await clusters.get('cart')?.chooseHost({})),
      )
      return found.filter((host) => host?.address === '10.0.0.5:80').length
    }
    discovery.send('endpoint', 'cart', assignmentJson('cart', endpoints, { overprovisioning_factor: 200 }))
    expect(await choose()).toBe(0)
    discovery.send('endpoint', 'cart', assignmentJson('cart', [...endpoints, ...two], { overprovisioning_factor: 100 }))
    expect(Math.abs((await choose()) - 250)).toBeLessThan(3 * Math.sqrt(1000 * 0.25 * 0.75))
  })

  it.each([
    ['of another name', assignmentJson('shop', one), 'Unexpected EDS cluster (expecting cart): shop'],
    [
      'with a name for an address',
      assignmentJson('cart', [{ at: 'a.test:80' }]),
      "malformed IP address: a.test. Consider setting resolver_name or setting cluster type to 'STRICT_DNS' or 'LOGICAL_DNS'",
    ],
  ])('are not taken from an assignment %s', async (_, assignment, why) => {
    const { clusters, discovery } = await createCart()
    const send = (): void => discovery.send('endpoint', 'cart', assignment)
    expect(send).toThrow(expect.objectContaining({ name: 'ConfigRejection', message: why }) as ConfigRejection)
    expect(addressesOf(clusters, 'cart')).toEqual(['10.0.0.1:80', '10.0.0.2:80'])
  })

  it('may leave a priority out', async () => {
    const { clusters, discovery } = await createCart()
    discovery.send('endpoint', 'cart', assignmentJson('cart', [{ at: '10.0.0.7:80', priority: 2 }]))
    expect((await clusters.get('cart')?.chooseHost({}))?.address).toBe('10.0.0.7:80')
  })

  it('are gone when they were not renewed in time', async () => {
    const { clusters, discovery, context } = await createCart()
    discovery.send('endpoint', 'cart', assignmentJson('cart', one, { endpoint_stale_after: '10s' }))
    context.clock.pass(9_999)
    expect(addressesOf(clusters, 'cart')).toEqual(['10.0.0.1:80'])
    context.clock.pass(1)
    expect(addressesOf(clusters, 'cart')).toEqual([])
    expect(context.stat('cluster.cart.assignment_stale')).toBe(1)
  })

  it('are counted when none takes a request', async () => {
    const { clusters, discovery, context } = await createCart()
    discovery.send('endpoint', 'cart', assignmentJson('cart', []))
    expect(clusters.get('cart')?.chooseHost({})).toBeUndefined()
    expect(context.stat('cluster.cart.upstream_cx_none_healthy')).toBe(1)
  })

  it('are not even asked about as many requests as are to be dropped', async () => {
    const { clusters, discovery } = await createCart()
    const drop = { category: 'too much', drop_percentage: { numerator: 30 } }
    discovery.send('endpoint', 'cart', assignmentJson('cart', one, { drop_overloads: [drop] }))
    const dropped = Array.from({ length: 10_000 }, () => clusters.get('cart')?.dropsOverload() === true).filter(Boolean)
    expect(Math.abs(dropped.length - 3000)).toBeLessThan(3 * Math.sqrt(10_000 * 0.3 * 0.7))
  })
})
