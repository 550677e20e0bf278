import { expect } from 'vitest'
import type { MeshCase } from '../suite.ts'
import { route, service } from './shop-documents.ts'

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
    name: 'a Route that comes or goes changes no listener and loses no request of others',
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
        await expect.poll(async () => (await bed.ask(adminPort, { host: 'admin.example' })).status).toBe(status)
      }
      expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
      expect((await proxy.count('listeners changed')) - changed).toBe(0)
    },
  },
  {
    rows: ['Y5'],
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
    },
  },
]
