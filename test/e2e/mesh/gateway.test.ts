import { once } from 'node:events'
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer, request as httpRequest, type IncomingMessage } from 'node:http'
import { type AddressInfo, connect, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls, createServer as createTlsServer } from 'node:tls'
import { expect, test } from 'vitest'
import { problems, readiness, settledNode, waitForProblems } from '../../support/admin-client.ts'
import { atTestEnd } from '../../support/at-test-end.ts'
import { type Backend, startBackend } from '../../support/backend.ts'
import { createAuthority, writeCertificate } from '../../support/certificates.ts'
import { startOnDirectory, writeConfig } from '../../support/config-directory.ts'
import { rejections, startControlPlane } from '../../support/control-plane.ts'
import { startEdgeEnvoy } from '../../support/edge.ts'
import { freePorts } from '../../support/free-ports.ts'
import { startLoad } from '../../support/load.ts'
import { describeWithEnvoy } from '../../support/needs.ts'
import { eventually } from '../../support/poll.ts'
import { testBothProtocols } from '../../support/side-by-side.ts'
import { tempDir } from '../../support/temp.ts'

const service = (name: string, port: number, more = ''): string => `
kind: Service
name: ${name}
endpoints: {address: 127.0.0.1, port: ${port}}
${more}
`

const route = (name: string, host: string, backend = name): string => `
kind: Route
name: ${name}
hosts: "${host}"
gateways: edge
rules: {backends: ${backend}}
`

const secret = (name: string): string => `
kind: Secret
name: ${name}
certificate: {chain: {file: ${name}.crt}, key: {file: ${name}.key}}
`

const gateway = (...listeners: readonly string[]): string => `
kind: Gateway
name: edge
nodes: {cluster: edge}
accessLog: off
listeners:
${listeners.map((listener) => `- {address: 127.0.0.1, ${listener}}`).join('\n')}
`

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
  })
  atTestEnd(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

/** All that comes until the other side ends. */
async function answerOf(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  socket.on('error', () => {})
  await new Promise((resolve) => socket.once('close', resolve))
  return Buffer.concat(chunks)
}

async function status(port: number, path: string, host: string): Promise<number | undefined> {
  const sent = httpRequest({ host: '127.0.0.1', port, path, headers: { host } }).end()
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  response.resume()
  return response.statusCode
}

const serverNameOf = async (port: number, servername: string): Promise<string | undefined> => {
  const socket = connectTls({ host: '127.0.0.1', port, servername, rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const { subject } = socket.getPeerCertificate()
  socket.destroy()
  return String(subject.CN)
}

describeWithEnvoy('a Gateway', () => {
  testBothProtocols(
    'shows each host its certificate over %s, and a renewed one without losing a request',
    async (protocol) => {
      const config = tempDir()
      const authority = await createAuthority()
      const issue = async (name: string, common = name): Promise<void> => {
        writeCertificate(
          config,
          name,
          await authority.issue({ name: common, sans: [`${name}.example`], validForMs: 90 * 86_400_000 }),
        )
      }
      await issue('shop')
      await issue('pay')
      const [shop, pay] = [await startBackend({ name: 'shop' }), await startBackend({ name: 'pay' })]
      const [port] = (await freePorts(1)) as [number]
      const files = {
        'edge.yaml': gateway(`name: https, port: ${port}, protocol: https, tls: [shop, pay]`),
        'secrets.yaml': [secret('shop'), secret('pay')],
        'services.yaml': [service('shop', shop.port), service('pay', pay.port)],
        'routes.yaml': [route('shop', 'shop.example'), route('pay', 'pay.example')],
      }
      const { server, envoy } = await startOnDirectory(files, { config, protocol })
      const listener = await envoy.listenerPort('edge/https')
      await eventually(async () => expect(await serverNameOf(listener, 'pay.example')).toBe('pay'))
      expect(await problems(server.adminUrl)).toEqual([])
      expect(await serverNameOf(listener, 'shop.example')).toBe('shop')
      // A name that is nobody's gets the first, which says so itself.
      expect(await serverNameOf(listener, 'other.example')).toBe('shop')
      const loadOf = (name: string) =>
        startLoad({
          port: listener,
          host: `${name}.example`,
          connections: 0,
          rate: 10,
          // A lost request fails otherwise; a busy machine takes its time.
          timeoutMs: 20_000,
          tls: { ca: authority.certificate, serverName: `${name}.example` },
        })
      const loads = [loadOf('shop'), loadOf('pay')]
      await loads[0]?.next(10, { from: 'shop' })
      await loads[1]?.next(10, { from: 'pay' })
      const counts = async () =>
        Object.fromEntries(await envoy.stats(/listener_manager\.listener_(modified|in_place_updated|added)/))
      const before = await counts()

      await issue('shop', 'renewed')
      await eventually(async () => expect(await serverNameOf(listener, 'shop.example')).toBe('renewed'), {
        timeoutMs: 15_000,
      })
      await loads[0]?.next(20)
      expect(await counts()).toEqual(before)

      // Files of two pairs: what was right stays, and the document is told.
      const stranger = await authority.issue({ name: 'stranger', sans: ['shop.example'] })
      writeFileSync(join(config, 'shop.key'), stranger.key)
      await waitForProblems(server.adminUrl, ['file'])
      expect((await problems(server.adminUrl))[0]).toMatchObject({
        place: `${join(config, 'secrets.yaml')}:4:45`,
        path: 'certificate.key',
        message: 'The key is not that of the certificate.',
      })
      await loads[0]?.next(10)
      expect(await serverNameOf(listener, 'shop.example')).toBe('renewed')
      await issue('shop', 'mended')
      await waitForProblems(server.adminUrl, [])
      await eventually(async () => expect(await serverNameOf(listener, 'shop.example')).toBe('mended'), {
        timeoutMs: 15_000,
      })
      for (const load of loads) expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
      expect(await counts()).toEqual(before)
      expect(await rejections(server)).toBe(0)
      // No key leaves the server but to the Envoy.
      const key = stranger.key.split('\n')[1] as string
      const said = server.log() + (await (await fetch(`${server.adminUrl}/api/problems`)).text())
      expect(said).not.toContain(key.slice(0, 20))
      expect(said).not.toContain('PRIVATE KEY')
    },
  )

  testBothProtocols(
    'serves by %s what needs no certificate while there is none, and HTTPS as soon as there is',
    async (protocol) => {
      const config = tempDir()
      const shop = await startBackend({ name: 'shop' })
      const [plain, secure, other] = (await freePorts(3)) as [number, number, number]
      const listeners = [
        `name: http, port: ${plain}`,
        `name: https, port: ${secure}, protocol: https, tls: shop`,
        `name: other, port: ${other}, protocol: https, tls: other`,
      ]
      const authority = await createAuthority()
      const issue = async (name: string): Promise<void> =>
        void writeCertificate(config, name, await authority.issue({ name, sans: ['shop.example'], validForMs }))
      const validForMs = 90 * 86_400_000
      await issue('other')
      writeConfig(config, 'edge.yaml', gateway(...listeners))
      writeConfig(config, 'shop.yaml', secret('shop'), secret('other'), service('shop', shop.port), route('shop', '*'))
      const server = await startControlPlane({ config: [config] })
      const envoy = await startEdgeEnvoy(server, { protocol })
      // Envoy waits 15 s for a certificate that does not come.
      await envoy.waitLive(14_000)
      expect(await status(plain, '/', 'shop.example')).toBe(200)
      expect(await serverNameOf(other, 'shop.example')).toBe('other')
      await expect(serverNameOf(secure, 'shop.example')).rejects.toThrow('ECONNREFUSED')
      await waitForProblems(server.adminUrl, ['file', 'file', 'withheld'])
      expect((await problems(server.adminUrl)).at(0)).toMatchObject({
        place: expect.stringMatching(/edge\.yaml:8:\d+$/),
        severity: 'warning',
        path: 'listeners[1].tls',
      })
      expect(await readiness(server.adminUrl)).toMatchObject({
        status: 200,
        withheld: [],
        leftOut: [
          expect.stringMatching(/edge\.yaml:8:\d+: No client gets the certificate of the Secret shop: its files/),
        ],
      })
      await issue('shop')
      await eventually(async () => expect(await serverNameOf(secure, 'shop.example')).toBe('shop'), {
        timeoutMs: 20_000,
      })
      expect(await problems(server.adminUrl)).toEqual([])
      expect(await readiness(server.adminUrl)).toMatchObject({ leftOut: [] })
      expect(await envoy.stat('listener_manager.listener_modified')).toBe(0)
      expect(await rejections(server)).toBe(0)
    },
  )

  testBothProtocols(
    'closes over %s the connections for the hosts of a certificate that was never right, and serves the others of the port',
    async (protocol) => {
      const config = tempDir()
      const authority = await createAuthority()
      const validForMs = 90 * 86_400_000
      const issued = await authority.issue({ name: 'pay', sans: ['pay.shop.example'], validForMs })
      const shopOwn = await authority.issue({ name: 'shop', sans: ['*.shop.example'], validForMs })
      writeCertificate(config, 'shop', shopOwn)
      writeCertificate(config, 'pay', { ...issued, key: shopOwn.key })
      const [shop, pay] = [await startBackend({ name: 'shop' }), await startBackend({ name: 'pay' })]
      const [port] = (await freePorts(1)) as [number]
      const https = `port: ${port}, protocol: https`
      const files = {
        'edge.yaml': gateway(
          `name: a, ${https}, tls: pay, hosts: pay.shop.example`,
          `name: b, ${https}, tls: shop, hosts: "*.shop.example"`,
        ),
        'secrets.yaml': [secret('shop'), secret('pay')],
        'services.yaml': [service('shop', shop.port), service('pay', pay.port)],
        'routes.yaml': [route('shop', 'www.shop.example'), route('pay', 'pay.shop.example')],
      }
      const { server, envoy } = await startOnDirectory(files, { config, protocol })
      const listener = await envoy.listenerPort('edge/a')
      await waitForProblems(server.adminUrl, ['file', 'withheld'])
      expect(await serverNameOf(listener, 'www.shop.example')).toBe('shop')
      // The other's chain is for its name, too: neither that nor plain text is an answer.
      await expect(serverNameOf(listener, 'pay.shop.example')).rejects.toThrow()
      await expect(status(listener, '/', 'pay.shop.example')).rejects.toThrow()
      const load = startLoad({
        port: listener,
        host: 'www.shop.example',
        timeoutMs: 20_000,
        tls: { ca: authority.certificate, serverName: 'www.shop.example' },
      })
      await load.next(10, { from: 'shop' })

      writeCertificate(config, 'pay', issued)
      await eventually(async () => expect(await serverNameOf(listener, 'pay.shop.example')).toBe('pay'), {
        timeoutMs: 20_000,
      })
      await load.next(20, { from: 'shop' })
      expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
      expect(await problems(server.adminUrl)).toEqual([])
      expect(await envoy.stat('listener_manager.listener_in_place_updated')).toBe(1)
      expect(await rejections(server)).toBe(0)
    },
  )

  test('keeps its certificate while a server that was started again finds no files, and keeps no key on disk', async () => {
    const config = tempDir()
    const snapshots = tempDir()
    const authority = await createAuthority()
    const issue = async (name: string): Promise<string> => {
      const issued = await authority.issue({ name, sans: ['shop.example'], validForMs: 90 * 86_400_000 })
      writeCertificate(config, 'shop', issued)
      return issued.key
    }
    const key = await issue('first')
    const shop = await startBackend({ name: 'shop' })
    const [port, listen] = (await freePorts(2)) as [number, number]
    writeConfig(config, 'shop.yaml', secret('shop'), service('shop', shop.port), route('shop', 'shop.example'))
    writeConfig(config, 'edge.yaml', gateway(`name: https, port: ${port}, protocol: https, tls: shop`))
    const options = { config: [config], snapshots, listen: `127.0.0.1:${listen}` }
    const first = await startControlPlane(options)
    const envoy = await startEdgeEnvoy(first)
    await envoy.waitLive()
    await envoy.listenerPort('edge/https')
    await eventually(async () => expect(await serverNameOf(port, 'shop.example')).toBe('first'))
    await first.close()
    for (const file of readdirSync(snapshots, { recursive: true, encoding: 'utf8' })) {
      if (!statSync(join(snapshots, file)).isFile()) continue
      const kept = readFileSync(join(snapshots, file)).toString('latin1')
      expect(kept).not.toContain('PRIVATE KEY')
      expect(kept).not.toContain((key.split('\n')[1] as string).slice(0, 20))
    }
    rmSync(join(config, 'shop.key'))
    rmSync(join(config, 'shop.crt'))

    const second = await startControlPlane(options)
    await waitForProblems(second.adminUrl, ['file', 'file'])
    await settledNode(second.adminUrl, ['cluster', 'listener'])
    expect(second.pipeline.revision).toBe(1)
    expect(await serverNameOf(port, 'shop.example')).toBe('first')
    expect(await envoy.stat('listener_manager.listener_modified')).toBe(0)
    await issue('second')
    await waitForProblems(second.adminUrl, [])
    await eventually(async () => expect(await serverNameOf(port, 'shop.example')).toBe('second'), { timeoutMs: 15_000 })
    expect(await envoy.stat('listener_manager.listener_modified')).toBe(0)
    expect(await rejections(second)).toBe(0)
  })

  test('passes TLS on by name, without its key, and closes what is for nobody', async () => {
    const authority = await createAuthority()
    const own = await authority.issue({ name: 'behind', sans: ['raw.example'] })
    const behind = createTlsServer({ cert: own.certificate, key: own.key }, (socket) => socket.end('hello from behind'))
    const target = await listening(behind)
    const [port] = (await freePorts(1)) as [number]
    const { envoy } = await startOnDirectory({
      'edge.yaml': gateway(`name: tls, port: ${port}, protocol: tls, hosts: raw.example, service: raw`),
      'raw.yaml': service('raw', target, 'protocol: tls'),
    })
    const through = await envoy.listenerPort('edge/tls')
    const socket = connectTls({
      host: '127.0.0.1',
      port: through,
      servername: 'raw.example',
      ca: authority.certificate,
    })
    expect((await answerOf(socket)).toString()).toBe('hello from behind')
    expect(socket.authorized).toBe(true)
    await expect(serverNameOf(through, 'other.example')).rejects.toThrow()
  })

  test('upgrades to WebSocket, which outlives the timeout of the route', async () => {
    const app = createHttpServer()
    app.on('upgrade', (_request, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n')
      socket.pipe(socket)
    })
    const target = await listening(app)
    const [port] = (await freePorts(1)) as [number]
    const edge = gateway(`name: http, port: ${port}, maxRequestSize: 1KiB`)
    const { envoy } = await startOnDirectory({
      'edge.yaml': edge.replace('accessLog: off', 'defaults: {timeout: 300ms}'),
      'app.yaml': [service('app', target), route('app', 'app.example')],
    })
    const headers = { host: 'app.example', connection: 'upgrade', upgrade: 'websocket' }
    const listener = await envoy.listenerPort('edge/http')
    const sent = httpRequest({ host: '127.0.0.1', port: listener, headers }).end()
    const [, socket] = (await once(sent, 'upgrade')) as [unknown, Socket]
    atTestEnd(() => void socket.destroy())
    const began = performance.now()
    while (performance.now() - began < 900) {
      socket.write('ping')
      const [echo] = (await once(socket, 'data')) as [Buffer]
      expect(echo.toString()).toBe('ping')
    }
  })

  test('takes the address of a client from the PROXY protocol, and refuses who does not speak it', async () => {
    const seen: (string | undefined)[] = []
    const app = createHttpServer((request, response) => {
      seen.push(request.headers['x-forwarded-for'] as string | undefined)
      response.end('ok')
    })
    const target = await listening(app)
    const [port] = (await freePorts(1)) as [number]
    const { envoy } = await startOnDirectory({
      'edge.yaml': gateway(`name: http, port: ${port}, proxyProtocol: required`),
      'app.yaml': [service('app', target), route('app', '*')],
    })
    const listener = await envoy.listenerPort('edge/http')
    const ask = async (text: string): Promise<string> => {
      const socket = connect(listener, '127.0.0.1')
      const answer = answerOf(socket)
      socket.write(text)
      return (await answer).toString()
    }
    const plain = 'GET / HTTP/1.1\r\nhost: app.example\r\nconnection: close\r\n\r\n'
    expect(await ask(`PROXY TCP4 203.0.113.7 127.0.0.1 4711 80\r\n${plain}`)).toMatch(/^HTTP\/1.1 200/)
    expect(seen).toEqual(['203.0.113.7'])
    expect(await ask(plain)).toBe('')
  })

  test('holds the limits that it is given, and compresses', async () => {
    const backend = await startBackend({ name: 'one' })
    const [port] = (await freePorts(1)) as [number]
    const limits = 'maxRequestSize: 1KiB, maxHeaderSize: 2KiB, requestHeadersTimeout: 300ms, compression: true'
    const { envoy } = await startOnDirectory({
      'edge.yaml': gateway(`name: http, port: ${port}, ${limits}`),
      'app.yaml': [service('one', backend.port), route('one', '*')],
    })
    await envoy.listenerPort('edge/http')
    const url = `http://127.0.0.1:${port}/`
    const ok = await fetch(url, { method: 'POST', body: 'x'.repeat(1000) })
    expect(ok.status).toBe(200)
    expect(ok.headers.get('content-encoding')).toBe('gzip')
    expect((await fetch(url, { method: 'POST', body: 'x'.repeat(1025) })).status).toBe(413)
    expect((await fetch(url, { headers: { 'x-long': 'x'.repeat(2048) } })).status).toBe(431)
    const slow = connect(port, '127.0.0.1')
    slow.write('GET / HTTP/1.1\r\nhost: x\r\n')
    expect((await answerOf(slow)).toString()).toMatch(/^HTTP\/1.1 408/)
  })

  test('logs what it is told to log, and sends traces', async () => {
    const spans: { readonly name: string; readonly localEndpoint: { readonly serviceName: string } }[] = []
    const collector = createHttpServer((request, response) => {
      let body = ''
      request.on('data', (chunk: Buffer) => {
        body += chunk.toString()
      })
      request.on('end', () => {
        spans.push(...(JSON.parse(body) as typeof spans))
        response.writeHead(202).end()
      })
    })
    const zipkin = await listening(collector)
    const backend = await startBackend({ name: 'one' })
    const [port] = (await freePorts(1)) as [number]
    const log = join(tempDir(), 'access.log')
    const mesh = `kind: Mesh
name: shop
accessLog: {path: ${log}, minStatus: 404}
tracing: {zipkin: "127.0.0.1:${zipkin}", sample: 100%}
`
    const fields = '{path: "%REQ(:PATH)%", status: "%RESPONSE_CODE%"}'
    const edge = gateway(`name: http, port: ${port}`).replace('accessLog: off', `accessLog: {fields: ${fields}}`)
    const { server, envoy } = await startOnDirectory({
      'mesh.yaml': mesh,
      'edge.yaml': edge,
      'app.yaml': [service('one', backend.port), route('one', 'shop.example')],
    })
    await envoy.listenerPort('edge/http')
    for (let count = 0; count < 10; count++) expect(await status(port, '/fine', 'shop.example')).toBe(200)
    expect(await status(port, '/lost', 'other.example')).toBe(404)
    await eventually(
      () => {
        const lines = readFileSync(log, 'utf8').trim().split('\n')
        expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([{ path: '/lost', status: 404 }])
        expect(spans.length).toBeGreaterThanOrEqual(5)
      },
      { timeoutMs: 20_000 },
    )
    expect(new Set(spans.map(({ localEndpoint }) => localEndpoint.serviceName))).toEqual(new Set(['edge']))
    expect(await problems(server.adminUrl)).toEqual([])
  })

  test('drains no listener but the one that changes', async () => {
    const backend: Backend = await startBackend({ name: 'one', delayMs: 5 })
    const [first, second] = (await freePorts(2)) as [number, number]
    const edge = (limit: string): string =>
      gateway(`name: first, port: ${first}`, `name: second, port: ${second}${limit}`)
    const app = [service('one', backend.port), route('one', '*')]
    const { config, server, envoy } = await startOnDirectory({ 'edge.yaml': edge(''), 'app.yaml': app })
    const load = startLoad({ port: await envoy.listenerPort('edge/first') })
    await load.next(50)
    writeConfig(config, 'edge.yaml', edge(', maxConnections: 100, idleTimeout: 1m'))
    await envoy.waitForStat('listener_manager.listener_modified', (count) => count === 1)
    await load.next(200)
    expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
    expect(await envoy.stat('listener_manager.listener_modified')).toBe(1)
    // Both at once are told, each where it is wrong; nothing changes.
    writeConfig(config, 'edge.yaml', gateway(`name: first, port: ${first}`, `name: second, port: ${first}`))
    await waitForProblems(server.adminUrl, ['conflict'])
    expect((await problems(server.adminUrl))[0]).toMatchObject({ path: 'listeners[1].port' })
    expect(await status(await envoy.listenerPort('edge/second'), '/', 'x')).toBe(200)
  })
})
