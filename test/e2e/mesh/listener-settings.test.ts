import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect as connectHttp2, type Settings } from 'node:http2'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { beforeAll, expect, test } from 'vitest'
import { problems } from '../../support/admin-client.ts'
import { atTestEnd } from '../../support/at-test-end.ts'
import { startBackend } from '../../support/backend.ts'
import { createAuthority, writeCertificate } from '../../support/certificates.ts'
import { startOnDirectory } from '../../support/config-directory.ts'
import { rejections } from '../../support/control-plane.ts'
import { freePorts } from '../../support/free-ports.ts'
import { describeWithEnvoy } from '../../support/needs.ts'
import { eventually } from '../../support/poll.ts'
import { tempDir } from '../../support/temp.ts'

const listeners = ['logs', 'inherits', 'quiet', 'few', 'db', 'proxied', 'streams', 'modern'] as const
type Listener = (typeof listeners)[number]

const documents = (ports: Readonly<Record<Listener, number>>, app: number, echo: number, logs: string): string => `
kind: Service
name: app
endpoints: {address: 127.0.0.1, port: ${app}}
---
kind: Service
name: echo
protocol: tcp
endpoints: {address: 127.0.0.1, port: ${echo}}
---
kind: Route
name: app
gateways: edge
rules: {backends: app}
---
kind: Secret
name: cert
certificate: {chain: {file: cert.crt}, key: {file: cert.key}}
---
kind: Gateway
name: edge
nodes: {cluster: edge}
trustedHops: 1
accessLog: {path: ${logs}/edge, fields: {path: "%REQ(:PATH)%"}}
listeners:
- {name: logs, address: 127.0.0.1, port: ${ports.logs}, accessLog: {path: ${logs}/own, fields: {client: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"}}}
- {name: inherits, address: 127.0.0.1, port: ${ports.inherits}}
- {name: quiet, address: 127.0.0.1, port: ${ports.quiet}, accessLog: off}
- {name: few, address: 127.0.0.1, port: ${ports.few}, maxConnections: 1, accessLog: off}
- {name: db, address: 127.0.0.1, port: ${ports.db}, protocol: tcp, service: echo, maxConnections: 1, accessLog: off}
- {name: proxied, address: 127.0.0.1, port: ${ports.proxied}, proxyProtocol: optional, accessLog: off}
- {name: streams, address: 127.0.0.1, port: ${ports.streams}, protocol: http2, http2: {maxStreams: 7}, accessLog: off}
- {name: modern, address: 127.0.0.1, port: ${ports.modern}, protocol: https, tls: {secret: cert, minVersion: 1.3}, accessLog: off}
`

/** What comes until the other side ends. */
async function heardBy(socket: Socket): Promise<string> {
  let text = ''
  socket.on('data', (data: Buffer) => {
    text += data.toString()
  })
  socket.on('error', () => {})
  if (!socket.destroyed) await once(socket, 'close')
  return text
}

describeWithEnvoy('what a listener says for itself', () => {
  const logs = tempDir()
  let ports: Readonly<Record<Listener, number>>
  let server: Awaited<ReturnType<typeof startOnDirectory>>['server']

  beforeAll(async () => {
    const app = await startBackend({ name: 'app' })
    const echo = createServer((socket) => socket.on('error', () => {}).pipe(socket))
    await new Promise<void>((resolve) => void echo.listen(0, '127.0.0.1', resolve))
    atTestEnd(() => void echo.close())
    const free = await freePorts(listeners.length)
    ports = Object.fromEntries(listeners.map((name, index) => [name, free[index]])) as Record<Listener, number>
    const config = tempDir()
    const issued = await (await createAuthority()).issue({ name: 'cert', validForMs: 90 * 86_400_000 })
    writeCertificate(config, 'cert', issued)
    const edge = documents(ports, app.port, (echo.address() as AddressInfo).port, logs)
    const started = await startOnDirectory({ 'edge.yaml': edge }, { config })
    server = started.server
    await Promise.all(listeners.map((name) => started.envoy.listenerPort(`edge/${name}`)))
  })

  test('is taken', async () => {
    expect(await problems(server.adminUrl)).toEqual([])
    expect(await rejections(server)).toBe(0)
  })

  test('is where it logs, and whom the Gateway takes for the client', async () => {
    const headers = { 'x-forwarded-for': '203.0.113.9' }
    for (const name of ['logs', 'inherits', 'quiet'] as const)
      expect((await fetch(`http://127.0.0.1:${ports[name]}/${name}`, { headers })).status).toBe(200)
    const linesOf = (file: string): unknown[] =>
      readFileSync(join(logs, file), 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown)
    await eventually(
      () => {
        expect(linesOf('own')).toEqual([{ client: '203.0.113.9' }])
        expect(linesOf('edge')).toEqual([{ path: '/inherits' }])
      },
      { timeoutMs: 20_000 },
    )
  })

  test.each(['few', 'db'] as const)('is how many connections it has at a time (%s)', async (name) => {
    const request = 'GET / HTTP/1.1\r\nhost: app\r\n\r\n'
    // To its end: the last chunk, or all that was sent.
    const served = name === 'few' ? /^HTTP\/1\.1 200 [^]*"app"[^]*\r\n0\r\n\r\n$/ : /^GET \/ [^]*\r\n\r\n$/
    const talk = (socket: Socket): Promise<string> =>
      new Promise((resolve) => {
        let text = ''
        const onData = (data: Buffer): void => {
          text += data.toString()
          if (!served.test(text)) return
          socket.off('data', onData)
          resolve(text)
        }
        socket.on('data', onData)
        socket.on('error', () => {})
        socket.once('close', () => resolve('closed'))
        socket.write(request)
      })
    const first = connect(ports[name], '127.0.0.1')
    expect(await talk(first)).toMatch(served)
    const second = connect(ports[name], '127.0.0.1')
    expect(await talk(second)).toBe('closed')
    expect(await talk(first)).toMatch(served)
    first.destroy()
    await eventually(async () => {
      const third = connect(ports[name], '127.0.0.1')
      const answer = await talk(third)
      third.destroy()
      return served.test(answer)
    })
  })

  test('is that a PROXY header may come, and need not', async () => {
    const plain = 'GET / HTTP/1.1\r\nhost: app\r\nconnection: close\r\n\r\n'
    for (const text of [plain, `PROXY TCP4 203.0.113.7 127.0.0.1 4711 80\r\n${plain}`]) {
      const socket = connect(ports.proxied, '127.0.0.1')
      socket.write(text)
      expect(await heardBy(socket)).toMatch(/^HTTP\/1\.1 200/)
    }
  })

  test('is how many streams a connection of HTTP/2 has', async () => {
    const session = connectHttp2(`http://127.0.0.1:${ports.streams}`)
    const [settings] = (await once(session, 'remoteSettings')) as [Settings]
    session.destroy()
    expect(settings.maxConcurrentStreams).toBe(7)
  })

  test('is the oldest TLS that it speaks', async () => {
    const versionOf = async (maxVersion: 'TLSv1.2' | 'TLSv1.3'): Promise<string | null> => {
      const socket = connectTls({ host: '127.0.0.1', port: ports.modern, maxVersion, rejectUnauthorized: false })
      const event = await Promise.race([
        once(socket, 'secureConnect').then(() => socket.getProtocol()),
        once(socket, 'close').then(() => null),
      ]).catch(() => null)
      socket.destroy()
      return event
    }
    expect(await versionOf('TLSv1.3')).toBe('TLSv1.3')
    expect(await versionOf('TLSv1.2')).toBe(null)
  })
})
