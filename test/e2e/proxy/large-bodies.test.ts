import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer as createHttp1Server, request as requestHttp } from 'node:http'
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import type { Duplex, Readable, Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import { atTestEnd } from '../../support/at-test-end.ts'
import { freePorts } from '../../support/free-ports.ts'
import { eventually } from '../../support/poll.ts'
import { tempDir } from '../../support/temp.ts'
import { address, bootstrapOf, cluster, httpFilter, listen, tcpFilter, toCluster } from './rough-bed.ts'

const isLong = process.env['FAIRLEAD_TEST_LONG'] === '1'
const megabyte = 1024 * 1024
const wholeBytes = (isLong ? 1024 : 64) * megabyte

/** What one pause may leave between the two ends: buffers of the kernel on both sides, windows, and what streams hold. */
const inFlightAtMost = 24 * megabyte
const growthAtMost = 64 * megabyte

/** Sends that much as fast as it may, and counts what it could get rid of. */
function pour(sink: Writable, bytes: number): { readonly sent: () => number } {
  const chunk = Buffer.alloc(64 * 1024, 7)
  let sent = 0
  const go = (): void => {
    while (sent < bytes && !sink.destroyed) {
      sent += chunk.length
      if (!sink.write(chunk)) return
    }
    if (sent >= bytes) sink.end()
  }
  sink.on('drain', go)
  go()
  return { sent: () => sent - sink.writableLength }
}

/** Counts what comes; until `open` is called it takes a little, and then nothing. */
function sip(source: Readable): { readonly read: () => number; open(): void; readonly ended: Promise<void> } {
  let read = 0
  let isOpen = false
  source.on('data', (chunk: Buffer) => {
    read += chunk.length
    if (!isOpen && read > megabyte) source.pause()
  })
  const ended = new Promise<void>((resolve) => source.once('end', () => resolve()))
  return {
    read: () => read,
    open() {
      isOpen = true
      source.resume()
    },
    ended,
  }
}

type Poured = ReturnType<typeof pour>
type Sipped = ReturnType<typeof sip>

/** What an upstream does with the next request. */
interface Upstream {
  onRequest: (request: Readable, respond: () => Writable) => void
}

async function startUpstreams(upstream: Upstream) {
  const http1 = createHttp1Server((request, response) => {
    upstream.onRequest(request, () => response)
  })
  const http2 = createHttp2Server()
  http2.on('stream', (stream) => {
    stream.on('error', () => undefined)
    upstream.onRequest(stream, () => {
      stream.respond({ ':status': 200 })
      return stream
    })
  })
  const tcp = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined)
    upstream.onRequest(socket, () => socket)
  })
  return { http1: await listen(http1), http2: await listen(http2), tcp: await listen(tcp) }
}

/** `fairlead proxy` as a process of its own. */
async function startProxyProcess(upstream: Upstream) {
  const ports = await startUpstreams(upstream)
  const [httpPort = 0, tcpPort = 0] = await freePorts(2)
  const filters = [
    httpFilter({
      virtualHosts: ['http1', 'http2'].map((name) => toCluster(name, { timeout: '0s' })),
      rest: { stream_idle_timeout: '0s' },
    }),
  ]
  const bootstrap = bootstrapOf(
    [
      { name: 'http', address: address(httpPort), filter_chains: [{ filters }] },
      { name: 'tcp', address: address(tcpPort), filter_chains: [{ filters: [tcpFilter('tcp')] }] },
    ],
    [cluster('http1', ports.http1, false), cluster('http2', ports.http2, true), cluster('tcp', ports.tcp, false)],
  )
  const file = join(tempDir(), 'bootstrap.json')
  writeFileSync(file, JSON.stringify(bootstrap))
  const main = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url))
  const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), main, 'proxy', '-c', file], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let log = ''
  child.stderr.on('data', (chunk: Buffer) => {
    log += chunk.toString()
  })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  atTestEnd(async () => {
    child.kill('SIGKILL')
    await ended
  })
  await eventually(() => log.includes('is live'), { timeoutMs: 20_000 })
  const rss = (): number =>
    Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1] ?? 0) * 1024
  return { httpPort, tcpPort, rss }
}

/** A request whose body the caller writes, and whose response it reads. */
type Client = (port: number, host: string) => { readonly body: Writable; readonly response: Promise<Readable> }

const overHttp1: Client = (port, host) => {
  const sent = requestHttp({ host: '127.0.0.1', port, method: 'POST', path: '/', headers: { host }, agent: false })
  sent.on('error', () => undefined)
  sent.flushHeaders()
  return { body: sent, response: new Promise((resolve) => sent.once('response', resolve)) }
}

const overHttp2: Client = (port, host) => {
  const session = connectHttp2(`http://127.0.0.1:${port}`)
  session.on('error', () => undefined)
  atTestEnd(() => session.destroy())
  const stream = session.request({ ':method': 'POST', ':authority': host, ':path': '/' })
  stream.on('error', () => undefined)
  return { body: stream, response: new Promise((resolve) => stream.once('response', () => resolve(stream))) }
}

const overTcp: Client = (port) => {
  const socket: Duplex = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  socket.on('error', () => undefined)
  atTestEnd(() => void socket.destroy())
  return { body: socket, response: Promise.resolve(socket) }
}

const ways: readonly (readonly [string, Client, string])[] = [
  ['HTTP/1.1 to HTTP/1.1', overHttp1, 'http1'],
  ['HTTP/1.1 to HTTP/2', overHttp1, 'http2'],
  ['HTTP/2 to HTTP/1.1', overHttp2, 'http1'],
  ['HTTP/2 to HTTP/2', overHttp2, 'http2'],
  ['TCP to TCP', overTcp, 'tcp'],
]

/** Nothing more moves while nobody reads; then all of it comes, and the proxy has not grown. */
async function expectFlat(poured: Poured, sipped: Sipped, rss: () => number, before: number): Promise<void> {
  await eventually(() => sipped.read() > megabyte)
  let last = -1
  // Until the sender stands still.
  while (poured.sent() !== last) {
    last = poured.sent()
    await sleep(150)
  }
  expect(poured.sent()).toBeLessThan(wholeBytes)
  expect(poured.sent() - sipped.read()).toBeLessThan(inFlightAtMost)
  sipped.open()
  let most = rss()
  const watch = setInterval(() => {
    most = Math.max(most, rss())
  }, 50)
  await sipped.ended
  clearInterval(watch)
  expect(sipped.read()).toBe(wholeBytes)
  expect(most - before).toBeLessThan(growthAtMost)
}

describe('A body as large as one likes', () => {
  const upstream: Upstream = { onRequest: () => undefined }
  let proxy: Awaited<ReturnType<typeof startProxyProcess>>
  beforeAll(async () => {
    proxy = await startProxyProcess(upstream)
  })

  test.each(ways)('streams up, %s', { timeout: 240_000 }, async (_, client, host) => {
    const { httpPort, tcpPort, rss } = proxy
    const before = rss()
    const arrived = new Promise<{ readonly request: Readable; readonly respond: () => Writable }>((resolve) => {
      upstream.onRequest = (request, respond) => resolve({ request, respond })
    })
    const { body, response } = client(host === 'tcp' ? tcpPort : httpPort, host)
    const poured = pour(body, wholeBytes)
    const { request, respond } = await arrived
    await expectFlat(poured, sip(request), rss, before)
    respond().end('thanks')
    const answer = sip(await response)
    answer.open()
    await answer.ended
    expect(answer.read()).toBe(6)
  })

  test.each(ways)('streams down, %s', { timeout: 240_000 }, async (_, client, host) => {
    const { httpPort, tcpPort, rss } = proxy
    const before = rss()
    const poured = new Promise<Poured>((resolve) => {
      upstream.onRequest = (request, respond) => {
        request.resume()
        resolve(pour(respond(), wholeBytes))
      }
    })
    const { body, response } = client(host === 'tcp' ? tcpPort : httpPort, host)
    body.end()
    await expectFlat(await poured, sip(await response), rss, before)
  })
})
