import { Agent, request as requestHttp } from 'node:http'
import { connect as connectHttp2, constants } from 'node:http2'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { createProxy, type Proxy } from '../../../src/proxy/create-proxy.ts'
import { atTestEnd } from '../../support/at-test-end.ts'
import { createAuthority } from '../../support/certificates.ts'
import { startEnvoy } from '../../support/envoy.ts'
import { describeWithEnvoy } from '../../support/needs.ts'
import { eventually } from '../../support/poll.ts'
import { createRandom, type Random, seedsOf } from '../../support/random.ts'
import {
  askHttp2,
  http1Deeds,
  http2Deeds,
  loggedOf,
  logPath,
  request,
  roughBootstrap,
  startRoughHttp1,
  startRoughHttp2,
  tell,
} from './rough-bed.ts'

const isLong = process.env['FAIRLEAD_TEST_LONG'] === '1'

async function startBed() {
  const ports = {
    http1: await startRoughHttp1(),
    http2: await startRoughHttp2(),
    narrow: await startRoughHttp2(1),
    well1: await startRoughHttp1(),
    well2: await startRoughHttp2(),
  }
  const authority = await createAuthority()
  const certificate = await authority.issue({ name: 'localhost' })
  const log = logPath('proxy')
  const proxy = await createProxy({ bootstrap: roughBootstrap(ports, certificate, log) })
  atTestEnd(() => proxy.close())
  await proxy.live
  const port = proxy.listenerPort('plain') as number
  return { ports, certificate, proxy, port, tlsPort: proxy.listenerPort('tls') as number, log }
}

/** Ports of one proxy. */
interface Place {
  readonly plain: number
  readonly tls: number
  readonly tcp: number
}

/** What a client does, and what it sees of the answer: only what both proxies must agree on. */
type Scene = (place: Place, id: string) => Promise<string>

/** Such that nothing ends them but somebody's patience, or the client. */
const lasting = new Set(['endless', 'begun, then silent', 'silent'])

const upstreamScenes: ReadonlyMap<string, Scene> = new Map(
  Object.entries({ http1: http1Deeds, http2: http2Deeds }).flatMap(([host, deeds]) =>
    Object.keys(deeds)
      .filter((name) => !lasting.has(name))
      .flatMap((name): (readonly [string, Scene])[] => [
        [
          `${host}: ${name}`,
          async ({ plain }, id) => {
            const told = await tell(plain, request(host, name, id, 'connection: close\r\n'))
            return `${classOf(told.status)} ${told.end}`
          },
        ],
        [
          `${host}: ${name}, to a HEAD`,
          async ({ plain }, id) => {
            const told = await tell(plain, request(host, name, id, 'connection: close\r\n', 'HEAD'))
            return `${classOf(told.status)} ${told.end}`
          },
        ],
        [
          `${host}: ${name}, to a POST`,
          async ({ plain }, id) => {
            const rest = 'connection: close\r\ncontent-length: 3\r\n'
            const told = await tell(plain, `${request(host, name, id, rest, 'POST')}abc`)
            return `${classOf(told.status)} ${told.end}`
          },
        ],
        [
          `${host}: ${name}, over HTTP/2`,
          async ({ plain }, id) => {
            const path = `/${encodeURIComponent(name)}`
            const told = await askHttp2(plain, { ':authority': host, ':path': path, 'x-scene': id })
            return `${classOf(told.status)} ${told.end}`
          },
        ],
      ]),
  ),
)

const clientScenes: ReadonlyMap<string, Scene> = new Map<string, Scene>([
  [
    'a client that goes before its request is whole',
    async ({ plain }, id) => {
      await tell(plain, `${request('http1', 'ok', id, 'content-length: 10\r\n', 'POST')}abc`, {
        act: (socket) => setTimeout(() => socket.destroy(), 50),
      })
      return 'gone'
    },
  ],
  [
    'a client that resets before its request is whole',
    async ({ plain }, id) => {
      await tell(plain, `${request('http1', 'ok', id, 'transfer-encoding: chunked\r\n', 'POST')}3\r\nabc\r\n`, {
        act: (socket) => setTimeout(() => socket.resetAndDestroy(), 50),
      })
      return 'gone'
    },
  ],
  [
    'a client that goes while it waits',
    async ({ plain }, id) => {
      await tell(plain, request('http1', 'silent', id), { act: (socket) => setTimeout(() => socket.destroy(), 50) })
      return 'gone'
    },
  ],
  [
    'a client that goes in the midst of its response',
    async ({ plain }, id) => {
      await tell(plain, request('http1', 'endless', id), { until: ({ length }) => length > 50_000 })
      return 'gone'
    },
  ],
  [
    'a client that closes its half while it waits',
    async ({ plain }, id) => {
      const told = await tell(plain, request('http1', 'silent', id), {
        act: (socket) => setTimeout(() => socket.end(), 50),
      })
      return classOf(told.status)
    },
  ],
  [
    'a broken chunk of a request',
    async ({ plain }, id) => {
      const told = await tell(plain, `${request('http1', 'ok', id, 'transfer-encoding: chunked\r\n', 'POST')}zz\r\n`)
      return `${classOf(told.status)} ${told.end}`
    },
  ],
  [
    'a client that waits for leave',
    async ({ plain }, id) => {
      const rest = 'expect: 100-continue\r\ncontent-length: 3\r\nconnection: close\r\n'
      const told = await tell(plain, request('http1', 'ok', id, rest, 'POST'), {
        act: (socket) => socket.once('data', () => socket.write('abc')),
      })
      return `${classOf(told.status)} ${told.end} ${told.text.startsWith('HTTP/1.1 100')}`
    },
  ],
  [
    'a body of which nobody reads more',
    async ({ plain }, id) => {
      const rest = 'content-length: 1000\r\n'
      const told = await tell(plain, `${request('http1', 'ok?early', id, rest, 'POST').replace('%3F', '?')}abc`)
      return classOf(told.status)
    },
  ],
  [
    'an upstream that never answers',
    async ({ plain }, id) =>
      classOf((await tell(plain, request('http1', 'silent', id, 'connection: close\r\n'))).status),
  ],
  [
    'an upstream of HTTP/2 that never answers',
    async ({ plain }, id) =>
      classOf((await askHttp2(plain, { ':authority': 'http2', ':path': '/silent', 'x-scene': id })).status),
  ],
  [
    'an upstream that falls silent',
    async ({ plain }, id) => {
      const path = encodeURI('/begun, then silent')
      const told = await askHttp2(plain, { ':authority': 'http1', ':path': path, 'x-scene': id })
      return `${classOf(told.status)} ${told.end}`
    },
  ],
  [
    'an upstream that does not speak HTTP/2',
    async ({ plain }, id) => classOf((await tell(plain, request('deaf', 'ok', id, 'connection: close\r\n'))).status),
  ],
  [
    'a stream that is given up in the midst of its response',
    async ({ plain }, id) => {
      const path = '/endless'
      await askHttp2(plain, { ':authority': 'http2', ':path': path, 'x-scene': id }, { abortAfter: 50_000 })
      return 'gone'
    },
  ],
  [
    'many at a time where the upstream takes one',
    async ({ plain }, id) => {
      const all = Array.from({ length: 8 }, () =>
        askHttp2(plain, { ':authority': 'narrow', ':path': '/ok', 'x-scene': id }),
      )
      return (await Promise.all(all)).map(({ status }) => status).join(' ')
    },
  ],
  [
    'a handshake of TLS in plain text',
    async ({ plain }) => classOf((await tell(plain, '\x16\x03\x01\x00\x05hello')).status),
  ],
  [
    'plain text in place of a handshake',
    async ({ tls }) =>
      (await tell(tls, request('http1', 'ok', 'none'))).text.length === 0 ? 'no answer' : 'something',
  ],
  [
    'nothing in place of a handshake',
    async ({ tls }) => (await tell(tls, '', { act: (socket) => setTimeout(() => socket.end(), 30) })).text,
  ],
  [
    'the beginning of HTTP/2, and garbage',
    async ({ plain }) => (await tell(plain, `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${'\xff'.repeat(40)}`)).end,
  ],
  ['headers that do not come', async ({ plain }) => classOf((await tell(plain, 'GET / HTTP/1.1\r\nhost:')).status)],
  [
    'TCP that is cut',
    async ({ tcp }) => {
      const told = await tell(tcp, request('http1', 'cut length', 'none'))
      return `${told.status} ${told.end}`
    },
  ],
  [
    'TCP of which the client closes its half',
    async ({ tcp }) => {
      const told = await tell(tcp, request('http1', 'slowly', 'none'), { act: (socket) => socket.end() })
      return `${told.status} ${told.end}`
    },
  ],
])

const scenes = new Map([...upstreamScenes, ...clientScenes])

/** Of which no line of a log tells which scene it was. */
const unlogged = (id: string): boolean => /TLS in plain|handshake|of HTTP\/2, and|headers that do not|^TCP/.test(id)

const classOf = (status: number): string => (status === 0 ? 'none' : `${Math.floor(status / 100)}xx`)

/** Where the two differ, and why that stays. */
const differences: readonly (readonly [RegExp, string])[] = [
  [/an unknown status, over HTTP\/2/, 'Node writes no status beyond 599 in HTTP/2'],
  [/an upgrade nobody asked for/, 'Envoy passes on what no client can make sense of; here it is a bad gateway'],
]

describeWithEnvoy('What goes wrong, beside a stock Envoy', () => {
  test('is answered alike, and logged with the same flags', { timeout: 240_000 }, async () => {
    const { ports, certificate, proxy, log } = await startBed()
    const envoyLog = logPath('envoy')
    const envoy = await startEnvoy({
      bootstrap: roughBootstrap(ports, certificate, envoyLog),
      args: ['--file-flush-interval-msec', '50'],
    })
    await envoy.waitLive()
    const ofEnvoy = {
      plain: await envoy.listenerPort('plain'),
      tls: await envoy.listenerPort('tls'),
      tcp: await envoy.listenerPort('tcp'),
    }
    const seen = async (place: Place, file: string, id: string, scene: Scene): Promise<string> => {
      const told = await scene(place, id)
      if (unlogged(id)) return told
      const [code = '', flags] = (await loggedOf(file, id)).split(' ')
      return `${told}; logged ${classOf(Number(code))} ${flags}`
    }
    const unlike: string[] = []
    // One after the other, for many use the same connection to their upstream.
    for (const [id, scene] of scenes) {
      if (id.startsWith('many') || (!isLong && /, to a (HEAD|POST)$/.test(id))) continue
      const [one, other] = await Promise.all([seen(ofEnvoy, envoyLog, id, scene), seen(placeOf(proxy), log, id, scene)])
      if (one !== other && !differences.some(([of]) => of.test(id))) unlike.push(`${id}: Envoy ${one}; this ${other}`)
    }
    expect(unlike).toEqual([])
  })
})

describe('Whatever upstreams and clients do', () => {
  test.each(seedsOf(isLong ? 20 : 1))('others are answered, and nothing is left behind (seed %i)', async (seed) => {
    const random = createRandom(seed)
    const { proxy, port } = await startBed()
    const list = Array.from({ length: isLong ? 1000 : 250 }, () => random.pick([...scenes]))
    const unanswered: string[] = []
    const agent = new Agent({ keepAlive: true })
    atTestEnd(() => agent.destroy())
    await inTurns(16, list, async ([id, scene]) => {
      const healthy = askInGoodHealth(port, agent, random)
      await scene(placeOf(proxy), id)
      const status = await healthy
      if (status !== 200) unanswered.push(`beside ${id}: ${status}`)
    })
    expect(unanswered).toEqual([])
    agent.destroy()
    // What still waits for its upstream is given up in time.
    await eventually(() => expect(busy(proxy)).toEqual([]), { timeoutMs: 10_000 })
  })

  test('a retry meets no connection that the upstream has closed', async () => {
    const { port } = await startBed()
    const agent = new Agent({ keepAlive: true })
    atTestEnd(() => agent.destroy())
    const statuses = new Set<number>()
    for (let count = 0; count < 100; count++) {
      for (const path of ['answered, then closed', 'answered, then reset']) {
        statuses.add(await get(port, agent, 'again', path))
        if (count % 10 === 0) await sleep(20)
      }
    }
    expect([...statuses]).toEqual([200])
  })

  test('a client that goes in the midst of its response is no failure of the upstream', async () => {
    const { proxy, port } = await startBed()
    await tell(port, request('http1', 'endless', 'x'), { until: ({ length }) => length > 50_000 })
    await askHttp2(port, { ':authority': 'http2', ':path': '/endless' }, { abortAfter: 50_000 })
    await eventually(() => expect(busy(proxy)).toEqual([]), { timeoutMs: 10_000 })
    // Of whatever was let go of since.
    await sleep(100)
    const { counters } = proxy.stats
    expect(counters.get('http.rough.downstream_rq_rx_reset')?.value).toBe(2)
    expect(counters.get('http.rough.downstream_rq_tx_reset')?.value).toBe(0)
    expect(counters.get('http.rough.rq_reset_after_downstream_response_started')?.value).toBe(0)
  })

  test('a client that resets streams as fast as it can is sent away, and nobody else', async () => {
    const { proxy, port } = await startBed()
    const session = connectHttp2(`http://127.0.0.1:${port}`)
    session.on('error', () => undefined)
    const closed = new Promise<void>((resolve) => session.once('close', () => resolve()))
    atTestEnd(() => session.destroy())
    const agent = new Agent({ keepAlive: true })
    atTestEnd(() => agent.destroy())
    const storm = async (): Promise<void> => {
      while (!session.closed && !session.destroyed) {
        for (let count = 0; count < 50 && !session.closed && !session.destroyed; count++) {
          const stream = session.request({ ':path': '/silent', ':authority': 'http2' })
          stream.on('error', () => undefined)
          stream.close(constants.NGHTTP2_CANCEL)
        }
        expect(await get(port, agent, 'well2', 'ok')).toBe(200)
      }
    }
    await storm()
    await closed
    agent.destroy()
    await eventually(() => expect(busy(proxy)).toEqual([]), { timeoutMs: 10_000 })
  })
})

const placeOf = (proxy: Proxy): Place => ({
  plain: proxy.listenerPort('plain') as number,
  tls: proxy.listenerPort('tls') as number,
  tcp: proxy.listenerPort('tcp') as number,
})

/** Gauges of what is under way that are not at nought. */
function busy({ stats }: Proxy): readonly string[] {
  return [...stats.gauges]
    .filter(
      ([name, { value }]) => /(downstream_cx|rq|pending|_pre_cx)_active$|rq_pending_open/.test(name) && value !== 0,
    )
    .map(([name, { value }]) => `${name} ${value}`)
}

async function askInGoodHealth(port: number, agent: Agent, random: Random): Promise<number> {
  const host = random.pick(['well1', 'well2'])
  if (random.chance(0.5)) return get(port, agent, host, 'ok')
  return (await askHttp2(port, { ':authority': host })).status
}

function get(port: number, agent: Agent, host: string, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = requestHttp(
      { agent, host: '127.0.0.1', port, path: `/${encodeURIComponent(path)}`, headers: { host } },
      (answer) => {
        answer.resume()
        answer.once('end', () => resolve(answer.statusCode ?? 0))
        answer.once('error', reject)
      },
    )
    sent.once('error', reject)
    sent.end()
  })
}

/** So many at a time. */
async function inTurns<T>(width: number, items: readonly T[], act: (item: T) => Promise<void>): Promise<void> {
  const left = [...items]
  const one = async (): Promise<void> => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await act(item)
  }
  await Promise.all(Array.from({ length: width }, one))
}
