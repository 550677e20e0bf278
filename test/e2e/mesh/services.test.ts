import {
  createServer as createHttp2Server,
  createSecureServer as createSecureHttp2Server,
  type Http2SecureServer,
  type Http2Server,
} from 'node:http2'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { problems } from '../../support/admin-client.ts'
import { atTestEnd } from '../../support/at-test-end.ts'
import { type Backend, type BackendOptions, startBackend } from '../../support/backend.ts'
import { createAuthority, writeAuthorities, writeCertificate } from '../../support/certificates.ts'
import { rejections } from '../../support/control-plane.ts'
import type { Json } from '../../support/documents.ts'
import { type Edge, get, startEdge } from '../../support/edge.ts'
import { freePorts } from '../../support/free-ports.ts'
import { describeWithEnvoy } from '../../support/needs.ts'
import { eventually } from '../../support/poll.ts'
import { testBothProtocols } from '../../support/side-by-side.ts'
import { tempDir } from '../../support/temp.ts'
import type { Protocol } from '../../support/wire-client.ts'

interface Shop extends Edge {
  readonly port: number
}

/** Documents of Services, each reached through a gateway by the host `<name>.example`. */
async function startShop(
  services: readonly string[],
  flags: Readonly<Record<string, unknown>> = {},
  protocol: Protocol = 'delta',
): Promise<Shop> {
  const [port = 0] = await freePorts(1)
  const names = services.flatMap((text) => /^kind: Service\nname: (\S+)/.exec(text)?.[1] ?? [])
  const routes = names.map(
    (name) => `{kind: Route, name: ${name}, hosts: [${name}.example], gateways: edge, rules: [{backends: ${name}}]}`,
  )
  const gateway = `{kind: Gateway, name: edge, nodes: {cluster: edge}, listeners: [{name: http, address: 127.0.0.1, port: ${port}}]}`
  const documents = [...services, gateway, ...routes].map((text) => parse(text) as Json)
  const edge = await startEdge({
    flags,
    protocol,
    documents: Object.fromEntries(documents.map((one) => [`${String(one['kind'])}/${String(one['name'])}`, one])),
  })
  await edge.envoy.listenerPort('edge/http')
  return { ...edge, port }
}

const service = (name: string, backends: readonly string[], rest = ''): string =>
  `kind: Service\nname: ${name}\nendpoints: [${backends.join(', ')}]\n${rest}`

const endpoint = ({ host, port }: Pick<Backend, 'host' | 'port'>, rest = ''): string =>
  `{address: ${host}, port: ${port}${rest}}`

const backends = (...names: readonly string[]): Promise<Backend[]> =>
  Promise.all(names.map((name) => startBackend({ name })))

/** How many of so many requests, some at a time, each backend answered; `503` and the like for other answers. */
async function share(
  { port }: Pick<Shop, 'port'>,
  name: string,
  requests: number,
  atATime = 20,
): Promise<Readonly<Record<string, number>>> {
  const found: Record<string, number> = {}
  let left = requests
  const one = async (): Promise<void> => {
    while (left-- > 0) {
      const { status, body } = await get(port, { host: `${name}.example` })
      const who = status === 200 ? (JSON.parse(body) as { backend: string }).backend : String(status)
      found[who] = (found[who] ?? 0) + 1
    }
  }
  await Promise.all(Array.from({ length: atATime }, one))
  return found
}

/** A backend whose health a test turns. */
async function turning(options: BackendOptions): Promise<{ readonly backend: Backend; turn(status: number): void }> {
  let status = 200
  const backend = await startBackend({ ...options, status: () => status })
  return {
    backend,
    turn: (next) => {
      status = next
    },
  }
}

/** How its endpoints are chosen, and protected, is in cases/. */
/** Gives its port. It ends with the test, and its connections with it. */
async function listenHttp2(server: Http2Server | Http2SecureServer): Promise<number> {
  const sessions = new Set<{ destroy(): void }>()
  server.on('session', (session: { destroy(): void }) => sessions.add(session))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  atTestEnd(async () => {
    for (const session of sessions) session.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  return (server.address() as AddressInfo).port
}

describeWithEnvoy('a Service', () => {
  test('leaves out an endpoint that refuses connections, by the same number', async () => {
    const [good] = (await backends('good')) as [Backend]
    const [nobody = 0] = await freePorts(1)
    const detection = 'outlierDetection: {consecutive5xx: 2, interval: 100ms}\nloadBalancing: {policy: round-robin}'
    const dead = endpoint({ host: '127.0.0.1', port: nobody })
    const shop = await startShop([service('cart', [endpoint(good), dead], detection)])
    await eventually(async () => {
      await share(shop, 'cart', 4, 1)
      expect(await shop.envoy.stat('cluster.cart.outlier_detection.ejections_active')).toBe(1)
    })
    expect(await share(shop, 'cart', 40)).toEqual({ good: 40 })
  })

  test('asks its endpoints for their health, and goes by it', async () => {
    const [good] = (await backends('good')) as [Backend]
    const ill = await turning({ name: 'ill' })
    const check =
      'healthCheck: {http: /health, interval: 100ms, unhealthyAfter: 3, healthyAfter: 2}\noutlierDetection: off'
    const shop = await startShop([
      service(
        'cart',
        [good, ill.backend].map((one) => endpoint(one)),
        check,
      ),
    ])
    const healthy = 'cluster.cart.membership_healthy'
    await shop.envoy.waitForStat(healthy, (value) => value === 2)
    const failuresBefore = (await shop.envoy.stat('cluster.cart.health_check.failure')) ?? 0
    ill.turn(404)
    await shop.envoy.waitForStat(healthy, (value) => value === 1)
    // One answer that is not what was expected is no reason yet.
    const failures = ((await shop.envoy.stat('cluster.cart.health_check.failure')) ?? 0) - failuresBefore
    expect(failures).toBeGreaterThanOrEqual(3)
    expect(await share(shop, 'cart', 40)).toEqual({ good: 40 })
    ill.turn(200)
    await shop.envoy.waitForStat(healthy, (value) => value === 2)
    // Envoy hands several changes of a cluster to its workers as one, within a second.
    await eventually(async () => expect(Object.keys(await share(shop, 'cart', 20)).sort()).toEqual(['good', 'ill']))
  })

  test('resolves names, of one or of some of its endpoints', async () => {
    const [a, b] = (await backends('a', 'b')) as [Backend, Backend]
    const shop = await startShop([
      `kind: Service\nname: strict\ndns: {hostname: localhost, port: ${a.port}}`,
      `kind: Service\nname: logical\ndns: {hostname: localhost, port: ${a.port}, mode: logical}`,
      service('mixed', [endpoint(a), endpoint({ host: 'localhost', port: b.port })]),
    ])
    expect(await share(shop, 'strict', 5)).toEqual({ a: 5 })
    expect(await share(shop, 'logical', 5)).toEqual({ a: 5 })
    expect(Object.keys(await share(shop, 'mixed', 60)).sort()).toEqual(['a', 'b'])
  })

  test('is spoken to in HTTP/2 where that is its protocol', async () => {
    const server = createHttp2Server((_, response) => {
      response.writeHead(200)
      response.end('{"backend": "two"}')
    })
    const port = await listenHttp2(server)
    const shop = await startShop([
      service('cart', [endpoint({ host: '127.0.0.1', port })], 'protocol: http2\nhealthCheck: {http: /}'),
    ])
    await eventually(async () => expect(await share(shop, 'cart', 5)).toEqual({ two: 5 }))
  })

  test('is spoken to in HTTP/2 by TLS, and asked so for its health', async () => {
    const authority = await createAuthority()
    const directory = tempDir()
    writeAuthorities(directory, 'ca', [authority])
    const { certificate, key } = await authority.issue({ name: 'cart', sans: ['cart.internal'] })
    // It speaks it only with who asks for it by ALPN, as servers do.
    const server = createSecureHttp2Server({ cert: certificate, key }, (_, response) => {
      response.writeHead(200)
      response.end('{"backend": "secure"}')
    })
    const port = await listenHttp2(server)
    const shop = await startShop(
      [
        service(
          'cart',
          [endpoint({ host: '127.0.0.1', port })],
          'protocol: http2\nhealthCheck: {http: /, interval: 100ms}\noutlierDetection: off\ntls: {ca: ca, sni: cart.internal}',
        ),
        `kind: Secret\nname: ca\nca: {file: ${join(directory, 'ca.pem')}}`,
      ],
      { allowFile: [directory] },
    )
    await shop.envoy.waitForStat('cluster.cart.health_check.success', (value) => value > 0)
    await eventually(async () => expect(await share(shop, 'cart', 5)).toEqual({ secure: 5 }))
    expect(await shop.envoy.stat('cluster.cart.health_check.failure')).toBe(0)
  })

  test('is called by TLS, shown a certificate, and believed only by its own', async () => {
    const authority = await createAuthority()
    const directory = tempDir()
    writeAuthorities(directory, 'ca', [authority])
    const own = await authority.issue({ name: 'edge', sans: ['edge.internal'] })
    writeCertificate(directory, 'edge', own)
    const backend = await startBackend({
      name: 'secure',
      tls: {
        ...(await authority.issue({ name: 'cart', sans: ['cart.internal', 'host.example'] })),
        clientCa: authority.certificate,
      },
    })
    const file = (name: string): string => `{file: ${join(directory, name)}}`
    const secure = (name: string, tls: string): string =>
      service(name, [endpoint(backend)], `tls: {ca: ca, secret: edge, ${tls}}`)
    const shop = await startShop(
      [
        secure('named', 'sni: cart.internal'),
        secure('other', 'sni: cart.internal, verify: [prices.internal]'),
        secure('host', ''),
        `kind: Secret\nname: ca\nca: ${file('ca.pem')}`,
        `kind: Secret\nname: edge\ncertificate: {chain: ${file('edge.crt')}, key: ${file('edge.key')}}`,
      ],
      { allowFile: [directory] },
    )
    expect(await share(shop, 'named', 4)).toEqual({ secure: 4 })
    expect(await share(shop, 'other', 4)).toEqual({ 503: 4 })
    // By the host of the request, which the certificate has.
    expect(await share(shop, 'host', 4)).toEqual({ secure: 4 })
    expect(await shop.envoy.stat('cluster.other.ssl.fail_verify_san')).toBeGreaterThan(0)
    expect(await rejections(shop.controlPlane)).toBe(0)
  })

  testBothProtocols(
    'whose CA is not there yet is called by nobody over %s, holds up nothing else, and is called as soon as it is there',
    async (protocol) => {
      const authority = await createAuthority()
      const directory = tempDir()
      const secure = await startBackend({
        name: 'secure',
        tls: await authority.issue({ name: 'cart', sans: ['cart.internal'] }),
      })
      const [plain] = (await backends('plain')) as [Backend]
      const shop = await startShop(
        [
          service('cart', [endpoint(secure)], 'tls: {ca: ca, sni: cart.internal}\nversions: {v1: {version: none}}'),
          service('other', [endpoint(plain)]),
          `kind: Secret\nname: ca\nca: {file: ${join(directory, 'ca.pem')}}`,
        ],
        { allowFile: [directory] },
        protocol,
      )
      expect(await share(shop, 'other', 5)).toEqual({ plain: 5 })
      expect(await share(shop, 'cart', 5)).toEqual({ 503: 5 })
      expect(secure.requests).toBe(0)
      expect((await problems(shop.controlPlane.adminUrl)).map(({ code, path }) => `${code} ${path}`)).toEqual([
        'file ca',
        'withheld tls.ca',
        'no-endpoints versions.v1',
      ])
      writeAuthorities(directory, 'ca', [authority])
      await eventually(async () => expect(await share(shop, 'cart', 5)).toEqual({ secure: 5 }), { timeoutMs: 20_000 })
      expect(await rejections(shop.controlPlane)).toBe(0)
    },
  )

  test('is told who calls by the PROXY protocol', async () => {
    const heard: string[] = []
    const server = createServer((socket) => {
      let text = ''
      socket.on('data', (data) => {
        text += data.toString('latin1')
        if (!text.endsWith('\r\n\r\n')) return
        heard.push(text)
        const body = '{"backend": "proxied"}'
        socket.end(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`)
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    atTestEnd(() => new Promise<void>((resolve) => server.close(() => resolve())))
    const { port } = server.address() as AddressInfo
    const shop = await startShop([service('cart', [endpoint({ host: '127.0.0.1', port })], 'proxyProtocol: v1')])
    expect(await share(shop, 'cart', 1)).toEqual({ proxied: 1 })
    expect(heard).toEqual([
      expect.stringMatching(/^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ \d+\r\nGET \/ HTTP\/1\.1\r\n/),
    ])
  })
})
