import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import { atTestEnd } from '../../../test/support/at-test-end.ts'
import { assignmentJson, edsCluster } from '../../../test/support/cluster-json.ts'
import { createManualDiscovery, type ManualDiscovery } from '../../../test/support/manual-discovery.ts'
import { eventually } from '../../../test/support/poll.ts'
import { createBedSecrets } from '../../../test/support/proxy-bed.ts'
import { createTestContext, type TestContext } from '../../../test/support/proxy-context.ts'
import type { JsonObject } from '../config/field-reader.ts'
import { createConnections } from '../upstream/connections.ts'
import { type ClusterManager, createClusterManager } from './cluster-manager.ts'

interface Bed {
  readonly context: TestContext
  readonly discovery: ManualDiscovery
  readonly clusters: ClusterManager
}

/** A server whose health is what the test says. */
interface Checked {
  readonly at: string
  status: number
  checks: number
}

async function startChecked(status = 200): Promise<Checked> {
  const server = createServer((_, response) => {
    checked.checks++
    response.writeHead(checked.status).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  atTestEnd(() => {
    server.close()
    server.closeAllConnections()
  })
  const checked = { at: `127.0.0.1:${(server.address() as AddressInfo).port}`, status, checks: 0 }
  return checked
}

const check: JsonObject = {
  timeout: '60s',
  interval: '10s',
  no_traffic_interval: '10s',
  unhealthy_threshold: 1,
  healthy_threshold: 1,
  http_health_check: { path: '/' },
}

function createBed(fields: JsonObject = {}): Bed {
  const context = createTestContext()
  const discovery = createManualDiscovery()
  const connections = createConnections(context, createBedSecrets())
  const clusters = createClusterManager({ context, discovery, connections })
  atTestEnd(() => {
    clusters.close()
    connections.close()
  })
  clusters.applyStatic([edsCluster('cart', { health_checks: [check], ...fields })])
  return { context, discovery, clusters }
}

const healthOf = (clusters: ClusterManager): Readonly<Record<string, string>> =>
  Object.fromEntries([...(clusters.get('cart')?.hosts ?? [])].map(({ address, health }) => [address, health]))

describe('a cluster whose hosts are checked', () => {
  it('is warm when each was checked once', async () => {
    const { clusters, discovery, context } = createBed()
    const [well, ill] = [await startChecked(), await startChecked(503)]
    discovery.send('endpoint', 'cart', assignmentJson('cart', [well, ill]))
    expect(healthOf(clusters)).toEqual({ [well.at]: 'unhealthy', [ill.at]: 'unhealthy' })
    await clusters.initialized
    expect(healthOf(clusters)).toEqual({ [well.at]: 'healthy', [ill.at]: 'unhealthy' })
    expect([well.checks, ill.checks]).toEqual([1, 1])
    const chosen = await Promise.all(Array.from({ length: 9 }, async () => await clusters.get('cart')?.chooseHost({})))
    expect(new Set(chosen.map((host) => host?.address))).toEqual(new Set([well.at]))
    expect(context.stat('cluster.cart.membership_healthy')).toBe(1)
    expect(context.stat('cluster.cart.health_check.healthy')).toBe(1)
    // Checks count as no traffic.
    expect(context.stat('cluster.cart.upstream_cx_total')).toBe(0)
  })

  it('is warm at once where it has no hosts', async () => {
    const { clusters, discovery } = createBed()
    discovery.send('endpoint', 'cart', assignmentJson('cart', []))
    await clusters.initialized
    expect(healthOf(clusters)).toEqual({})
  })

  it('keeps a healthy host that is no member any more until a check fails', async () => {
    const { clusters, discovery, context } = createBed()
    const [one, other] = [await startChecked(), await startChecked()]
    discovery.send('endpoint', 'cart', assignmentJson('cart', [one, other]))
    await clusters.initialized
    discovery.send('endpoint', 'cart', assignmentJson('cart', [other]))
    expect(Object.keys(healthOf(clusters)).toSorted()).toEqual([one.at, other.at].toSorted())
    one.status = 503
    context.clock.pass(10_000)
    await eventually(() => expect(healthOf(clusters)).toEqual({ [other.at]: 'healthy' }))
  })

  it('lets it go at once where its configuration says so', async () => {
    const { clusters, discovery } = createBed({ ignore_health_on_host_removal: true })
    const [one, other] = [await startChecked(), await startChecked()]
    discovery.send('endpoint', 'cart', assignmentJson('cart', [one, other]))
    await clusters.initialized
    discovery.send('endpoint', 'cart', assignmentJson('cart', [other]))
    expect(healthOf(clusters)).toEqual({ [other.at]: 'healthy' })
  })

  it('tells of a host that turns unhealthy', async () => {
    const { clusters, discovery, context } = createBed()
    const one = await startChecked()
    discovery.send('endpoint', 'cart', assignmentJson('cart', [one]))
    await clusters.initialized
    const told: string[] = []
    for (const host of clusters.get('cart')?.hosts ?? []) host.onUnhealthy(() => told.push(host.address))
    one.status = 503
    context.clock.pass(10_000)
    await eventually(() => expect(told).toEqual([one.at]))
  })

  it('checks a host where its endpoint says', async () => {
    const { clusters, discovery } = createBed()
    const [port, elsewhere] = [await startChecked(), await startChecked(503)]
    const json = structuredClone(assignmentJson('cart', [elsewhere])) as unknown as {
      endpoints: [{ lb_endpoints: [{ endpoint: Record<string, unknown> }] }]
    }
    json.endpoints[0].lb_endpoints[0].endpoint['health_check_config'] = { port_value: Number(port.at.split(':')[1]) }
    discovery.send('endpoint', 'cart', json as unknown as JsonObject)
    await clusters.initialized
    expect(healthOf(clusters)).toEqual({ [elsewhere.at]: 'healthy' })
    expect([port.checks, elsewhere.checks]).toEqual([1, 0])
  })

  it('brings a host back that outlier detection has let out, when a check passes', async () => {
    const { clusters, discovery, context } = createBed({ outlier_detection: { max_ejection_percent: 100 } })
    const one = await startChecked()
    discovery.send('endpoint', 'cart', assignmentJson('cart', [one]))
    await clusters.initialized
    for (const host of clusters.get('cart')?.hosts ?? [])
      for (let time = 0; time < 5; time++) host.report({ status: 500 })
    expect(healthOf(clusters)).toEqual({ [one.at]: 'unhealthy' })
    context.clock.pass(10_000)
    await eventually(() => expect(healthOf(clusters)).toEqual({ [one.at]: 'healthy' }))
  })

  it('reckons health without hosts that were not checked yet, where its configuration says so', async () => {
    const { clusters, discovery, context } = createBed({ common_lb_config: { ignore_new_hosts_until_first_hc: true } })
    const one = await startChecked()
    discovery.send('endpoint', 'cart', assignmentJson('cart', [one]))
    expect(context.stat('cluster.cart.membership_excluded')).toBe(1)
    await clusters.initialized
    expect(context.stat('cluster.cart.membership_excluded')).toBe(0)
  })
})
