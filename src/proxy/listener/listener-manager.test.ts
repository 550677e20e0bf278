import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, it } from 'vitest'
import { createManualDiscovery, type ManualDiscovery } from '../../../test/support/manual-discovery.ts'
import {
  type BedCluster,
  type BedSecrets,
  createBedCluster,
  createBedSecrets,
  createProxyContext,
} from '../../../test/support/proxy-bed.ts'
import type { JsonObject } from '../config/field-reader.ts'
import type { NetworkFilterKind, NetworkFilterOwner } from '../network/network-filter.ts'
import { tcpProxy } from '../network/tcp-proxy.ts'
import type { ProxyContext } from '../proxy-context.ts'
import { createConnections } from '../upstream/connections.ts'
import { createListenerManager, type ListenerManager } from './listener-manager.ts'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function listen(server: Server): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
  })
  ends.push(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

/** Says its name, and then what it is told. */
const sayingServer = (name: string): Promise<number> =>
  listen(
    createServer({ allowHalfOpen: true }, (socket) => {
      socket.write(`${name}:`)
      socket.pipe(socket)
    }),
  )

/** A filter that makes its listener wait. */
interface Gate {
  readonly kind: NetworkFilterKind
  readonly owners: NetworkFilterOwner[]
  open(): void
}

function createGate(): Gate {
  let open = (): void => undefined
  const owners: NetworkFilterOwner[] = []
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return {
    owners,
    open: () => open(),
    kind: {
      type: 'google.protobuf.Empty',
      read: () => undefined,
      create(_, owner) {
        owners.push(owner)
        owner.waitFor('the gate', opened)
        return { onConnection: () => true }
      },
    },
  }
}

interface Bed {
  readonly context: ProxyContext
  readonly manager: ListenerManager
  readonly discovery: ManualDiscovery
  readonly secrets: BedSecrets
  readonly gate: Gate
  readonly clusters: Map<string, BedCluster>
  stat(name: string): number | undefined
  portOf(name: string): number
}

/** With a cluster for each server, by its name. */
async function bed(names: readonly string[] = ['a'], drainTimeMs = 60_000): Promise<Bed> {
  const context = createProxyContext()
  const clusters = new Map<string, BedCluster>()
  for (const name of names) clusters.set(name, createBedCluster(context, await sayingServer(name), { name }))
  const discovery = createManualDiscovery()
  const secrets = createBedSecrets()
  const connections = createConnections(context, secrets)
  const gate = createGate()
  const manager = createListenerManager({
    context,
    clusters: { get: (name) => clusters.get(name), all: clusters },
    connections,
    discovery,
    secrets,
    networkFilters: [tcpProxy as NetworkFilterKind, gate.kind],
    drainTimeMs,
  })
  ends.push(() => {
    for (const { host } of clusters.values()) host.remove()
    return manager.close()
  })
  return {
    context,
    manager,
    discovery,
    secrets,
    gate,
    clusters,
    stat: (name) => (context.stats.counters.get(name) ?? context.stats.gauges.get(name))?.value,
    portOf: (name) => manager.listeners.get(name)?.address.port as number,
  }
}

const any = (type: string, rest: JsonObject = {}): JsonObject => ({ '@type': `type.googleapis.com/${type}`, ...rest })
const tcp = (cluster: string, rest: JsonObject = {}): JsonObject => ({
  name: 'tcp',
  typed_config: any('envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', {
    stat_prefix: cluster,
    cluster,
    ...rest,
  }),
})
const waits: JsonObject = { name: 'gate', typed_config: any('google.protobuf.Empty') }

function listener(name: string, port: number, chains: readonly JsonObject[], rest: JsonObject = {}): JsonObject {
  return {
    name,
    address: { socket_address: { address: '127.0.0.1', port_value: port } },
    filter_chains: chains,
    ...rest,
  }
}

async function ask(port: number, words = 'hello'): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  socket.end(words)
  return text(socket)
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

describe('a listener', () => {
  it('of the bootstrap takes connections, and counts them', async () => {
    const one = await bed()
    one.manager.applyStatic([listener('in', 0, [{ filters: [tcp('a')] }])])
    await one.manager.initialized
    expect(await ask(one.portOf('in'))).toBe('a:hello')
    expect(one.stat('listener.127.0.0.1_0.downstream_cx_total')).toBe(1)
    await expect.poll(() => one.stat('listener.127.0.0.1_0.downstream_cx_active')).toBe(0)
    expect(one.stat('listener_manager.listener_added')).toBe(1)
    expect(one.stat('listener_manager.total_listeners_active')).toBe(1)
    expect(one.stat('tcp.a.downstream_cx_total')).toBe(1)
  })

  it('that cannot be taken is refused for each reason, and the others are taken', async () => {
    const one = await bed()
    const busy = await listen(createServer())
    one.manager.startDynamic()
    const free = await freePort()
    const twice: JsonObject = { filters: [tcp('a')], name: 'x' }
    const refused = one.discovery.sendAll('listener', {
      good: listener('good', free, [{ filters: [tcp('a')] }]),
      same: listener('same', free, [{ filters: [tcp('a')] }]),
      busy: listener('busy', busy, [{ filters: [tcp('a')] }]),
      none: listener('none', 0, []),
      twice: listener('twice', 0, [twice, { ...twice, name: 'y' }]),
      half: listener('half', 0, [{ filter_chain_match: { server_names: ['a*.b'] }, filters: [tcp('a')] }]),
      unknown: listener('unknown', 0, [{ filters: [tcp('a', { on_demand: {} })] }]),
    })
    expect(Object.fromEntries(refused)).toEqual({
      same: `error adding listener: 'same' has duplicate address '127.0.0.1:${free}' as existing listener. To check if the listener has duplicated addresses with other listeners or 'enable_reuse_port' is set to 'false' for the listener`,
      busy: `cannot bind '127.0.0.1:${busy}': Address already in use`,
      none: "error adding listener '127.0.0.1:0': no filter chains specified",
      twice:
        "error adding listener '127.0.0.1:0': filter chain 'y' has the same matching rules defined as 'x'. duplicate matcher is: {}",
      half: 'error adding listener \'127.0.0.1:0\': partial wildcards are not supported in "server_names"',
      unknown: 'filter_chains[0].filters[0].typed_config.on_demand: the reference proxy does not know this field',
    })
    await one.manager.initialized
    expect(await ask(free)).toBe('a:hello')
    expect(one.stat('listener_manager.listener_create_failure')).toBe(6)
  })

  it('does not listen before its filters are ready', async () => {
    const one = await bed()
    const port = await freePort()
    one.manager.startDynamic()
    one.discovery.sendAll('listener', { in: listener('in', port, [{ filters: [waits, tcp('a')] }]) })
    expect(one.stat('listener_manager.total_listeners_warming')).toBe(1)
    await expect(ask(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    one.gate.open()
    await one.manager.initialized
    expect(await ask(port)).toBe('a:hello')
    expect(one.stat('listener_manager.total_listeners_warming')).toBe(0)
  })

  it('is replaced without a connection refused, and the old connections go on', async () => {
    const one = await bed(['a', 'b'], 3000)
    const port = await freePort()
    one.manager.startDynamic()
    one.discovery.sendAll('listener', { in: listener('in', port, [{ filters: [tcp('a')] }]) })
    const old = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    const oldWords = text(old)
    await expect.poll(() => one.stat('tcp.a.downstream_cx_active')).toBe(1)
    const answers: Promise<string>[] = []
    const stop = setInterval(() => answers.push(ask(port)), 1)
    one.discovery.sendAll('listener', {
      in: listener('in', port, [{ filters: [waits, tcp('b')] }], { traffic_direction: 'INBOUND' }),
    })
    await expect.poll(() => answers.length).toBeGreaterThan(10)
    one.gate.open()
    await expect.poll(() => one.stat('tcp.b.downstream_cx_total') ?? 0).toBeGreaterThan(10)
    clearInterval(stop)
    const all = await Promise.all(answers)
    expect(new Set(all)).toEqual(new Set(['a:hello', 'b:hello']))
    expect(await ask(port)).toBe('b:hello')
    old.end('still here')
    expect(await oldWords).toBe('a:still here')
    expect(one.stat('listener_manager.listener_modified')).toBe(1)
    expect(one.stat('listener_manager.listener_in_place_updated')).toBe(0)
    expect(one.stat('listener_manager.total_listeners_draining')).toBe(1)
  })

  it('keeps the filter chains that are the same when only others change', async () => {
    const one = await bed(['a', 'b'], 100)
    const port = await freePort()
    const kept: JsonObject = { name: 'kept', filters: [waits, tcp('a')] }
    const other = (cluster: string): JsonObject => ({
      name: cluster,
      filter_chain_match: { destination_port: 1 },
      filters: [tcp(cluster)],
    })
    one.gate.open()
    one.manager.startDynamic()
    one.discovery.sendAll('listener', { in: listener('in', port, [kept, other('a')]) })
    await one.manager.initialized
    let isEnded = false
    one.gate.owners[0]?.onClosed(() => {
      isEnded = true
    })
    one.discovery.sendAll('listener', { in: listener('in', port, [kept, other('b')]) })
    expect(await ask(port)).toBe('a:hello')
    expect(one.gate.owners.length).toBe(1)
    expect(isEnded).toBe(false)
    expect(one.stat('listener_manager.listener_in_place_updated')).toBe(1)
    expect(
      one.stat('listener.127.0.0.1_0.downstream_cx_total') ??
        one.stat(`listener.127.0.0.1_${port}.downstream_cx_total`),
    ).toBe(1)
    await expect.poll(() => one.stat('listener_manager.total_filter_chains_draining')).toBe(0)
    expect(isEnded).toBe(false)
    // It stays for as long as it drains, connections or none.
    one.discovery.sendAll('listener', {}, ['in'])
    expect(isEnded).toBe(false)
    await expect.poll(() => isEnded).toBe(true)
  })

  it('tells its connections to go when it is removed, and ends those that stay', async () => {
    const one = await bed(['a'], 100)
    const port = await freePort()
    one.manager.startDynamic()
    one.discovery.sendAll('listener', { in: listener('in', port, [{ filters: [tcp('a')] }]) })
    const socket = connect(port, '127.0.0.1')
    const words = text(socket)
    await expect.poll(() => one.stat('tcp.a.downstream_cx_active')).toBe(1)
    one.discovery.sendAll('listener', {}, ['in'])
    await expect(ask(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    expect(one.stat('listener_manager.total_listeners_draining')).toBe(1)
    expect(await words).toBe('a:')
    await expect.poll(() => one.stat('listener_manager.total_listeners_draining')).toBe(0)
    expect(one.stat('listener_manager.listener_removed')).toBe(1)
  })

  it('that is removed before all are there is let go at once', async () => {
    const one = await bed()
    one.manager.startDynamic()
    const first = await freePort()
    one.discovery.sendAll('listener', {
      first: listener('first', first, [{ filters: [tcp('a')] }]),
      second: listener('second', await freePort(), [{ filters: [waits, tcp('a')] }]),
    })
    expect(await ask(first)).toBe('a:hello')
    one.discovery.sendAll('listener', {}, ['first'])
    expect(one.stat('listener_manager.total_listeners_draining')).toBe(0)
    await expect(ask(first)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    one.gate.open()
    await one.manager.initialized
    one.discovery.sendAll('listener', {}, ['second'])
    expect(one.stat('listener_manager.total_listeners_draining')).toBe(1)
  })

  it('may have the address of one that goes in the same answer', async () => {
    const one = await bed(['a', 'b'])
    const port = await freePort()
    one.manager.startDynamic()
    one.discovery.sendAll('listener', { first: listener('first', port, [{ filters: [tcp('a')] }]) })
    const refused = one.discovery.sendAll('listener', { second: listener('second', port, [{ filters: [tcp('b')] }]) }, [
      'first',
    ])
    expect([...refused]).toEqual([])
    expect(await ask(port)).toBe('b:hello')
  })
})
