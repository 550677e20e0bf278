import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { expect } from 'vitest'
import { atTestEnd } from '../../../support/at-test-end.ts'
import { eventually } from '../../../support/poll.ts'
import type { MeshCase } from '../suite.ts'
import { askByHttp2 } from './ask-by-http2.ts'
import { route, service } from './shop-documents.ts'

/** Says what it hears, and ends when it has said it. */
async function startEcho(): Promise<{ readonly port: number; readonly taken: number }> {
  let taken = 0
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    taken += 1
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.pipe(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  atTestEnd(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return {
    port: (server.address() as AddressInfo).port,
    get taken() {
      return taken
    },
  }
}

/** Sends so many chunks and the end, and resolves to the SHA-256 of all that comes back. */
async function echoed(port: number, chunk: Buffer, chunks: number): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true })
  atTestEnd(() => void socket.destroy())
  const hash = createHash('sha256')
  socket.on('data', (bytes: Buffer) => hash.update(bytes))
  for (let sent = 0; sent < chunks; sent++) if (!socket.write(chunk)) await once(socket, 'drain')
  socket.end()
  await once(socket, 'end')
  return hash.digest('hex')
}

const twoListeners = (more: string): string => `kind: Gateway
name: edge
nodes: {cluster: edge}
listeners:
- {name: shop, address: 127.0.0.1, port: \${shop-port}, hosts: ["*.shop.example"]}
- {name: admin, address: 127.0.0.1, port: \${admin-port}, hosts: [admin.example]${more}}
`

export const gatewayCases: readonly MeshCase[] = [
  {
    rows: ['F34'],
    name: 'a listener serves the hosts that are its own, and no others',
    needs: ['http'],
    async run(bed) {
      await bed.app('one')
      const shop = `${route('shop', '- {backends: cart}')}hosts: [www.shop.example, admin.example]\n`
      await bed.write({ cart: service('cart', ['one']), edge: twoListeners(''), shop })
      const proxy = await bed.proxy('edge')
      const [shopPort, adminPort] = [await proxy.port('edge/shop'), await proxy.port('edge/admin')]
      const statusOf = async (port: number, host: string): Promise<number> => (await bed.ask(port, { host })).status
      expect(await statusOf(shopPort, 'www.shop.example')).toBe(200)
      expect(await statusOf(shopPort, 'WWW.shop.example:8080')).toBe(200)
      expect(await statusOf(shopPort, 'admin.example')).toBe(404)
      expect(await statusOf(adminPort, 'admin.example')).toBe(200)
      expect(await statusOf(adminPort, 'www.shop.example')).toBe(404)
    },
  },
  {
    rows: ['F74'],
    name: 'a Route that comes or goes changes no listener, and a listener that changes loses no request of others',
    needs: ['http'],
    async run(bed) {
      await bed.app('one')
      const shop = `${route('shop', '- {backends: cart}')}hosts: www.shop.example\n`
      const admin = `${route('admin', '- {backends: cart}')}hosts: admin.example\n`
      await bed.write({ cart: service('cart', ['one']), edge: twoListeners(''), shop })
      const proxy = await bed.proxy('edge')
      const adminPort = await proxy.port('edge/admin')
      const load = bed.load({ port: await proxy.port('edge/shop'), host: 'www.shop.example' })
      await load.next(20)
      const changed = await proxy.count('listeners changed')
      for (const [document, status] of [
        [admin, 200],
        [undefined, 404],
        [admin, 200],
      ] as const) {
        await bed.write({ admin: document })
        await eventually(async () => (await bed.ask(adminPort, { host: 'admin.example' })).status === status)
      }
      expect((await proxy.count('listeners changed')) - changed).toBe(0)
      await bed.write({ edge: twoListeners(', maxHeaderSize: 2KiB') })
      const long = { host: 'admin.example', headers: { 'x-long': 'x'.repeat(3_000) } }
      // On a new connection: an old one is served out as it was.
      await eventually(async () => expect(await bed.send(adminPort, 1, long)).toEqual({ 431: 1 }))
      await load.next(50)
      expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
      expect(await proxy.count('listeners changed')).toBeGreaterThan(changed)
      expect(await proxy.count({ drainedBy: 'edge/shop' })).toBe(0)
    },
  },
  {
    rows: ['Y11'],
    name: 'a document with an error leaves what was there in force, and says where it is wrong',
    needs: ['http'],
    isAboutSources: true,
    async run(bed) {
      await bed.app('one')
      const shop = `${route('shop', '- {backends: cart}')}hosts: www.shop.example\n`
      await bed.write({ cart: service('cart', ['one']), edge: twoListeners(''), shop })
      const proxy = await bed.proxy('edge')
      const load = bed.load({ port: await proxy.port('edge/shop'), host: 'www.shop.example' })
      await load.next(20)
      await bed.write({ shop: shop.replace('backends: cart', 'backends: crat') })
      await bed.waitForProblems(['dangling-reference'])
      const [problem] = await bed.problems()
      expect(problem).toMatchObject({ path: 'rules[0].backends', fix: 'did you mean "cart"?' })
      await load.next(50)
      await bed.write({ shop })
      await bed.waitForProblems([])
      expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
      expect(await proxy.count('rejections')).toBe(0)
    },
  },
  {
    rows: ['F46', 'Y48'],
    name: '100 MB of TCP arrive byte for byte, and connections are shared by weight',
    isLong: true,
    needs: ['tcp', 'weights'],
    async run(bed) {
      const [one, two] = [await startEcho(), await startEcho()]
      const backends = '[{service: one, weight: 3}, {service: two, weight: 1}, {service: nobody, weight: 0}]'
      const endpoint = (name: string, port: number): string =>
        `kind: Service\nname: ${name}\nprotocol: tcp\nendpoints: {address: 127.0.0.1, port: ${port}}\n`
      await bed.write({
        one: endpoint('one', one.port),
        two: endpoint('two', two.port),
        nobody: endpoint('nobody', await bed.port('nobody')),
        edge: `kind: Gateway
name: edge
nodes: {cluster: edge}
listeners:
- {name: one, address: 127.0.0.1, port: \${one}, protocol: tcp, service: one}
- {name: both, address: 127.0.0.1, port: \${both}, protocol: tcp, backends: ${backends}}
`,
      })
      const proxy = await bed.proxy('edge')
      const chunk = randomBytes(1024 * 1024)
      const hash = createHash('sha256')
      for (let sent = 0; sent < 100; sent++) hash.update(chunk)
      expect(await echoed(await proxy.port('edge/one'), chunk, 100)).toBe(hash.digest('hex'))
      const port = await proxy.port('edge/both')
      const before = one.taken
      for (let batch = 0; batch < 20; batch++) {
        await Promise.all(Array.from({ length: 20 }, () => echoed(port, chunk.subarray(0, 10), 1)))
      }
      expect(one.taken - before + two.taken).toBe(400)
      // Four standard deviations of 300.
      expect(Math.abs(one.taken - before - 300)).toBeLessThan(35)
      expect(await bed.problems()).toEqual([])
    },
  },
  {
    rows: ['F47', 'Y48'],
    name: 'who speaks HTTP/1.1 and who speaks HTTP/2 reach each other, both ways',
    needs: ['http', 'http2'],
    async run(bed) {
      await bed.app('one')
      await bed.app('two', undefined, { protocol: 'http2' })
      await bed.write({
        one: service('one', ['one']),
        two: service('two', ['two'], 'protocol: http2\n'),
        edge: `kind: Gateway
name: edge
nodes: {cluster: edge}
listeners:
- {name: http, address: 127.0.0.1, port: \${edge}}
- {name: http2, address: 127.0.0.1, port: \${edge-2}, protocol: http2}
`,
        shop: route('shop', '- {match: {path: /one}, backends: one}\n- {match: {path: /two}, backends: two}'),
      })
      const proxy = await bed.proxy('edge')
      const [either, second] = [await proxy.port('edge/http'), await proxy.port('edge/http2')]
      for (const app of ['one', 'two']) {
        expect((await bed.ask(either, { path: `/${app}` })).app, `HTTP/1.1 to ${app}`).toBe(app)
        expect(await askByHttp2(either, `/${app}`), `HTTP/2 to ${app}`).toBe(app)
        expect(await askByHttp2(second, `/${app}`), `HTTP/2 alone to ${app}`).toBe(app)
      }
    },
  },
]
