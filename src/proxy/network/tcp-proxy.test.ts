import { createHash, randomBytes } from 'node:crypto'
import { EventEmitter } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { connect as connectTls } from 'node:tls'
import { afterEach, describe, expect, it } from 'vitest'
import { createAuthority } from '../../../test/support/certificates.ts'
import { createManualDiscovery } from '../../../test/support/manual-discovery.ts'
import {
  type BedCluster,
  createBedCluster,
  createBedSecrets,
  createProxyContext,
} from '../../../test/support/proxy-bed.ts'
import type { TryOutcome } from '../cluster/host.ts'
import type { JsonObject } from '../config/field-reader.ts'
import { createListenerManager } from '../listener/listener-manager.ts'
import { createConnections } from '../upstream/connections.ts'
import { connectionLimit } from './connection-limit.ts'
import type { NetworkFilterKind } from './network-filter.ts'
import { networkRbac } from './network-rbac.ts'
import { sniCluster } from './sni-cluster.ts'
import { tcpProxy } from './tcp-proxy.ts'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function serve(talk: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    talk(socket)
  })
  ends.push(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

const any = (type: string, rest: JsonObject = {}): JsonObject => ({ '@type': `type.googleapis.com/${type}`, ...rest })
const filter = (type: string, rest: JsonObject = {}): JsonObject => ({ name: type, typed_config: any(type, rest) })
const tcp = (rest: JsonObject): JsonObject =>
  filter('envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', { stat_prefix: 'x', ...rest })

interface Bed {
  readonly port: number
  readonly clusters: ReadonlyMap<string, BedCluster>
  /** What the access log says of each connection that is over. */
  readonly log: readonly string[]
  readonly told: TryOutcome[]
  stat(name: string): number | undefined
}

/** A listener with these filters, in front of clusters of one host each. */
async function bed(
  filters: readonly JsonObject[],
  ports: Readonly<Record<string, number>>,
  {
    chain = {},
    random = Math.random,
    cluster = {},
  }: { chain?: JsonObject; random?: () => number; cluster?: JsonObject } = {},
): Promise<Bed> {
  const log: string[] = []
  const stdout = new Writable({
    write(chunk: Buffer, _, done) {
      log.push(...chunk.toString().trim().split('\n'))
      done()
    },
  })
  const context = createProxyContext({ random, stdout })
  const clusters = new Map(
    Object.entries(ports).map(([name, port]) => [name, createBedCluster(context, port, { ...cluster, name })]),
  )
  const told: TryOutcome[] = []
  for (const { host } of clusters.values()) host.report = (outcome) => void told.push(outcome)
  const secrets = createBedSecrets()
  const manager = createListenerManager({
    context,
    clusters: { get: (name) => clusters.get(name), all: clusters },
    connections: createConnections(context, secrets),
    discovery: createManualDiscovery(),
    secrets,
    networkFilters: [tcpProxy, connectionLimit, networkRbac, sniCluster] as readonly unknown[] as NetworkFilterKind[],
  })
  ends.push(() => {
    for (const { host } of clusters.values()) host.remove()
    return manager.close()
  })
  manager.applyStatic([
    {
      name: 'in',
      address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
      filter_chains: [{ ...chain, filters }],
    },
  ])
  return {
    port: manager.listeners.get('in')?.address.port ?? 0,
    clusters,
    log,
    told,
    stat: (name) => (context.stats.counters.get(name) ?? context.stats.gauges.get(name))?.value,
  }
}

const megabytes = process.env['FAIRLEAD_TEST_LONG'] ? 100 : 20

const logged: JsonObject = {
  access_log: [
    {
      name: 'stdout',
      typed_config: any('envoy.extensions.access_loggers.stream.v3.StdoutAccessLog', {
        log_format: {
          text_format_source: {
            inline_string:
              '%RESPONSE_FLAGS% %UPSTREAM_CLUSTER% %BYTES_RECEIVED% %BYTES_SENT% %UPSTREAM_TRANSPORT_FAILURE_REASON%\n',
          },
        },
      }),
    },
  ],
}

async function ask(port: number, words = 'hello'): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  socket.end(words)
  return text(socket).catch(() => '')
}

const refusedPort = async (): Promise<number> => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

describe('a TCP proxy', () => {
  it(`passes ${megabytes} MB each way, byte for byte`, { timeout: 60_000 }, async () => {
    const port = await serve((socket) => socket.pipe(socket))
    const one = await bed([tcp({ cluster: 'echo', ...logged })], { echo: port })
    const block = randomBytes(1 << 20)
    const sent = createHash('sha256')
    const received = createHash('sha256')
    const socket = connect({ port: one.port, host: '127.0.0.1', allowHalfOpen: true })
    let count = 0
    const over = new Promise((resolve) => socket.once('close', resolve))
    socket.on('data', (data: Buffer) => {
      received.update(data)
      count += data.length
    })
    for (let index = 0; index < megabytes; index++) {
      block.writeUInt32BE(index, 0)
      const copy = Buffer.from(block)
      sent.update(copy)
      if (!socket.write(copy)) await new Promise((resolve) => socket.once('drain', resolve))
    }
    socket.end()
    await over
    expect(count).toBe(megabytes << 20)
    expect(received.digest('hex')).toBe(sent.digest('hex'))
    await expect.poll(() => one.log).toEqual([`- echo ${count} ${count} -`])
    expect(one.stat('tcp.x.downstream_cx_rx_bytes_total')).toBe(count)
    expect(one.stat('cluster.echo.upstream_cx_active')).toBe(0)
  })

  it('lets either side end first, and the other go on', async () => {
    const events = new EventEmitter()
    const port = await serve((socket) => {
      socket.end('bye')
      socket.on('data', (data) => events.emit('data', data.toString()))
      socket.on('end', () => events.emit('end'))
    })
    const one = await bed([tcp({ cluster: 'early' })], { early: port })
    const socket = connect({ port: one.port, host: '127.0.0.1', allowHalfOpen: true })
    const words: string[] = []
    socket.on('data', (data: Buffer) => words.push(data.toString()))
    await new Promise((resolve) => socket.once('end', resolve))
    expect(words).toEqual(['bye'])
    const heard = new Promise((resolve) => events.once('data', resolve))
    socket.write('still here')
    expect(await heard).toBe('still here')
    const ended = new Promise((resolve) => events.once('end', resolve))
    socket.end()
    await ended
    await expect.poll(() => one.stat('tcp.x.downstream_cx_active')).toBe(0)
  })

  it('does not take from one side what the other does not', async () => {
    const port = await serve((socket) => socket.pause())
    const one = await bed([tcp({ cluster: 'slow' })], { slow: port })
    const socket = connect(one.port, '127.0.0.1')
    socket.on('error', () => undefined)
    const block = Buffer.alloc(1 << 20)
    let sent = 0
    while (sent < 200 && (socket.write(block) || socket.writableLength < 3 << 20)) {
      sent++
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(sent).toBeLessThan(200)
    socket.destroy()
  })

  it('says why there is no connection', async () => {
    const refused = await refusedPort()
    const without = await bed([tcp({ cluster: 'missing', ...logged })], {})
    expect(await ask(without.port)).toBe('')
    await expect.poll(() => without.log).toEqual(['NR missing 0 0 -'])
    expect(without.stat('tcp.x.downstream_cx_no_route')).toBe(1)
    const down = await bed([tcp({ cluster: 'down', max_connect_attempts: 3, ...logged })], { down: refused })
    expect(await ask(down.port)).toBe('')
    await expect.poll(() => down.log).toEqual(['UF,URX down 0 0 delayed_connect_error:_Connection_refused'])
    expect(down.stat('cluster.down.upstream_cx_connect_fail')).toBe(3)
    expect(down.stat('cluster.down.upstream_cx_connect_attempts_exceeded')).toBe(1)
    expect(down.told).toEqual([{ failure: 'connect' }, { failure: 'connect' }, { failure: 'connect' }])
    const nobody = await bed([tcp({ cluster: 'nobody', ...logged })], { nobody: refused })
    Object.assign(nobody.clusters.get('nobody') as object, { chooseHost: () => undefined })
    expect(await ask(nobody.port)).toBe('')
    await expect.poll(() => nobody.log).toEqual(['UH nobody 0 0 -'])
  })

  it('chooses among clusters by their weights', async () => {
    const ports = { a: await serve((socket) => socket.end('a')), b: await serve((socket) => socket.end('b')) }
    let share = 0
    const clusters = [
      { name: 'a', weight: 1 },
      { name: 'b', weight: 3 },
    ]
    const one = await bed([tcp({ weighted_clusters: { clusters } })], ports, { random: () => share })
    const answers: string[] = []
    for (share of [0, 0.24, 0.26, 0.99]) answers.push(await ask(one.port))
    expect(answers).toEqual(['a', 'a', 'b', 'b'])
  })

  it('ends a connection on which nothing passes for long', async () => {
    const port = await serve((socket) => socket.write('hi'))
    const one = await bed([tcp({ cluster: 'a', idle_timeout: '0.1s' })], { a: port })
    const socket = connect({ port: one.port, host: '127.0.0.1' })
    expect(await text(socket)).toBe('hi')
    expect(one.stat('tcp.x.idle_timeout')).toBe(1)
    await expect.poll(() => one.stat('cluster.a.upstream_cx_active')).toBe(0)
  })

  it('tells the host by the PROXY protocol who the client is', async () => {
    const port = await serve((socket) => socket.pipe(socket))
    const type = 'envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport'
    const raw = { name: 'raw', typed_config: any('envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer') }
    const one = await bed(
      [tcp({ cluster: 'a' })],
      { a: port },
      {
        cluster: {
          transport_socket: {
            name: 'pp',
            typed_config: any(type, { config: { version: 'V1' }, transport_socket: raw }),
          },
        },
      },
    )
    const socket = connect({ port: one.port, host: '127.0.0.1', allowHalfOpen: true })
    socket.end('hello')
    const words = await text(socket)
    expect(words).toMatch(new RegExp(`^PROXY TCP4 127\\.0\\.0\\.1 127\\.0\\.0\\.1 \\d+ ${one.port}\r\nhello$`))
  })
})

describe('before a TCP proxy', () => {
  it('connections are closed of which there are too many', async () => {
    const port = await serve((socket) => socket.pipe(socket))
    const limit = filter('envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit', {
      stat_prefix: 'one',
      max_connections: '1',
    })
    const one = await bed([limit, tcp({ cluster: 'a' })], { a: port })
    const first = connect({ port: one.port, host: '127.0.0.1', allowHalfOpen: true })
    const words = text(first)
    await expect.poll(() => one.stat('connection_limit.one.active_connections')).toBe(1)
    expect(await ask(one.port)).toBe('')
    expect(one.stat('connection_limit.one.limited_connections')).toBe(1)
    first.end('hello')
    expect(await words).toBe('hello')
    await expect.poll(() => one.stat('connection_limit.one.active_connections')).toBe(0)
    expect(await ask(one.port)).toBe('hello')
  })

  it.each([
    ['ALLOW', '127.0.0.0', 'hello'],
    ['ALLOW', '10.0.0.0', ''],
    ['DENY', '127.0.0.0', ''],
  ])('rules decide who may: %s %s/8', async (action, address_prefix, answer) => {
    const port = await serve((socket) => socket.pipe(socket))
    const rbac = filter('envoy.extensions.filters.network.rbac.v3.RBAC', {
      stat_prefix: 'who',
      rules: {
        action,
        policies: {
          net: { permissions: [{ any: true }], principals: [{ direct_remote_ip: { address_prefix, prefix_len: 8 } }] },
        },
      },
    })
    const one = await bed([rbac, tcp({ cluster: 'a' })], { a: port })
    expect(await ask(one.port)).toBe(answer)
    expect(one.stat(`who.rbac.${answer === '' ? 'denied' : 'allowed'}`)).toBe(1)
  })

  it('the name that TLS asks for may say the cluster', async () => {
    const authority = await createAuthority()
    const { certificate, key } = await authority.issue({ name: 'edge' })
    const inline = (content: string): JsonObject => ({ inline_string: content })
    const one = await bed(
      [filter('envoy.extensions.filters.network.sni_cluster.v3.SniCluster'), tcp({ cluster: 'a' })],
      { a: await serve((socket) => socket.end('a')), 'b.example': await serve((socket) => socket.end('b')) },
      {
        chain: {
          transport_socket: {
            name: 'tls',
            typed_config: any('envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext', {
              common_tls_context: {
                tls_certificates: [{ certificate_chain: inline(certificate), private_key: inline(key) }],
              },
            }),
          },
        },
      },
    )
    const asking = (servername?: string): Promise<string> =>
      text(
        connectTls({ port: one.port, host: '127.0.0.1', rejectUnauthorized: false, ...(servername && { servername }) }),
      )
    expect(await asking()).toBe('a')
    expect(await asking('b.example')).toBe('b')
  })
})
