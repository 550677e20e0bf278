import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { eventually } from '../../../support/poll.ts'
import type { MeshBed } from '../bed.ts'
import type { MeshCase } from '../suite.ts'
import { askInEachLanguage, languagesHere, startPythonApp } from './languages.ts'
import { loggingGateway, route } from './shop-documents.ts'

/** A Service on a port of its own, `${<name>-port}`, whose endpoint is `${<endpoint>}`. */
const service = (name: string, endpoint: string, more = ''): string => `kind: Service
name: ${name}
port: \${${name}-port}
endpoints: {address: 127.0.0.1, port: \${${endpoint}}}
${more}`

/** Takes requests for the app of its name on `${<name>-in}`. Proxies of one host would all listen for what they call: each calls something else. */
const sidecar = (name: string, calls: string): string => `kind: Sidecar
name: ${name}
nodes: {cluster: ${name}}
service: ${name}
inbound: {port: \${${name}-in}, app: "127.0.0.1:\${${name}}"}
outbound: {services: [${calls}]}
accessLog: off
`

const caller = (name: string, ...calls: readonly string[]): string => `kind: Sidecar
name: ${name}
nodes: {cluster: ${name}}
outbound: {services: [${calls.join(', ')}]}
accessLog: off
`

/** Resolves when a request through that port reaches an app. */
const reaches = async (bed: MeshBed, port: number, host: string): Promise<void> => {
  await eventually(async () => expect((await bed.ask(port, { host })).status).toBe(200), { timeoutMs: 15_000 })
}

/** What of an answer says which of the apps of several languages it is from. */
const tellOf = (name: string): string => (name === 'cart' ? '"backend":"cart"' : 'from python')

/** What proxies add to a request that goes through two of them, and nothing else. */
const addedHeaders = ['x-envoy-expected-rq-timeout-ms', 'x-forwarded-proto', 'x-request-id']
const addedToAnswers = ['x-envoy-upstream-service-time']

export const sidecarCases: readonly MeshCase[] = [
  {
    rows: ['Y1', 'F34', 'F54', 'F73', 'Y39'],
    name: 'a request goes from workload to workload, and in by the gateway, as it was sent',
    needs: ['http', 'sidecar'],
    async run(bed) {
      const cart = await bed.app('cart')
      await bed.app('legacy')
      await bed.app('beta')
      await bed.write({
        cart: `kind: Service
name: cart
port: \${cart-port}
endpoints:
- {address: 127.0.0.1, port: \${cart-in}, labels: {version: v1}}
- {address: 127.0.0.1, port: \${beta}, labels: {version: beta}}
versions: {v1: {version: v1}, beta: {version: beta}}
`,
        legacy: service('legacy', 'legacy'),
        other: service('other', 'legacy'),
        web: caller('web', 'cart', 'legacy'),
        'cart-sidecar': sidecar('cart', 'other'),
        edge: `kind: Gateway
name: edge
nodes: {cluster: edge}
accessLog: off
listeners: [{name: http, address: 127.0.0.1, port: \${edge}}]
`,
        routes: `kind: Route
name: cart
hosts: cart
gateways: [mesh, edge]
rules:
- {match: {headers: {x-group: stable}}, backends: {service: cart, version: v1}}
- {match: {headers: {x-group: beta}}, backends: {service: cart, version: beta}}
- {backends: {service: cart, version: v1}}
`,
      })
      const [web, own, edge] = await Promise.all([bed.proxy('web'), bed.proxy('cart'), bed.proxy('edge')])
      const port = await bed.port('cart-port')
      const direct = await bed.port('cart')
      await own.port('cart/inbound')
      await reaches(bed, port, 'cart')
      const [outbound, inbound] = [{ requestsBy: `web/outbound/${port}` }, { requestsBy: 'cart/inbound' }] as const
      const before = [await web.count(outbound), await own.count(inbound)] as const

      // A body of 10 MB, to where a header says, by two proxies and without any: the app cannot tell.
      const body = Buffer.alloc(10 * 1024 * 1024, 'fairlead ')
      const bodyHash = createHash('sha256').update(body).digest('hex')
      const question = {
        method: 'POST',
        host: 'cart',
        path: '/a//b%2Fc?x=1',
        headers: { 'x-group': 'stable', 'X-Under_Score': 'a, b', cookie: 'a=1; b=2' },
        body,
      }
      const answers = [await bed.ask(direct, question), await bed.ask(port, question)]
      expect(answers[1]).toMatchObject({ status: 200, app: 'cart', body: answers[0]?.body })
      const [alone, meshed] = cart.requests.slice(-2)
      expect([alone?.bodyHash, meshed?.bodyHash]).toEqual([bodyHash, bodyHash])
      expect([meshed?.method, meshed?.path]).toEqual([alone?.method, alone?.path])
      const { connection: _, ...asked } = alone?.headers ?? {}
      expect(meshed?.headers).toMatchObject(asked)
      const added = Object.keys(meshed?.headers ?? {}).filter((name) => !(name in asked))
      expect(added.sort()).toEqual(addedHeaders)
      const [plain, proxied] = answers.map(({ headers: { connection: __, date: ___, ...rest } }) => rest)
      expect(Object.keys(proxied ?? {}).filter((name) => !(name in (plain ?? {})))).toEqual(addedToAnswers)
      expect(proxied).toMatchObject(plain ?? {})
      expect(await web.count(outbound)).toBe(before[0] + 1)
      expect(await own.count(inbound)).toBe(before[1] + 1)

      // Who is called need have no proxy, and who calls neither.
      expect((await bed.ask(port, { host: 'cart', headers: { 'x-group': 'beta' } })).app).toBe('beta')
      expect((await bed.ask(await bed.port('legacy-port'), { host: 'legacy' })).app).toBe('legacy')
      expect((await bed.ask(await bed.port('cart-in'), { host: 'cart' })).app).toBe('cart')
      expect((await bed.ask(await edge.port('edge/http'), { host: 'cart' })).app).toBe('cart')
      expect(await own.count(inbound)).toBe(before[1] + 3)
      expect(await bed.ask(port, { host: 'nowhere.example' })).toMatchObject({ status: 403, app: undefined })
      for (const proxy of [web, own, edge]) expect(await proxy.count('rejections')).toBe(0)
    },
  },
  {
    rows: ['Y2', 'F55'],
    name: 'one proxy for all workloads of a host answers as one proxy for each does',
    needs: ['http', 'sidecar'],
    async run(bed) {
      for (const app of ['cart', 'prices']) await bed.app(app)
      const inbound = (name: string): string => `{port: \${${name}-in}, app: "127.0.0.1:\${${name}}", service: ${name}}`
      await bed.write({
        cart: service('cart', 'cart-in'),
        prices: service('prices', 'prices-in'),
        host: `kind: Sidecar
name: host
nodes: {cluster: host}
inbound: [${inbound('cart')}, ${inbound('prices')}]
accessLog: off
`,
        routes: `kind: Route
name: cart
hosts: cart
rules:
- {match: {path: {prefix: /prices}}, backends: prices, rewrite: {prefix: /}}
- {match: {path: /gone}, respond: {status: 410, body: gone}}
- {backends: cart}
`,
      })
      const questions = [
        { host: 'cart', path: '/x' },
        { host: 'cart', path: '/prices/x?y' },
        { host: 'cart', path: '/gone' },
        { host: 'cart', method: 'POST', path: '/x', body: Buffer.from('body') },
        { host: 'prices', path: '/x' },
        { host: 'nowhere.example', path: '/x' },
      ]
      const ports = [await bed.port('cart-port'), await bed.port('prices-port')] as const
      const answers = async () => {
        const all: unknown[] = []
        for (const question of questions) {
          const { status, app, body } = await bed.ask(question.host === 'prices' ? ports[1] : ports[0], question)
          all.push({ status, app, body })
        }
        return all
      }
      const host = await bed.proxy('host')
      await Promise.all([reaches(bed, ports[0], 'cart'), reaches(bed, ports[1], 'prices')])
      const byOne = await answers()
      expect(byOne).toMatchObject([
        { status: 200, app: 'cart' },
        { status: 200, app: 'prices' },
        { status: 410, body: 'gone' },
        { status: 200, app: 'cart' },
        { status: 200, app: 'prices' },
        { status: 403 },
      ])
      await host.close()

      await bed.write({
        host: undefined,
        cart: `${service('cart', 'cart-in')}---\n${sidecar('cart', 'none')}---\n${service('none', 'none')}`,
        prices: `${service('prices', 'prices-in')}---\n${sidecar('prices', 'nobody')}---\n${service('nobody', 'nobody')}`,
        web: caller('web', 'cart', 'prices'),
      })
      await Promise.all(['cart', 'prices', 'web'].map((name) => bed.proxy(name)))
      await Promise.all([reaches(bed, ports[0], 'cart'), reaches(bed, ports[1], 'prices')])
      expect(await answers()).toEqual(byOne)
    },
  },
  {
    rows: ['F66'],
    name: 'Services go into the mesh one by one, and one goes back, without losing a request',
    needs: ['http', 'sidecar'],
    async run(bed) {
      const names = ['cart', 'prices']
      for (const name of names) await bed.app(name)
      await bed.write({
        web: caller('web', ...names),
        ...Object.fromEntries(names.map((name) => [name, service(name, name)])),
        ...Object.fromEntries(names.map((name) => [`${name}-sidecar`, sidecar(name, `other-${name}`)])),
        ...Object.fromEntries(names.map((name) => [`other-${name}`, service(`other-${name}`, name)])),
      })
      const [web, ...others] = await Promise.all(['web', ...names].map((name) => bed.proxy(name)))
      if (web === undefined) throw new Error('no proxy')
      const ports = await Promise.all(names.map((name) => bed.port(`${name}-port`)))
      for (const [index, name] of names.entries()) {
        await others[index]?.port(`${name}/inbound`)
        await reaches(bed, ports[index] as number, name)
      }
      const changed = await web.count('clusters changed')
      const loads = names.map((name, index) => bed.load({ port: ports[index] as number, host: name, rate: 100 }))
      await Promise.all(loads.map((load) => load.next(30)))
      const inbound = async (index: number): Promise<number> =>
        (await others[index]?.count({ requestsBy: `${names[index]}/inbound` })) ?? 0
      expect([await inbound(0), await inbound(1)]).toEqual([0, 0])

      for (const [index, name] of names.entries()) {
        await bed.write({ [name]: service(name, `${name}-in`) })
        await eventually(async () => (await inbound(index)) > 30, { timeoutMs: 15_000 })
      }
      await bed.write({ cart: service('cart', 'cart') })
      await eventually(
        async () => {
          const before = await inbound(0)
          await loads[0]?.next(50)
          return (await inbound(0)) === before
        },
        { timeoutMs: 15_000 },
      )
      for (const load of loads) expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
      // By endpoints alone: nothing of what is warm was lost.
      expect(await web.count('clusters changed')).toBe(changed)
      expect(await web.count('rejections')).toBe(0)
    },
  },
  {
    rows: ['F64', 'Y40'],
    name: `programs of any language (${languagesHere.join(', ')}) call a Service by a name, and are called, with no library`,
    isLong: true,
    needs: ['http', 'sidecar'],
    async run(bed) {
      await bed.app('cart')
      const python = await startPythonApp()
      const names = ['cart', ...(python === undefined ? [] : ['snake'])]
      await bed.write({
        cart: service('cart', 'cart'),
        snake: python === undefined ? undefined : service('snake', 'unused').replace('${unused}', String(python)),
        web: caller('web', ...names),
      })
      const proxy = await bed.proxy('web')
      for (const name of names) {
        const port = await bed.port(`${name}-port`)
        // A name that the machine itself knows: no program is told of another host, or that there is a proxy.
        await bed.write({ names: `kind: Route\nname: names\nhosts: localhost\nrules: [{backends: ${name}}]\n` })
        await eventually(async () => expect((await bed.ask(port, { host: 'localhost' })).body).toContain(tellOf(name)))
        const before = await proxy.count({ requestsTo: name })
        const answers = await askInEachLanguage(`http://localhost:${port}/`)
        expect(Object.keys(answers)).toEqual(languagesHere)
        for (const [language, answer] of Object.entries(answers)) {
          expect(answer, language).toContain(tellOf(name))
        }
        expect((await proxy.count({ requestsTo: name })) - before).toBe(Object.keys(answers).length)
      }
    },
  },
  {
    rows: ['F14'],
    name: 'who calls on within a request has what is left of its time, and the whole ends when the first caller gives up',
    needs: ['http', 'sidecar', 'access log'],
    async run(bed) {
      const budgetHeader = 'x-envoy-expected-rq-timeout-ms'
      const prices = await bed.app('prices', () => ({ delayMs: 3_000 }))
      const calls: { readonly status: number; readonly tookMs: number }[] = []
      await bed.app('cart', async ({ headers }) => {
        await sleep(100)
        const left = Number(headers[budgetHeader]) - 100
        const began = performance.now()
        const question = { host: 'prices', headers: { [budgetHeader]: String(left) } }
        const { status } = await bed.ask(await bed.port('prices-port'), question)
        calls.push({ status, tookMs: performance.now() - began })
        return { status }
      })
      await bed.write({
        cart: service('cart', 'cart-in'),
        prices: service('prices', 'prices-in'),
        'cart-sidecar': sidecar('cart', 'prices'),
        'prices-sidecar': sidecar('prices', 'other'),
        other: service('other', 'prices'),
        edge: loggingGateway,
        shop: route('shop', '- {backends: cart, timeout: 300ms}'),
      })
      const [edge, own, other] = await Promise.all(['edge', 'cart', 'prices'].map((name) => bed.proxy(name)))
      await Promise.all([own?.port('cart/inbound'), other?.port('prices/inbound')])
      const port = (await edge?.port('edge/http')) ?? 0
      expect(await bed.send(port, 3, {}, 3)).toEqual({ 504: 3 })
      const took = (await bed.logged(3)).map(({ tookMs }) => Number(tookMs)).sort((a, b) => a - b)
      expect(took[0]).toBeGreaterThan(250)
      expect(took[0]).toBeLessThan(350)
      await eventually(() => calls.length === 3)
      for (const { status } of calls) expect(status).toBe(504)
      // Of 200 ms that were left, and not the 15 s that its own route has; this process is kept busy by other cases.
      expect(Math.min(...calls.map(({ tookMs }) => tookMs))).toBeLessThan(1_000)
      expect(prices.requests.map(({ headers }) => headers[budgetHeader])).toEqual(['200', '200', '200'])
    },
  },
  {
    rows: ['F13', 'F14'],
    name: 'a Route gives up when its time is over although the caller would wait, and does not ask twice for that',
    needs: ['http', 'sidecar', 'retry'],
    async run(bed) {
      const budgetHeader = 'x-envoy-expected-rq-timeout-ms'
      const prices = await bed.app('prices', ({ path }) => ({ delayMs: path === '/' ? 0 : 1_500 }))
      const rules = `
- {match: {path: /own}, backends: prices, timeout: 300ms}
- {match: {path: /status}, backends: prices, timeout: 300ms, retry: {retryOn: [504, connect-failure]}}
- {match: {path: /once}, backends: prices, timeout: 300ms, retry: {attempts: 0}}
- {match: {path: /try}, backends: prices, timeout: 300ms, retry: {perTryTimeout: 2s}}
- {match: {path: /any}, backends: prices, timeout: 0s}
- {match: {path: /again}, backends: prices, timeout: 300ms, retry: {retryOn: [5xx]}}
- {backends: prices}`
      await bed.write({
        prices: service('prices', 'prices'),
        web: `${caller('web', 'prices')}defaults: {timeout: 400ms}`,
        own: route('own', rules).replace('gateways: edge', 'hosts: prices'),
      })
      await bed.proxy('web')
      const port = await bed.port('prices-port')
      await reaches(bed, port, 'prices')
      const asked = async (path: string, deadline: string, method = 'GET'): Promise<readonly [number, string]> => {
        const before = prices.requests.length
        const headers = { [budgetHeader]: deadline }
        const { status } = await bed.ask(port, { host: 'prices', path, method, headers })
        const came = prices.requests.slice(before).filter((request) => request.path === path)
        return [status, came.map((request) => String(request.headers[budgetHeader])).join(' ')]
      }
      for (const path of ['/own', '/status', '/once', '/try'])
        expect(await asked(path, '60000'), path).toEqual([504, '300'])
      expect(await asked('/own', '60000', 'POST')).toEqual([504, '300'])
      expect(await asked('/own', '100')).toEqual([504, '100'])
      // The workload's own time, where the rule says none.
      expect(await asked('/other', '60000')).toEqual([504, '400'])
      expect(await asked('/any', '60000')).toEqual([200, '60000'])
      // A try that took too long would be tried again: the deadline stands alone.
      expect(await asked('/again', '60000')).toEqual([200, '60000'])
    },
  },
]
