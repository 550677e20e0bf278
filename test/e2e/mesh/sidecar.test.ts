import { once } from 'node:events'
import { renameSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'

import { join } from 'node:path'
import { expect, test } from 'vitest'
import { buildBootstrap } from '../../../src/cli/bootstrap-config.ts'
import { atTestEnd } from '../../support/at-test-end.ts'
import { startBackend } from '../../support/backend.ts'
import { problemsOf, rejections, startControlPlane, type TestControlPlane } from '../../support/control-plane.ts'
import { startEnvoy } from '../../support/envoy.ts'
import type { EnvoyProcess } from '../../support/envoy-process.ts'
import { freePorts } from '../../support/free-ports.ts'
import { describeWithEnvoy } from '../../support/needs.ts'
import { eventually } from '../../support/poll.ts'
import { testBothProtocols } from '../../support/side-by-side.ts'
import { tempDir } from '../../support/temp.ts'

const service = (name: string, port: number, endpoint: number, more = ''): string => `
kind: Service
name: ${name}
port: ${port}
endpoints: {address: 127.0.0.1, port: ${endpoint}}
${more}
`

interface SidecarSpec {
  readonly inbound?: string
  readonly calls?: readonly string[]
  readonly nodes?: string
}

/** Proxies of one host would all listen for what they call: each calls something else. */
const sidecar = (name: string, { inbound, calls, nodes = `{cluster: ${name}}` }: SidecarSpec): string => `
kind: Sidecar
name: ${name}
nodes: ${nodes}
${inbound === undefined ? '' : `service: ${name}\ninbound: ${inbound}`}
${calls === undefined ? '' : `outbound: {services: [${calls.join(', ')}]}`}
accessLog: {off: true}
`

/** Whole or not at all, as an editor or a deployment does it. */
function write(directory: string, file: string, ...documents: readonly string[]): void {
  writeFileSync(join(directory, `.${file}`), documents.join('---'))
  renameSync(join(directory, `.${file}`), join(directory, file))
}

async function startProxy(
  server: TestControlPlane,
  cluster: string,
  delta: boolean,
  metadata: Readonly<Record<string, unknown>> = {},
): Promise<EnvoyProcess> {
  const bootstrap = buildBootstrap({
    id: `${cluster}-1`,
    cluster,
    server: server.server,
    delta,
    metadata,
    adminPort: 0,
  })
  const envoy = await startEnvoy({ bootstrap })
  await envoy.waitLive()
  return envoy
}

/** Names of what an Envoy has by the control plane, of one type: `dynamic_active_clusters`. */
async function dynamicNames(envoy: EnvoyProcess, kind: 'cluster' | 'route_config'): Promise<readonly string[]> {
  const text = JSON.stringify(await envoy.configDump())
  const wanted =
    kind === 'cluster'
      ? /"cluster":\{"@type":"[^"]*Cluster","name":"([^"]+)"/g
      : /"route_config":\{"@type":"[^"]*RouteConfiguration","name":"([^"]+)"/g
  const names = [...text.matchAll(wanted)].flatMap(([, name]) =>
    name === undefined || name === 'fairlead' ? [] : [name],
  )
  return [...new Set(names)].sort()
}

const answer = async (port: number, host: string, path = '/'): Promise<readonly [number, string]> => {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, headers: { host } }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        body += chunk
      })
      response.on('end', () => resolve([response.statusCode ?? 0, body]))
    })
    sent.once('error', reject)
    sent.end()
  })
}

const routed = (port: number, host: string, path = '/'): Promise<string> =>
  eventually(
    async () => {
      const [status, body] = await answer(port, host, path)
      if (status !== 200) throw new Error(`${status} ${body}`)
      return body
    },
    { timeoutMs: 15_000 },
  )

describeWithEnvoy('sidecars that are called by ports', () => {
  testBothProtocols('pass a request on from workload to workload, and each counts it, over %s', async (protocol) => {
    const [backend, outside] = [await startBackend({ name: 'cart' }), await startBackend({ name: 'legacy' })]
    const [cartPort = 0, legacyPort = 0, inbound = 0, other = 0] = await freePorts(4)
    const config = tempDir()
    write(
      config,
      'mesh.yaml',
      service('cart', cartPort, inbound),
      service('legacy', legacyPort, outside.port),
      service('other', other, outside.port),
      sidecar('web', { calls: ['cart', 'legacy'] }),
      sidecar('cart', { inbound: `{port: ${inbound}, app: "127.0.0.1:${backend.port}"}`, calls: ['other'] }),
    )
    const server = await startControlPlane({ config: [config] })
    const [web, cart] = await Promise.all([
      startProxy(server, 'web', protocol === 'delta'),
      startProxy(server, 'cart', protocol === 'delta'),
    ])
    const body = await routed(cartPort, `cart:${cartPort}`, '/a//b%2Fc?x=1')
    // What two workloads say to each other is nobody's to change.
    expect(JSON.parse(body)).toEqual({ backend: 'cart', host: `cart:${cartPort}`, path: '/a//b%2Fc?x=1' })
    expect(await web.stat(`http.web/outbound/${cartPort}.downstream_rq_2xx`)).toBeGreaterThan(0)
    expect(await cart.stat('http.cart/inbound.downstream_rq_2xx')).toBeGreaterThan(0)
    expect(await cart.stat('cluster.cart/app.upstream_rq_2xx')).toBeGreaterThan(0)

    // A Service that has no sidecar is called directly, and a host of no Service is refused.
    expect(JSON.parse(await routed(legacyPort, 'legacy'))).toMatchObject({ backend: 'legacy' })
    expect(await answer(cartPort, 'nowhere.example')).toEqual([403, 'This host is not in the mesh.\n'])

    // Each has what it calls, and nothing else.
    expect(await dynamicNames(web, 'cluster')).toEqual(['cart', 'legacy'])
    expect(await dynamicNames(cart, 'cluster')).toEqual(['cart/app', 'other'])
    expect(await dynamicNames(web, 'route_config')).toEqual(['web/outbound'])
    expect(problemsOf(server)).toEqual([])
    expect(await rejections(server)).toBe(0)
  })

  test('serve all workloads of a host by one proxy, TCP among them', async () => {
    const app = await startBackend({ name: 'cart' })
    const echo = await startEcho()
    const [cartIn = 0, queueIn = 0, cartPort = 0, queuePort = 0] = await freePorts(4)
    const config = tempDir()
    write(
      config,
      'mesh.yaml',
      service('cart', cartPort, cartIn),
      service('queue', queuePort, queueIn, 'protocol: tcp'),
      `
kind: Sidecar
name: host-1
nodes: {id: host-1}
inbound:
- {port: ${cartIn}, app: "127.0.0.1:${app.port}", service: cart}
- {port: ${queueIn}, app: "127.0.0.1:${echo}", service: queue}
`,
    )
    const server = await startControlPlane({ config: [config] })
    const envoy = await startEnvoy({
      bootstrap: buildBootstrap({ id: 'host-1', cluster: 'hosts', server: server.server, delta: true, adminPort: 0 }),
    })
    await envoy.waitLive()
    expect(JSON.parse(await routed(cartPort, 'cart'))).toMatchObject({ backend: 'cart' })
    expect(await said(queuePort, 'hello')).toBe('hello')
    expect(await envoy.stat('http.host-1/inbound/cart.downstream_rq_2xx')).toBeGreaterThan(0)
    expect(await envoy.stat('tcp.host-1/inbound/queue.downstream_cx_total')).toBe(1)
    expect(await dynamicNames(envoy, 'route_config')).toEqual(['host-1/inbound/cart', 'mesh/outbound'])
    expect(await rejections(server)).toBe(0)
  })

  test('of one environment hear nothing of another', async () => {
    const [one, two] = [await startBackend({ name: 'one' }), await startBackend({ name: 'two' })]
    const [onePort = 0, twoPort = 0] = await freePorts(2)
    const config = tempDir()
    write(
      config,
      'mesh.yaml',
      service('one', onePort, one.port),
      service('two', twoPort, two.port),
      sidecar('a', { nodes: '{metadata: {env: a}}', calls: ['one'] }),
      sidecar('b', { nodes: '{metadata: {env: b}}', calls: ['two'] }),
    )
    const server = await startControlPlane({ config: [config] })
    const [a, b, none] = [
      await startProxy(server, 'web', true, { env: 'a' }),
      await startProxy(server, 'web', true, { env: 'b' }),
      await startProxy(server, 'web', true),
    ]
    await routed(onePort, 'one')
    await routed(twoPort, 'two')
    expect(await dynamicNames(a, 'cluster')).toEqual(['one'])
    expect(await dynamicNames(b, 'cluster')).toEqual(['two'])
    expect(await dynamicNames(none, 'cluster')).toEqual([])
    expect(JSON.stringify(await a.configDump())).not.toContain('b/outbound')
  })
})

/** Answers what it is told. */
async function startEcho(): Promise<number> {
  const server: Server = createServer((socket) => {
    socket.on('error', () => {})
    socket.pipe(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  atTestEnd(() => {
    server.close()
  })
  return (server.address() as AddressInfo).port
}

async function said(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write(text)
  const [heard] = (await once(socket, 'data')) as [Buffer]
  socket.destroy()
  return heard.toString()
}
