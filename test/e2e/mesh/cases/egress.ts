import { expect } from 'vitest'
import { eventually } from '../../../support/poll.ts'
import type { App, MeshBed } from '../bed.ts'
import type { MeshCase } from '../suite.ts'
import { askByHttp2 } from './ask-by-http2.ts'
import { openProxy } from './open-shop.ts'

const host = 'api.partner.example'
const patience = { timeoutMs: 20_000 }

/** Apps at the name: they are on this machine, and not where sidecars listen. */
async function startOutside(bed: MeshBed): Promise<{ readonly outside: App; readonly secure: App }> {
  const address = '127.0.0.2'
  const names = await bed.names()
  names.set(host, address)
  // Nobody is there.
  names.set('other.example', '127.0.0.3')
  return {
    outside: await bed.app('outside', undefined, { host: address, port: await bed.port('outside') }),
    secure: await bed.app('secure', undefined, { host: address, port: await bed.port('secure'), protocol: 'https' }),
  }
}

const statusOf = async (bed: MeshBed, port: number, name: string): Promise<number> =>
  (await bed.ask(port, { host: name })).status

/** By Host and CONNECT, `outside` is reached at a name, and nothing else is. */
async function expectOnlyHost(bed: MeshBed, port: number, name: string, outside: App): Promise<void> {
  const listed = `${name}:${outside.port}`
  await eventually(async () => expect(await statusOf(bed, port, listed)).toBe(200), patience)
  expect((await bed.ask(port, { host: listed, path: '/a?b=1' })).app).toBe(outside.name)
  expect(outside.requests.at(-1)).toMatchObject({ path: '/a?b=1', headers: { host: listed } })
  expect(await bed.tunnel(port, listed)).toBe(200)
  const before = outside.requests.length
  for (const unlisted of ['evil.example', `evil.example:${outside.port}`, `127.0.0.3:${outside.port}`]) {
    expect(await bed.ask(port, { host: unlisted })).toMatchObject({ status: 403, app: undefined })
  }
  for (const other of [name, `${name}:1`]) {
    expect(await bed.ask(port, { host: other })).toMatchObject({ status: 403, body: 'port not allowed\n' })
  }
  expect(await bed.tunnel(port, 'evil.example:443')).toBe(403)
  expect(await bed.tunnel(port, `${name}:1`)).toBe(403)
  expect(outside.requests).toHaveLength(before)
}

/** By SNI, `outside` is reached at a name, and nothing else is. */
async function expectOnlyServerName(bed: MeshBed, port: number, name: string, outside: App): Promise<void> {
  await eventually(async () => expect(await bed.appByServerName(port, name)).toBe(outside.name), patience)
  expect(await bed.appByServerName(port, 'evil.example')).toBe(undefined)
}

export const egressCases: readonly MeshCase[] = [
  {
    rows: ['F80'],
    name: 'a gateway lets requests out to the hosts that it lists, by Host, CONNECT and SNI, and to no other',
    needs: ['http', 'egress'],
    async run(bed) {
      const outside = await bed.app('outside')
      const secure = await bed.app('secure', undefined, { protocol: 'https' })
      const edge = `kind: Gateway
name: edge
nodes: {cluster: edge}
listeners:
- {name: out, address: 127.0.0.1, port: \${out}, egress: {hosts: [localhost], ports: [\${outside}]}}
- {name: tls, address: 127.0.0.1, port: \${tls}, protocol: tls, egress: {hosts: [localhost], ports: [\${secure}]}}
`
      const { proxy, port } = await openProxy(bed, { edge }, 'edge', 'edge/out')
      await expectOnlyHost(bed, port, 'localhost', outside)
      // Nor by the address of a host that is listed.
      expect((await bed.ask(port, { host: `127.0.0.1:${outside.port}` })).status).toBe(403)
      await expectOnlyServerName(bed, await proxy.port('edge/tls'), 'localhost', secure)
      expect(await bed.problems()).toEqual([])
      expect(await proxy.count('rejections')).toBe(0)
    },
  },
  {
    rows: ['F80'],
    name: 'a sidecar that is called by ports lets out what the Mesh lists, beside Services, and nothing else',
    isLong: true,
    needs: ['http', 'sidecar', 'egress', 'dns'],
    async run(bed) {
      const { outside, secure } = await startOutside(bed)
      const cart = await bed.app('cart-app')
      const mesh = (more: string): string => `kind: Mesh
name: shop
egress: {hosts: [${host}${more}], ports: [\${outside}, \${secure}]}
---
kind: Service
name: cart
port: \${outside}
endpoints: {address: 127.0.0.1, port: \${cart-app}}
---
kind: Sidecar
name: web
nodes: {cluster: web}
accessLog: {off: true}
`
      const { proxy, port } = await openProxy(bed, { mesh: mesh('') }, 'web', `web/outbound/${outside.port}`)
      const load = bed.load({ port, host: 'cart' })
      await load.next(20)
      await expectOnlyHost(bed, port, host, outside)
      await expectOnlyServerName(bed, await proxy.port(`web/outbound/${secure.port}`), host, secure)
      expect((await bed.ask(port, { host: 'cart' })).app).toBe(cart.name)
      // One host more costs nobody a request.
      const other = `other.example:${outside.port}`
      expect(await statusOf(bed, port, other)).toBe(403)
      await bed.write({ mesh: mesh(', other.example') })
      // It is let out, though nobody is there.
      await eventually(async () => expect(await statusOf(bed, port, other)).toBe(503), patience)
      await load.next(50)
      expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
      expect(await proxy.count('rejections')).toBe(0)
    },
  },
  {
    rows: ['F80'],
    name: 'a sidecar whose workload is captured lets out what it lists itself, and nothing else',
    needs: ['http', 'sidecar', 'egress', 'dns'],
    async run(bed) {
      const { outside, secure } = await startOutside(bed)
      // At the port of the app that speaks TLS: nothing is captured here, so that is where a connection was going.
      const sidecar = (egress: string): string => `kind: Sidecar
name: web
nodes: {cluster: web}
capture: iptables
outbound: {port: \${secure}${egress}}
accessLog: {off: true}
`
      const { proxy, port } = await openProxy(bed, { web: sidecar('') }, 'web', 'web/outbound')
      expect(await statusOf(bed, port, `${host}:${outside.port}`)).toBe(403)
      expect(await bed.appByServerName(port, host)).toBe(undefined)
      await bed.write({ web: sidecar(`, egress: {hosts: ["*.partner.example"], ports: [\${outside}, \${secure}]}`) })
      await expectOnlyHost(bed, port, host, outside)
      await expectOnlyServerName(bed, port, host, secure)
      expect(await proxy.count('rejections')).toBe(0)
    },
  },
  {
    rows: ['F80', 'F47', 'F12'],
    name: 'a host outside is called as a Service is: in the version of HTTP that its caller speaks, and again where nobody was reached',
    needs: ['http', 'http2', 'retry', 'sidecar', 'egress', 'dns'],
    async run(bed) {
      const { outside } = await startOutside(bed)
      const second = await bed.app('second', undefined, {
        host: '127.0.0.2',
        port: await bed.port('second'),
        protocol: 'http2',
      })
      const ports = '[${outside}, ${second}, ${third}]'
      await bed.write({
        web: `kind: Sidecar
name: web
nodes: {cluster: web}
outbound: {egress: {hosts: ["*.example"], ports: ${ports}}}
accessLog: {off: true}
---
kind: Gateway
name: out
nodes: {cluster: out}
listeners:
- {name: http, address: 127.0.0.1, port: \${out}, egress: {hosts: ["*.example"], ports: ${ports}}}
`,
      })
      const [web, out] = [await bed.proxy('web'), await bed.proxy('out')]
      const nobody = 'other.example:1'.replace('1', String(await bed.port('third')))
      for (const [proxy, listener, cluster] of [
        [web, `web/outbound/${outside.port}`, 'web/egress'],
        [out, 'out/http', 'out/egress'],
      ] as const) {
        const port = await proxy.port(listener)
        const first = `${host}:${outside.port}`
        await eventually(async () => expect(await statusOf(bed, port, first)).toBe(200), patience)
        expect((await bed.ask(port, { host: first })).app, listener).toBe('outside')
        // Without TLS it speaks HTTP/2 alone, and only who knows that can call it.
        expect(await askByHttp2(port, '/', `${host}:${second.port}`), listener).toBe('second')
        const retries = async (method: string): Promise<number> => {
          const before = await proxy.count({ retriesTo: cluster })
          expect((await bed.ask(port, { host: nobody, method })).status, method).toBe(503)
          return (await proxy.count({ retriesTo: cluster })) - before
        }
        expect(await retries('GET'), listener).toBe(2)
        expect(await retries('POST'), listener).toBe(0)
        expect(await proxy.count('rejections')).toBe(0)
      }
    },
  },
  {
    rows: ['F80'],
    name: 'of a Route and a list of hosts outside the one has a request that names its host more exactly, and the Route where both do alike',
    needs: ['http', 'sidecar', 'egress', 'dns'],
    async run(bed) {
      const { outside } = await startOutside(bed)
      await bed.app('cart')
      const documents = (hosts: string, listed: string): string => `kind: Sidecar
name: web
nodes: {cluster: web}
outbound: {egress: {hosts: ["${listed}"], ports: [\${outside}]}}
accessLog: {off: true}
---
kind: Service
name: cart
port: \${outside}
endpoints: {address: 127.0.0.1, port: \${cart}}
---
kind: Route
name: partner
hosts: ["${hosts}"]
rules: {backends: cart}
`
      const first = { web: documents('*.partner.example', host) }
      const { proxy, port } = await openProxy(bed, first, 'web', `web/outbound/${outside.port}`)
      const appOf = async (name: string): Promise<string | undefined> =>
        (await bed.ask(port, { host: `${name}:${outside.port}` })).app
      await eventually(async () => expect(await appOf(host)).toBe('outside'), patience)
      expect(await appOf('b.partner.example')).toBe('cart')
      await bed.write({ web: documents(host, '*.partner.example') })
      await eventually(async () => expect(await appOf(host)).toBe('cart'), patience)
      await bed.write({ web: documents('*.partner.example', '*.partner.example') })
      await eventually(async () => expect(await appOf('b.partner.example')).toBe('cart'), patience)
      expect(await appOf(host)).toBe('cart')
      expect(await proxy.count('rejections')).toBe(0)
    },
  },
]
