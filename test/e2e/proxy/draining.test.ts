import { Agent, request as requestHttp } from 'node:http'
import { type ClientHttp2Session, connect as connectHttp2, constants } from 'node:http2'
import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { buildBootstrap } from '../../../src/cli/bootstrap-config.ts'
import { createProxy } from '../../../src/proxy/create-proxy.ts'
import { atTestEnd } from '../../support/at-test-end.ts'
import { freePorts } from '../../support/free-ports.ts'
import { eventually } from '../../support/poll.ts'
import { address, cluster, httpFilter, listen, startRoughHttp1, tcpFilter, toCluster } from './rough-bed.ts'
import { startScriptedXds } from './scripted-xds.ts'

const [httpPort = 0, tcpPort = 0] = await freePorts(2)

const httpListener = (version: number): object => ({
  name: 'http',
  address: address(httpPort),
  filter_chains: [
    {
      filters: [
        httpFilter({
          virtualHosts: [{ ...toCluster('app'), domains: ['*'] }],
          rest: { drain_timeout: '0.1s', server_name: `version-${version}` },
        }),
      ],
    },
  ],
})

const tcpListener = (version: number): object => ({
  name: 'tcp',
  address: address(tcpPort),
  filter_chains: [{ name: `version-${version}`, filters: [tcpFilter('echo')] }],
})

async function start(drainTimeMs: number) {
  const echo = await listen(createServer((socket) => void socket.on('error', () => undefined).pipe(socket)))
  const xds = await startScriptedXds()
  xds.set('cluster', { app: cluster('app', await startRoughHttp1(), false), echo: cluster('echo', echo, false) })
  xds.set('listener', { http: httpListener(0), tcp: tcpListener(0) })
  const proxy = await createProxy({
    bootstrap: buildBootstrap({ id: 'a', cluster: 'a', server: `127.0.0.1:${xds.port}`, delta: true, adminPort: 0 }),
    drainTimeMs,
  })
  atTestEnd(() => proxy.close())
  await proxy.live
  return { xds, proxy }
}

interface Load {
  readonly answered: number
  readonly failures: readonly string[]
  /** By the `server` header of the answers. */
  readonly servers: ReadonlySet<string>
  readonly told: number
  stop(): Promise<void>
}

/** Over kept-alive connections that heed `connection: close`. */
function startHttp1Load(path: string): Load {
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  const load = { answered: 0, failures: [] as string[], servers: new Set<string>(), told: 0 }
  const ask = (): Promise<void> =>
    new Promise((resolve) => {
      const sent = requestHttp({ agent, host: '127.0.0.1', port: httpPort, path }, (answer) => {
        if (answer.statusCode === 200) load.answered++
        else load.failures.push(String(answer.statusCode))
        load.servers.add(String(answer.headers['server']))
        if (answer.headers['connection'] === 'close') load.told++
        answer.resume()
        answer.once('end', resolve)
        answer.once('error', (error) => {
          load.failures.push(String(error))
          resolve()
        })
      })
      sent.once('error', (error) => {
        load.failures.push(String(error))
        resolve()
      })
      sent.end()
    })
  const end = keepAsking(ask)
  const stop = async (): Promise<void> => {
    await end()
    agent.destroy()
  }
  atTestEnd(stop)
  return Object.assign(load, { stop })
}

/** Eight at a time, each after the answer to the one before. Returns what ends it. */
function keepAsking(ask: () => Promise<void>): () => Promise<void> {
  const state = { isOver: false }
  const run = async (): Promise<void> => {
    while (!state.isOver) {
      await ask()
      await sleep(2)
    }
  }
  const all = Promise.all(Array.from({ length: 8 }, run))
  return async () => {
    state.isOver = true
    await all
  }
}

/** One connection at a time, that heeds GOAWAY. */
function startHttp2Load(path: string): Load {
  const load = { answered: 0, failures: [] as string[], servers: new Set<string>(), told: 0 }
  const sessions = new Set<ClientHttp2Session>()
  const open = (): ClientHttp2Session => {
    const session = connectHttp2(`http://127.0.0.1:${httpPort}`)
    session.on('error', () => undefined)
    session.on('goaway', () => {
      load.told++
      session.close()
    })
    sessions.add(session)
    session.once('close', () => sessions.delete(session))
    return session
  }
  let session = open()
  const ask = (): Promise<void> =>
    new Promise((resolve) => {
      if (session.closed || session.destroyed) session = open()
      const stream = session.request({ ':path': path })
      let status = 0
      stream.once('response', (headers) => {
        status = Number(headers[':status'])
        load.servers.add(String(headers['server']))
      })
      stream.resume()
      stream.on('error', () => undefined)
      stream.once('close', () => {
        if (status === 200 && stream.rstCode === 0) load.answered++
        // Nothing was done of it: it crossed with the GOAWAY, and is asked again.
        else if (stream.rstCode !== constants.NGHTTP2_REFUSED_STREAM) load.failures.push(`${status} ${stream.rstCode}`)
        resolve()
      })
    })
  const end = keepAsking(ask)
  const stop = async (): Promise<void> => {
    await end()
    for (const one of sessions) one.destroy()
  }
  atTestEnd(stop)
  return Object.assign(load, { stop })
}

/** Says something again and again, and hears it. */
function openTcp(): { readonly socket: Socket; readonly heard: () => number; readonly isClosed: () => boolean } {
  const socket = connect(tcpPort, '127.0.0.1')
  let heard = 0
  let isClosed = false
  socket.on('data', (chunk: Buffer) => {
    heard += chunk.length
    setTimeout(() => socket.write(chunk), 2)
  })
  socket.on('error', () => undefined)
  socket.once('close', () => {
    isClosed = true
  })
  socket.write('hello')
  atTestEnd(() => void socket.destroy())
  return { socket, heard: () => heard, isClosed: () => isClosed }
}

test('A listener that changes under load fails nobody, and tells all to come again', async () => {
  const { xds } = await start(60_000)
  const loads = [startHttp1Load('/ok'), startHttp1Load('/slowly'), startHttp2Load('/ok'), startHttp2Load('/slowly')]
  const tcp = openTcp()
  for (let version = 1; version <= 10; version++) {
    xds.set('listener', { http: httpListener(version), tcp: tcpListener(version) })
    await eventually(() => loads.every(({ servers }) => servers.has(`version-${version}`)), { timeoutMs: 10_000 })
  }
  const before = tcp.heard()
  await eventually(() => tcp.heard() > before)
  for (const load of loads) {
    await load.stop()
    expect(load.failures).toEqual([])
    expect(load.told).toBeGreaterThan(5)
  }
  expect(tcp.isClosed()).toBe(false)
})

test('A listener that is removed serves who is there, takes nobody else, and ends with its drain time', async () => {
  const { xds, proxy } = await start(800)
  const session = connectHttp2(`http://127.0.0.1:${httpPort}`)
  session.on('error', () => undefined)
  const goaway = new Promise<void>((resolve) => session.once('goaway', () => resolve()))
  atTestEnd(() => session.destroy())
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  atTestEnd(() => agent.destroy())
  const get = (): Promise<string> =>
    new Promise((resolve) => {
      const sent = requestHttp({ agent, host: '127.0.0.1', port: httpPort, path: '/ok' }, (answer) => {
        answer.resume()
        answer.once('end', () => resolve(`${answer.statusCode} ${answer.headers['connection']}`))
      })
      sent.once('error', (error: NodeJS.ErrnoException) => resolve(String(error.code)))
      sent.end()
    })
  const tcp = openTcp()
  expect(await get()).toBe('200 undefined')
  expect(await askOn(session)).toBe(200)
  await eventually(() => tcp.heard() > 0)
  xds.set('listener', {})
  await eventually(() => proxy.listenerPort('http') === undefined)
  expect(await askOn(session)).toBe(200)
  await goaway
  expect(await get()).toBe('200 close')
  expect(await get()).toBe('ECONNREFUSED')
  const before = tcp.heard()
  await eventually(() => tcp.heard() > before)
  await eventually(() => tcp.isClosed())
  await eventually(() => proxy.stats.gauges.get('listener_manager.total_listeners_draining')?.value === 0)
})

test('A proxy that closes under load ends everything', async () => {
  const { proxy } = await start(60_000)
  const loads = [startHttp1Load('/ok'), startHttp1Load('/silent'), startHttp2Load('/slowly')]
  const tcp = openTcp()
  await eventually(() => tcp.heard() > 0 && (loads[0]?.answered ?? 0) > 20 && (loads[2]?.answered ?? 0) > 20)
  await proxy.close()
  await eventually(() => tcp.isClosed())
  await Promise.all(loads.map((load) => load.stop()))
  const busy = (): readonly string[] =>
    [...proxy.stats.gauges]
      .filter(([name, { value }]) => /(cx|rq)_active$/.test(name) && value !== 0)
      .map(([name]) => name)
  await eventually(() => expect(busy()).toEqual([]))
})

function askOn(session: ClientHttp2Session): Promise<number> {
  return new Promise((resolve) => {
    const stream = session.request({ ':path': '/ok' })
    let status = 0
    stream.once('response', (headers) => {
      status = Number(headers[':status'])
    })
    stream.on('error', () => undefined)
    stream.resume()
    stream.once('close', () => resolve(status))
  })
}
