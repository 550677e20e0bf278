import { describe, expect, it } from 'vitest'
import { atTestEnd } from '../../../test/support/at-test-end.ts'
import { assignmentJson, type EndpointText, edsCluster } from '../../../test/support/cluster-json.ts'
import { createManualDiscovery, type ManualDiscovery } from '../../../test/support/manual-discovery.ts'
import { createTestContext } from '../../../test/support/proxy-context.ts'
import type { JsonObject } from '../config/field-reader.ts'
import { type ClusterManager, createClusterManager } from './cluster-manager.ts'

const names = ['first', 'second', 'third'] as const

const aggregate: JsonObject = {
  name: 'all',
  lb_policy: 'CLUSTER_PROVIDED',
  cluster_type: {
    name: 'envoy.clusters.aggregate',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.clusters.aggregate.v3.ClusterConfig',
      clusters: names,
    },
  },
}

interface Bed {
  readonly clusters: ClusterManager
  readonly discovery: ManualDiscovery
  /** How many of 10,000 requests each cluster gets. */
  share(): Promise<Readonly<Record<string, number>>>
}

function createBed(clusterNames: readonly string[] = names): Bed {
  const discovery = createManualDiscovery()
  const clusters = createClusterManager({ context: createTestContext(), discovery })
  atTestEnd(() => clusters.close())
  const common_lb_config = { update_merge_window: '0s' }
  clusters.applyStatic([aggregate, ...clusterNames.map((name) => edsCluster(name, { common_lb_config }))])
  clusterNames.forEach((name, index) => {
    discovery.send('endpoint', name, assignmentJson(name, hostsOf(index)))
  })
  return {
    clusters,
    discovery,
    async share() {
      const cluster = clusters.get('all')
      const counts: Record<string, number> = {}
      for (let request = 0; request < 10_000; request++) {
        const host = await cluster?.chooseHost({})
        const name = host === undefined ? 'none' : String(cluster?.ownerOf(host).name)
        counts[name] = (counts[name] ?? 0) + 1
      }
      return counts
    },
  }
}

/** Ten, of which as many are unhealthy. */
function hostsOf(index: number, unhealthy = 0): readonly EndpointText[] {
  return Array.from({ length: 10 }, (_, at) => ({
    at: `10.0.${index}.${at + 1}:80`,
    ...(at < unhealthy && { health: 'UNHEALTHY' }),
  }))
}

describe('an aggregate cluster', () => {
  it('asks the first of its clusters as long as enough of its hosts are healthy', async () => {
    const bed = createBed()
    bed.discovery.send('endpoint', 'first', assignmentJson('first', hostsOf(0, 2)))
    expect(await bed.share()).toEqual({ first: 10_000 })
  })

  it('lets the next help with what the first can not take', async () => {
    const bed = createBed()
    bed.discovery.send('endpoint', 'first', assignmentJson('first', hostsOf(0, 5)))
    const { first = 0, second = 0, third } = await bed.share()
    // Half of the hosts, overprovisioned by 1.4, take 70%.
    expect(Math.abs(first - 7000)).toBeLessThan(3 * Math.sqrt(10_000 * 0.7 * 0.3))
    expect(first + second).toBe(10_000)
    expect(third).toBeUndefined()
  })

  it('goes on to the next whose hosts are healthy', async () => {
    const bed = createBed()
    bed.discovery.send('endpoint', 'first', assignmentJson('first', hostsOf(0, 10)))
    bed.discovery.send('endpoint', 'second', assignmentJson('second', []))
    expect(await bed.share()).toEqual({ third: 10_000 })
  })

  it('asks those that are there, and others as soon as they are', async () => {
    const bed = createBed(['second'])
    expect(await bed.share()).toEqual({ second: 10_000 })
  })

  it('has nobody to ask where none is there', async () => {
    expect(await createBed([]).share()).toEqual({ none: 10_000 })
  })
})
