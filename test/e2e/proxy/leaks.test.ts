import { spawn } from 'node:child_process'
import { request as requestHttp } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { buildBootstrap } from '../../../src/cli/bootstrap-config.ts'
import { createProxy } from '../../../src/proxy/create-proxy.ts'
import { atTestEnd } from '../../support/at-test-end.ts'
import { createAuthority } from '../../support/certificates.ts'
import { eventually } from '../../support/poll.ts'
import {
  address,
  askHttp2,
  httpFilter,
  logPath,
  roughBootstrap,
  startRoughHttp1,
  startRoughHttp2,
  tcpFilter,
  toCluster,
  typed,
} from './rough-bed.ts'
import { startScriptedXds } from './scripted-xds.ts'

const isLong = process.env['FAIRLEAD_TEST_LONG'] === '1'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** In bytes, of what is reachable. */
async function heapUsed(): Promise<number> {
  for (let turn = 0; turn < 4; turn++) {
    await sleep(20)
    collectGarbage()
  }
  return process.memoryUsage().heapUsed
}

/** Sockets and servers that are open in this process. */
const openHandles = (): number =>
  process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap' || name === 'TCPServerWrap').length

async function startUpstreams() {
  const ports = {
    http1: await startRoughHttp1(),
    http2: await startRoughHttp2(),
    narrow: 1,
    well1: 1,
    well2: 1,
  }
  const authority = await createAuthority()
  return { ports, certificate: await authority.issue({ name: 'localhost' }) }
}

const get = (port: number, path = '/ok'): Promise<number> =>
  new Promise((resolve, reject) => {
    const sent = requestHttp({ host: '127.0.0.1', port, path, agent: false, headers: { host: 'http1' } }, (answer) => {
      answer.resume()
      answer.once('end', () => resolve(answer.statusCode ?? 0))
    })
    sent.once('error', reject)
    sent.end()
  })

test('Proxies that have come and gone leave nothing in their process', { timeout: 120_000 }, async () => {
  const { ports, certificate } = await startUpstreams()
  const live = async (): Promise<void> => {
    const proxy = await createProxy({ bootstrap: roughBootstrap(ports, certificate, logPath('access')) })
    await proxy.live
    const port = proxy.listenerPort('plain') as number
    expect(await get(port)).toBe(200)
    expect((await askHttp2(port, { ':authority': 'http2' })).status).toBe(200)
    // In the midst of something.
    const waiting = get(port, '/silent').catch(() => 0)
    const silent = connect(proxy.listenerPort('tls') as number, '127.0.0.1').on('error', () => undefined)
    await new Promise((resolve) => silent.once('connect', resolve))
    await sleep(5)
    await proxy.close()
    expect(await waiting).toBe(0)
    silent.destroy()
  }
  for (let count = 0; count < 20; count++) await live()
  const handles = openHandles()
  const heap = await heapUsed()
  for (let count = 0; count < (isLong ? 200 : 60); count++) await live()
  await eventually(() => expect(openHandles()).toBeLessThanOrEqual(handles))
  expect((await heapUsed()) - heap).toBeLessThan(8_000_000)
})

test.each(['sotw', 'delta'] as const)(
  'What a control plane has removed is forgotten (%s)',
  { timeout: 120_000 },
  async (protocol) => {
    const { ports, certificate } = await startUpstreams()
    const xds = await startScriptedXds()
    const proxy = await createProxy({
      bootstrap: buildBootstrap({
        id: 'a',
        cluster: 'a',
        server: `127.0.0.1:${xds.port}`,
        delta: protocol === 'delta',
        adminPort: 0,
      }),
      drainTimeMs: 20,
    })
    atTestEnd(() => proxy.close())
    const put = (round: number): void => {
      const name = `part-${round}`
      xds.set('secret', {
        [name]: {
          name,
          tls_certificate: {
            certificate_chain: { inline_string: certificate.certificate },
            private_key: { inline_string: certificate.key },
          },
        },
      })
      xds.set('endpoint', {
        [name]: {
          cluster_name: name,
          endpoints: [{ lb_endpoints: [{ endpoint: { address: address(ports.http1) } }] }],
        },
      })
      xds.set('route', { [name]: { name, virtual_hosts: [{ ...toCluster(name), domains: ['*'] }] } })
      xds.set('cluster', {
        [name]: { name, type: 'EDS', eds_cluster_config: { eds_config: ads }, connect_timeout: '1s' },
      })
      const manager = httpFilter({
        virtualHosts: [],
        rest: { route_config: undefined, rds: { config_source: ads, route_config_name: name }, stat_prefix: name },
      })
      xds.set('listener', {
        [name]: { name, address: address(0), filter_chains: [{ filters: [manager] }] },
        [`${name}-tls`]: {
          name: `${name}-tls`,
          address: address(0),
          filter_chains: [
            {
              filters: [manager],
              transport_socket: {
                name: 'tls',
                typed_config: typed('envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext', {
                  common_tls_context: { tls_certificate_sds_secret_configs: [{ name, sds_config: ads }] },
                }),
              },
            },
          ],
        },
        [`${name}-tcp`]: { name: `${name}-tcp`, address: address(0), filter_chains: [{ filters: [tcpFilter(name)] }] },
      })
    }
    const rounds = isLong ? 250 : 60
    const play = async (round: number): Promise<void> => {
      put(round)
      const name = `part-${round}`
      await eventually(() => ['', '-tls', '-tcp'].every((end) => proxy.listenerPort(name + end) !== undefined), {
        intervalMs: 2,
      })
      expect(await get(proxy.listenerPort(name) as number)).toBe(200)
    }
    const clear = async (): Promise<void> => {
      for (const type of ['listener', 'cluster', 'route', 'endpoint', 'secret'] as const) xds.set(type, {})
      await eventually(() => proxy.listeners.listeners.size === 0 && proxy.clusters.all.size === 1)
      await eventually(() => proxy.stats.gauges.get('listener_manager.total_listeners_draining')?.value === 0)
    }
    for (let round = 0; round < 10; round++) await play(round)
    await clear()
    const names = statNames(proxy.stats)
    const heap = await heapUsed()
    for (let round = 10; round < rounds; round++) await play(round)
    await clear()
    expect(xds.refusals).toEqual([])
    await eventually(() => expect(statNames(proxy.stats)).toEqual(names))
    await eventually(async () => expect((await heapUsed()) - heap).toBeLessThan(6_000_000))
  },
)

test('Connections that have come and gone are forgotten', { timeout: 120_000 }, async () => {
  const { ports, certificate } = await startUpstreams()
  const proxy = await createProxy({ bootstrap: roughBootstrap(ports, certificate, logPath('access')) })
  atTestEnd(() => proxy.close())
  await proxy.live
  const port = proxy.listenerPort('plain') as number
  const many = async (count: number): Promise<void> => {
    let left = count
    const one = async (): Promise<void> => {
      while (left-- > 0) expect(await get(port)).toBe(200)
    }
    await Promise.all(Array.from({ length: 16 }, one))
  }
  await many(500)
  const heap = await heapUsed()
  const handles = openHandles()
  await many(isLong ? 10_000 : 2000)
  await eventually(() => expect(openHandles()).toBeLessThan(handles + 10))
  await eventually(async () => expect((await heapUsed()) - heap).toBeLessThan(4_000_000))
})

test('A process ends by itself when its proxy has closed', async () => {
  const { ports, certificate } = await startUpstreams()
  const source = `
    const { createProxy } = await import(${JSON.stringify(fileURLToPath(new URL('../../../src/proxy/create-proxy.ts', import.meta.url)))})
    const { connect } = await import('node:net')
    const proxy = await createProxy({ bootstrap: JSON.parse(process.env.BOOTSTRAP) })
    await proxy.live
    for (const name of ['plain', 'tls', 'tcp']) {
      const socket = connect(proxy.listenerPort(name), '127.0.0.1')
      socket.on('error', () => undefined)
      // Of TLS nothing is to be heard.
      if (name !== 'tls') socket.write('GET /silent HTTP/1.1\\r\\nhost: http1\\r\\n\\r\\n')
    }
    await new Promise((resolve) => setTimeout(resolve, 200))
    await proxy.close()
    console.log('closed')
  `
  const child = spawn(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), '--input-type=module', '--eval', source],
    {
      env: {
        ...process.env,
        BOOTSTRAP: JSON.stringify(roughBootstrap(ports, certificate, logPath('access'))),
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  atTestEnd(() => void child.kill('SIGKILL'))
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
  const closed = new Promise<void>((resolve) => child.stdout.once('data', () => resolve()))
  await Promise.race([closed, ended])
  expect(await Promise.race([ended, sleep(5_000).then(() => 'it still runs')])).toBe(0)
})

const ads = { ads: {}, resource_api_version: 'V3' }

function statNames(stats: {
  readonly counters: ReadonlyMap<string, unknown>
  readonly gauges: ReadonlyMap<string, unknown>
  readonly histograms: ReadonlyMap<string, unknown>
  readonly texts: ReadonlyMap<string, unknown>
}): readonly string[] {
  return [stats.counters, stats.gauges, stats.histograms, stats.texts].flatMap((of) => [...of.keys()]).sort()
}
