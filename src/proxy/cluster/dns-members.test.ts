import { describe, expect, it } from 'vitest'
import { atTestEnd } from '../../../test/support/at-test-end.ts'
import { type EndpointText, staticCluster } from '../../../test/support/cluster-json.ts'
import { createManualDiscovery } from '../../../test/support/manual-discovery.ts'
import { type NameServer, startNameServer } from '../../../test/support/name-server.ts'
import { eventually } from '../../../test/support/poll.ts'
import { createTestContext, type TestContext } from '../../../test/support/proxy-context.ts'
import type { JsonObject } from '../config/field-reader.ts'
import { type ClusterManager, createClusterManager } from './cluster-manager.ts'
import type { Host } from './host.ts'
import { nextRefresh } from './refresh-rate.ts'

interface Bed {
  readonly context: TestContext
  readonly names: NameServer
  readonly clusters: ClusterManager
  hosts(): readonly Host[]
}

type Names = Readonly<Record<string, readonly string[]>>

/** A cluster of the endpoints of those names. */
async function createBed(endpoints: readonly EndpointText[], names: Names, fields: JsonObject): Promise<Bed> {
  const server = await startNameServer()
  for (const [name, addresses] of Object.entries(names)) server.set(name, ...addresses)
  const context = createTestContext()
  const dns = { servers: [{ address: '127.0.0.1', port: server.port }] }
  const clusters = createClusterManager({ context, discovery: createManualDiscovery(), dns })
  atTestEnd(() => clusters.close())
  clusters.applyStatic([staticCluster('cart', endpoints, { dns_lookup_family: 'V4_ONLY', ...fields })])
  await clusters.initialized
  return { context, names: server, clusters, hosts: () => [...(clusters.get('cart')?.hosts ?? [])] }
}

const addresses = (hosts: readonly Host[]): readonly string[] => hosts.map(({ address }) => address)

describe('a cluster of names, strictly', () => {
  const strict = { type: 'STRICT_DNS' }

  it('has a host for each address that they lead to', async () => {
    const bed = await createBed([{ at: 'a.test:80', weight: 3 }], { 'a.test': ['10.0.0.1', '10.0.0.2'] }, strict)
    expect(bed.hosts().map(({ address, hostname, weight }) => [address, hostname, weight])).toEqual([
      ['10.0.0.1:80', 'a.test', 3],
      ['10.0.0.2:80', 'a.test', 3],
    ])
    expect(bed.context.stat('cluster.cart.update_success')).toBe(1)
  })

  it('follows them', async () => {
    const bed = await createBed([{ at: 'a.test:80' }], { 'a.test': ['10.0.0.1', '10.0.0.2'] }, strict)
    const [first] = bed.hosts()
    bed.names.set('a.test', '10.0.0.1', '10.0.0.3')
    bed.context.clock.pass(5000)
    await eventually(() => expect(addresses(bed.hosts())).toEqual(['10.0.0.1:80', '10.0.0.3:80']))
    expect(bed.hosts()[0]).toBe(first)
  })

  it('follows them as often as the answers want where it respects that', async () => {
    const bed = await createBed([{ at: 'a.test:80' }], { 'a.test': ['10.0.0.1'] }, { ...strict, respect_dns_ttl: true })
    bed.names.set('a.test', '10.0.0.2')
    bed.context.clock.pass(1000)
    await eventually(() => expect(addresses(bed.hosts())).toEqual(['10.0.0.2:80']))
  })

  it('has no hosts of a name that leads nowhere', async () => {
    const bed = await createBed([{ at: 'a.test:80' }, { at: '10.0.0.9:80' }], {}, strict)
    await eventually(() => expect(bed.context.stat('cluster.cart.update_success')).toBe(2))
    expect(addresses(bed.hosts())).toEqual(['10.0.0.9:80'])
  })

  it('has one host of an address that two names lead to', async () => {
    const names = { 'a.test': ['10.0.0.1'], 'b.test': ['10.0.0.1', '10.0.0.2'] }
    const bed = await createBed([{ at: 'a.test:80' }, { at: 'b.test:80' }], names, strict)
    await eventually(() => expect(addresses(bed.hosts())).toEqual(['10.0.0.1:80', '10.0.0.2:80']))
  })

  it('knows the names of the hosts file', async () => {
    const bed = await createBed([{ at: 'localhost:80' }], {}, strict)
    expect(addresses(bed.hosts())).toEqual(['127.0.0.1:80'])
  })

  it('tries the other family where the first has no address', async () => {
    const bed = await createBed(
      [{ at: 'a.test:80' }],
      { 'a.test': ['10.0.0.1'] },
      { ...strict, dns_lookup_family: 'AUTO' },
    )
    expect(addresses(bed.hosts())).toEqual(['10.0.0.1:80'])
  })
})

describe('a cluster of a name, logically', () => {
  const logical = { type: 'LOGICAL_DNS' }

  it('has one host, which stays the same wherever the name leads to', async () => {
    const bed = await createBed([{ at: 'a.test:80' }], { 'a.test': ['10.0.0.1', '10.0.0.2'] }, logical)
    const [host] = bed.hosts()
    expect([host?.address, bed.hosts().length]).toEqual(['10.0.0.1:80', 1])
    bed.names.set('a.test', '10.0.0.7')
    bed.context.clock.pass(5000)
    await eventually(() => expect(host?.address).toBe('10.0.0.7:80'))
    expect(bed.hosts()).toEqual([host])
  })

  it('stays where it was when the name leads nowhere any more', async () => {
    const bed = await createBed([{ at: 'a.test:80' }], { 'a.test': ['10.0.0.1'] }, logical)
    bed.names.set('a.test')
    bed.context.clock.pass(5000)
    await eventually(() => expect(bed.context.stat('cluster.cart.update_failure')).toBe(1))
    expect(addresses(bed.hosts())).toEqual(['10.0.0.1:80'])
  })
})

describe('the time until a name is looked up again', () => {
  const half = (): number => 0.5
  const dns = { refreshMs: 5000, failureRefresh: { baseMs: 2000, maxMs: 10_000 }, respectsTtl: true }

  it.each<
    readonly [name: string, changes: Partial<typeof dns>, ttlMs: number | undefined, failures: number, waitMs: number]
  >([
    ['is that of the answer', {}, 30_000, 0, 30_000],
    ['is the usual one where the answer says none', {}, undefined, 0, 5000],
    ['is the usual one where the answer is not to be kept', {}, 0, 0, 5000],
    ['is the usual one where answers are not asked for it', { respectsTtl: false }, 30_000, 0, 5000],
    ['is less than the base after a failure, by chance', {}, undefined, 1, 1000],
    ['doubles with each', {}, undefined, 2, 2000],
    ['doubles with each, up to the limit', {}, undefined, 8, 10_000],
  ])('%s', (_, changes, ttlMs, failures, waitMs) => {
    expect(nextRefresh({ ...dns, ...changes }, ttlMs, failures, half)).toBe(waitMs)
  })

  it('is the usual one after a failure where nothing is said of those', () => {
    expect(nextRefresh({ ...dns, failureRefresh: undefined }, undefined, 3, half)).toBe(5000)
  })
})
