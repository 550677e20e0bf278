/** Behind and before a proxy: an app that answers at once, and clients that count. Raw sockets, so that the proxy is what is slow. */
import { connect, createServer, type Server, type Socket } from 'node:net'
import { answer } from './answer.ts'

export interface TrafficFigures {
  readonly requestsPerS: number
  /** Of one request, in milliseconds: 99 of 100 took no longer. */
  readonly p99Ms: number
  readonly failed: number
}

export interface TrafficOptions {
  readonly port: number
  readonly connections: number
  readonly ms: number
  /** Requests of a second, over all connections; absent: each connection sends as soon as it was answered. */
  readonly rate?: number
}

const body = Buffer.alloc(1024, 'x')
const response = Buffer.concat([
  Buffer.from(
    [
      'HTTP/1.1 200 OK',
      'content-type: text/plain',
      `content-length: ${body.length}`,
      'cache-control: no-store',
      'etag: "5f6d94c"',
      '',
      '',
    ].join('\r\n'),
  ),
  body,
])
const request = Buffer.from(
  [
    'GET /api/items?page=2 HTTP/1.1',
    'host: shop.example',
    'user-agent: bench/1.0',
    'accept: text/plain, */*',
    'accept-language: en',
    'cookie: session=0123456789abcdef',
    '',
    '',
  ].join('\r\n'),
)

const servers: Server[] = []

/** Answers each request, of which none has a body; starts it and tells its port. */
function app(): Promise<number> {
  const server = createServer((socket) => {
    let rest = ''
    socket.setNoDelay(true)
    socket.on('error', () => socket.destroy())
    socket.on('data', (bytes: Buffer) => {
      const parts = (rest + bytes.toString('latin1')).split('\r\n\r\n')
      rest = parts.pop() ?? ''
      for (let count = parts.length; count > 0; count -= 1) socket.write(response)
    })
  })
  servers.push(server)
  return new Promise((resolve) =>
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port)),
  )
}

async function send({ port, connections, ms, rate }: TrafficOptions): Promise<TrafficFigures> {
  const times: number[] = []
  let failed = 0
  const startedAt = performance.now()
  const endsAt = startedAt + ms
  const everyMs = rate === undefined ? 0 : (1000 * connections) / rate
  const one = (index: number): Promise<void> =>
    new Promise((resolve) => {
      const socket: Socket = connect(port, '127.0.0.1')
      let sentAt = 0
      let left = -1
      let head = ''
      let dueAt = startedAt + (everyMs * index) / connections
      const next = (): void => {
        const now = performance.now()
        if (now >= endsAt) return void socket.end()
        dueAt += everyMs
        if (dueAt > now && everyMs > 0) setTimeout(fire, dueAt - now)
        else fire()
      }
      const fire = (): void => {
        sentAt = performance.now()
        left = -1
        head = ''
        socket.write(request)
      }
      socket.setNoDelay(true)
      socket.on('connect', next)
      socket.on('error', () => {
        failed += 1
        resolve()
      })
      socket.on('close', () => resolve())
      socket.on('data', (bytes: Buffer) => {
        if (left < 0) {
          head += bytes.toString('latin1')
          const end = head.indexOf('\r\n\r\n')
          if (end < 0) return
          const length = /content-length: (\d+)/i.exec(head)?.[1]
          if (!head.startsWith('HTTP/1.1 200') || length === undefined) failed += 1
          left = Number(length ?? 0) - (head.length - end - 4)
        } else left -= bytes.length
        if (left > 0) return
        times.push(performance.now() - sentAt)
        next()
      })
    })
  await Promise.all(Array.from({ length: connections }, (_, index) => one(index)))
  const sorted = times.sort((a, b) => a - b)
  return {
    requestsPerS: (times.length * 1000) / (performance.now() - startedAt),
    p99Ms: sorted[Math.ceil(sorted.length * 0.99) - 1] ?? Number.NaN,
    failed,
  }
}

const commands: { app: typeof app; send: typeof send } = { app, send }
export type TrafficCommands = typeof commands

answer(commands)
