import { Agent, request as requestHttp } from 'node:http'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { buildBootstrap } from '../../../src/cli/bootstrap-config.ts'
import { createProxy, type Proxy } from '../../../src/proxy/create-proxy.ts'
import { atTestEnd } from '../../support/at-test-end.ts'
import { type FakeXdsStream, startFakeXdsServer } from '../../support/fake-xds-server.ts'
import { freePorts } from '../../support/free-ports.ts'
import { eventually } from '../../support/poll.ts'
import { address, cluster, httpFilter, listen, startRoughHttp1, toCluster } from './rough-bed.ts'
import { startScriptedXds, typeUrls } from './scripted-xds.ts'

const protocols = ['sotw', 'delta'] as const

async function startProxy(xdsPort: number, protocol: 'sotw' | 'delta'): Promise<Proxy> {
  const proxy = await createProxy({
    bootstrap: buildBootstrap({
      id: 'a',
      cluster: 'a',
      server: `127.0.0.1:${xdsPort}`,
      delta: protocol === 'delta',
      adminPort: 0,
    }),
    drainTimeMs: 50,
  })
  atTestEnd(() => proxy.close())
  return proxy
}

function httpListener(name: string, port = 0): object {
  return {
    name,
    address: address(port),
    filter_chains: [{ filters: [httpFilter({ virtualHosts: [{ ...toCluster('app'), domains: ['*'] }] })] }],
  }
}

/** Asks again and again. */
function startLoad(port: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: 4 })
  const load = { answered: 0, failures: [] as string[], isOver: false }
  const ask = (): Promise<void> =>
    new Promise((resolve) => {
      const fail = (why: string): void => {
        load.failures.push(why)
        resolve()
      }
      const sent = requestHttp({ agent, host: '127.0.0.1', port, path: '/ok' }, (answer) => {
        if (answer.statusCode !== 200) load.failures.push(String(answer.statusCode))
        load.answered++
        answer.resume()
        answer.once('end', resolve)
        answer.once('error', (error) => fail(String(error)))
      })
      sent.once('error', (error) => fail(String(error)))
      sent.end()
    })
  const run = async (): Promise<void> => {
    while (!load.isOver) {
      await ask()
      await sleep(3)
    }
  }
  const all = Promise.all(Array.from({ length: 4 }, run))
  const stop = async (): Promise<readonly string[]> => {
    load.isOver = true
    await all
    agent.destroy()
    return load.failures
  }
  atTestEnd(async () => void (await stop()))
  return { load, stop }
}

const counter = (proxy: Proxy, name: string): number => proxy.stats.counters.get(name)?.value ?? 0

test.each(protocols)(
  'A proxy whose control plane is killed serves on, and takes what has changed (%s)',
  async (protocol) => {
    const [xdsPort = 0] = await freePorts(1)
    const app = await startRoughHttp1()
    const world = new Map<string, ReadonlyMap<string, object>>()
    const first = await startScriptedXds(xdsPort, world)
    first.set('cluster', { app: cluster('app', app, false), other: cluster('other', app, false) })
    first.set('listener', { one: httpListener('one'), two: httpListener('two') })
    const proxy = await startProxy(xdsPort, protocol)
    await proxy.live
    const port = proxy.listenerPort('one') as number
    const { load, stop } = startLoad(port)
    await eventually(() => load.answered > 20)
    const kept = proxy.clusters.get('app')
    await first.stop()
    await eventually(() => proxy.stats.gauges.get('control_plane.connected_state')?.value === 0)
    const before = load.answered
    await eventually(() => load.answered > before + 50)

    const second = await startScriptedXds(xdsPort, world)
    second.set('cluster', { app: cluster('app', app, false), fresh: cluster('fresh', app, false) })
    second.set('listener', { one: httpListener('one'), three: httpListener('three') })
    await eventually(() => proxy.listenerPort('three') !== undefined && proxy.listenerPort('two') === undefined, {
      timeoutMs: 15_000,
    })
    // Nothing that is equal was made again.
    expect(proxy.clusters.get('app')).toBe(kept)
    expect(proxy.clusters.get('other')).toBeUndefined()
    expect(proxy.clusters.get('fresh')).toBeDefined()
    expect(proxy.listenerPort('one')).toBe(port)
    expect(counter(proxy, 'listener_manager.listener_modified')).toBe(0)
    expect(counter(proxy, 'listener_manager.listener_added')).toBe(3)
    expect(counter(proxy, 'cluster_manager.cluster_modified')).toBe(0)
    expect(await stop()).toEqual([])
  },
)

describe('A control plane that does what it should not', () => {
  test('is asked again with back-off where it closes every stream at once', async () => {
    const server = await startFakeXdsServer()
    const proxy = await startProxy(server.port, 'delta')
    const begin = performance.now()
    let streams = 0
    while (performance.now() - begin < 3_000) {
      const left = 3_000 - (performance.now() - begin)
      const stream = await Promise.race([server.nextStream().catch(() => undefined), sleep(left)])
      if (stream === undefined) break
      streams++
      stream.fail()
    }
    // At 0.25 s, 0.75 s, 1.75 s and so on, on the average.
    expect(streams).toBeGreaterThan(1)
    expect(streams).toBeLessThan(20)
    await proxy.close()
  })

  test('is asked again with back-off where it speaks no HTTP/2', async () => {
    let connections = 0
    const port = await listen(
      createServer((socket) => {
        connections++
        socket.on('error', () => undefined)
        socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')
      }),
    )
    const proxy = await startProxy(port, 'sotw')
    await sleep(3_000)
    expect(connections).toBeGreaterThan(1)
    expect(connections).toBeLessThan(40)
    await proxy.close()
  })

  const bad: readonly (readonly [string, object, RegExp])[] = [
    [
      'a type that nobody knows',
      { '@type': typeUrls.cluster, name: 'bad', transport_socket: unknown() },
      /bad: transport_socket\.typed_config: the reference proxy does not know google\.protobuf\.StringValue/,
    ],
    [
      'a policy that needs what it has not',
      { ...cluster('bad', 1, false), '@type': typeUrls.cluster, lb_policy: 'CLUSTER_PROVIDED' },
      /cluster 'bad' did not provide one/,
    ],
    [
      'no connect_timeout that there is',
      { ...cluster('bad', 1, false), '@type': typeUrls.cluster, connect_timeout: '-1s' },
      /ConnectTimeout/,
    ],
    [
      'contents in one another without end',
      { ...nested(80), '@type': typeUrls.cluster },
      /bad: .*google\.protobuf\.Any/,
    ],
  ]

  test.each(bad)('is told of %s, and what is good is kept', async (_, resource, why) => {
    const app = await startRoughHttp1()
    const server = await startFakeXdsServer()
    const proxy = await startProxy(server.port, 'sotw')
    const stream = await server.nextStream()
    await stream.next()
    const good = { '@type': typeUrls.cluster, ...cluster('app', app, false) }
    stream.send({ version_info: '1', nonce: '1', type_url: typeUrls.cluster, resources: [good] })
    await eventually(() => proxy.clusters.get('app') !== undefined)
    stream.send({ version_info: '2', nonce: '2', type_url: typeUrls.cluster, resources: [good, resource] })
    expect(await refusalOf(stream)).toMatch(why)
    expect(proxy.clusters.get('app')).toBeDefined()
    expect(proxy.clusters.get('bad')).toBeUndefined()
  })

  test('may send 10,000 clusters, and take them back', { timeout: 60_000 }, async () => {
    const app = await startRoughHttp1()
    const xds = await startScriptedXds()
    const names = Array.from({ length: 10_000 }, (_, index) => `cluster-${index}`)
    xds.set('cluster', Object.fromEntries(names.map((name) => [name, cluster(name, app, false)])))
    xds.set('listener', {})
    const proxy = await startProxy(xds.port, 'delta')
    await proxy.live
    expect(proxy.clusters.all.size).toBe(10_001)
    xds.set('cluster', {})
    await eventually(() => proxy.clusters.all.size === 1, { timeoutMs: 20_000 })
    expect(xds.refusals).toEqual([])
  })

  test('may send a response of 20 MB', { timeout: 60_000 }, async () => {
    const app = await startRoughHttp1()
    const server = await startFakeXdsServer()
    const proxy = await startProxy(server.port, 'sotw')
    const stream = await server.nextStream()
    await stream.next()
    const fat = {
      ...cluster('fat', app, false),
      metadata: { filter_metadata: { x: { text: 'x'.repeat(20_000_000) } } },
    }
    const resources = [{ '@type': typeUrls.cluster, ...fat }]
    stream.send({ version_info: '1', nonce: '1', type_url: typeUrls.cluster, resources })
    await eventually(() => proxy.clusters.get('fat') !== undefined, { timeoutMs: 20_000 })
  })

  test('may send what nobody asked for', async () => {
    const server = await startFakeXdsServer()
    const proxy = await startProxy(server.port, 'delta')
    const stream = await server.nextStream()
    await stream.next()
    for (const url of ['type.googleapis.com/no.such.Thing', typeUrls.secret, '']) {
      stream.send({ type_url: url, nonce: 'x', system_version_info: 'x' })
    }
    stream.send({ type_url: typeUrls.cluster, nonce: '1', removed_resources: ['never-heard-of'] })
    await eventually(() => counter(proxy, 'cluster_manager.cds.update_success') === 1)
  })
})

async function refusalOf(stream: FakeXdsStream): Promise<string> {
  for (;;) {
    const { error_detail: error } = await stream.next()
    if (error !== undefined) return String((error as { readonly message?: unknown }).message)
  }
}

function unknown(): object {
  return {
    name: 'x',
    typed_config: { '@type': 'type.googleapis.com/google.protobuf.StringValue', value: 'NoSuchThing' },
  }
}

/** An Any in an Any, over and over. */
function nested(depth: number): object {
  let inner: object = { '@type': 'type.googleapis.com/google.protobuf.StringValue', value: 'x' }
  for (let at = 0; at < depth; at++) inner = { '@type': 'type.googleapis.com/google.protobuf.Any', value: inner }
  return { name: 'bad', connect_timeout: '1s', transport_socket: { name: 'x', typed_config: inner } }
}
