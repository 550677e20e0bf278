import { expect } from 'vitest'
import { eventually } from '../../../support/poll.ts'
import type { MeshCase } from '../suite.ts'
import { calm, service } from './shop-documents.ts'

const mesh = (timeout: string): string => `kind: Mesh\nname: shop\ndefaults: {timeout: ${timeout}}\n`

const gatewayOf = (name: string, nodes: string, more = ''): string => `kind: Gateway
name: ${name}
nodes: ${nodes}
listeners:
- {name: http, address: 127.0.0.1, port: \${${name}-port}}
${more}`

export const defaultsCases: readonly MeshCase[] = [
  {
    rows: ['F36', 'F77'],
    name: 'what the Mesh says holds for every proxy, until a Gateway or a rule says otherwise for its own',
    needs: ['http'],
    async run(bed) {
      await bed.app('slow', () => ({ delayMs: 600 }))
      const names = ['a', 'b', 'c']
      const patient = 'defaults: {timeout: 5.777s}\n'
      const shop = `kind: Route
name: shop
gateways: [${names.join(', ')}]
rules:
- {match: {path: /patient}, backends: cart, timeout: 6.888s}
- {backends: cart}
`
      await bed.write({
        mesh: mesh('5s'),
        cart: service('cart', ['slow'], calm),
        shop,
        ...Object.fromEntries(names.map((name) => [name, gatewayOf(name, `{cluster: ${name}}`)])),
      })
      const proxies = await Promise.all(names.map((name) => bed.proxy(name)))
      const ports = await Promise.all(proxies.map((proxy, index) => proxy.port(`${names[index]}/http`)))
      const statuses = (path = '/') => Promise.all(ports.map(async (port) => (await bed.ask(port, { path })).status))
      const knowing = (text: string) => Promise.all(proxies.map((proxy) => proxy.knows(text)))
      expect(await statuses()).toEqual([200, 200, 200])

      const began = performance.now()
      await bed.write({ mesh: mesh('0.111s') })
      await Promise.all(proxies.map((proxy) => eventually(() => proxy.knows('0.111s'))))
      console.log(`a change of the Mesh was in force in ${names.length} proxies after ${msSince(began)} ms`)
      expect(await statuses()).toEqual([504, 504, 504])
      expect(await statuses('/patient')).toEqual([200, 200, 200])

      await bed.write({ b: gatewayOf('b', '{cluster: b}', patient) })
      await eventually(async () => expect(await knowing('5.777s')).toEqual([false, true, false]))
      expect(await statuses()).toEqual([504, 200, 504])
      expect(await knowing('6.888s')).toEqual([true, true, true])
      for (const proxy of proxies) expect(await proxy.count('rejections')).toBe(0)
    },
  },
  {
    rows: ['F25', 'Y15'],
    name: 'an environment hears nothing of another, and its requests reach nothing of another',
    needs: ['http'],
    async run(bed) {
      const prod = await bed.app('prod')
      const staging = await bed.app('staging')
      await bed.write({
        'cart-prod': service('cart-prod', ['prod']),
        'cart-staging': service('cart-staging', ['staging']),
        prod: gatewayOf('prod', '{metadata: {env: prod}}'),
        staging: gatewayOf('staging', '{metadata: {env: staging}}'),
        routes: `kind: Route
name: prod
gateways: prod
rules:
- {match: {headers: {x-env: staging}}, backends: cart-staging}
- {backends: cart-prod}
---
kind: Route
name: staging
gateways: staging
rules: {backends: cart-staging}
`,
      })
      const [inProd, inStaging, nowhere] = await Promise.all([
        bed.proxy('edge', { id: 'edge-1', metadata: { env: 'prod' } }),
        bed.proxy('edge', { id: 'edge-2', metadata: { env: 'staging' } }),
        bed.proxy('edge', { id: 'edge-3' }),
      ])
      const prodPort = await inProd.port('prod/http')
      const stagingPort = await inStaging.port('staging/http')
      expect(await bed.send(stagingPort, 50)).toEqual({ staging: 50 })
      expect(await bed.send(prodPort, 50, { headers: { 'x-env': 'staging' } })).toEqual({ staging: 50 })
      expect(prod.requests).toEqual([])
      expect(await bed.send(prodPort, 50)).toEqual({ prod: 50 })
      expect(staging.requests).toHaveLength(100)

      for (const word of ['prod/http', 'cart-prod']) expect(await inStaging.knows(word), word).toBe(false)
      expect(await inStaging.knows('cart-staging')).toBe(true)
      expect(await inProd.knows('staging/http')).toBe(false)
      expect(await inProd.knows('cart-prod')).toBe(true)
      for (const word of ['prod/http', 'staging/http', 'cart']) expect(await nowhere.knows(word), word).toBe(false)
    },
  },
]

const msSince = (began: number): string => (performance.now() - began).toFixed(0)
