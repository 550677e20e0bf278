import { expect } from 'vitest'
import { eventually } from '../../../support/poll.ts'
import type { MeshCase } from '../suite.ts'
import { openShop } from './open-shop.ts'
import { calm, gateway, route, service } from './shop-documents.ts'

const arms = ['blue', 'green'] as const

/** Until every thread of a proxy has heard what one goes by already, on a machine that has other work. */
const threadMs = 100

const split = (blue: number, green: number, more = ''): string =>
  `- backends: [{service: cart, version: blue, weight: ${blue}}, {service: cart, version: green, weight: ${green}}]${more}`

export const releaseCases: readonly MeshCase[] = [
  {
    rows: ['F21', 'Y7'],
    name: 'a canary of 1% gets 1% ± 0.3 of 20,000 requests over kept-alive connections',
    isLong: true,
    needs: ['http', 'weights'],
    async run(bed) {
      const { port } = await openShop(bed, { apps: arms, rules: split(99, 1) })
      const { blue = 0, green = 0 } = await bed.send(port, 20_000)
      expect(blue + green).toBe(20_000)
      const percent = (green / 20_000) * 100
      expect(percent).toBeGreaterThan(0.7)
      expect(percent).toBeLessThan(1.3)
    },
  },
  {
    rows: ['F21', 'F23'],
    name: 'a release goes from 1% over 10% and 50% to all without losing a request',
    isLong: true,
    needs: ['http', 'weights'],
    async run(bed) {
      const { port } = await openShop(bed, { apps: arms, rules: split(100, 0) })
      const load = bed.load({ port, rate: 100 })
      await load.next(20, { from: 'blue' })
      for (const percent of [1, 10, 50, 100]) {
        await bed.write({ shop: route('shop', split(100 - percent, percent)) })
        // The weights are in force when a share of what is sent shows them: five standard deviations are allowed.
        const slack = 5 * Math.sqrt((percent * (100 - percent)) / 1000)
        await eventually(
          async () => {
            const { green = 0 } = await bed.send(port, 1000)
            expect(Math.abs(green / 10 - percent)).toBeLessThanOrEqual(slack)
          },
          { timeoutMs: 20_000 },
        )
      }
      expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
    },
  },
  {
    rows: ['F22', 'F23'],
    name: 'from blue to green is one step, and so is the way back: after the first answer of one there is none of the other',
    needs: ['http', 'weights'],
    async run(bed) {
      const { port } = await openShop(bed, { apps: arms, rules: split(1, 0) })
      expect((await bed.ask(port)).app).toBe('blue')
      const load = bed.load({ port })
      for (const [from, to] of [
        ['blue', 'green'],
        ['green', 'blue'],
      ] as const) {
        const since = performance.now()
        await bed.write({ shop: route('shop', to === 'green' ? split(0, 1) : split(1, 0)) })
        const apps: (string | undefined)[] = []
        const deadline = performance.now() + 20_000
        let changedMs = Number.POSITIVE_INFINITY
        while (apps.filter((app) => app === to).length < 200 && performance.now() < deadline) {
          apps.push((await bed.ask(port)).app)
          if (apps.at(-1) === to) changedMs = Math.min(changedMs, performance.now() - since)
        }
        expect(changedMs).toBeLessThan(2_000)
        const first = apps.indexOf(to)
        expect(first).toBeGreaterThanOrEqual(0)
        expect(new Set(apps.slice(0, first))).toEqual(new Set(first === 0 ? [] : [from]))
        expect(new Set(apps.slice(first))).toEqual(new Set([to]))
      }
      expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
    },
  },
  {
    rows: ['F22', 'Y7'],
    name: 'from blue to green is one step for the connections of every thread of a proxy',
    needs: ['http', 'weights'],
    async run(bed) {
      await Promise.all(arms.map((name) => bed.app(name)))
      await bed.write({ cart: service('cart', arms), edge: gateway, shop: route('shop', split(1, 0)) })
      const port = await (await bed.proxy('edge', {}, 2)).port('edge/http')
      const answers: { readonly sentMs: number; readonly app: string | undefined }[] = []
      let greenMs = Number.POSITIVE_INFINITY
      const client = async (): Promise<void> => {
        for (let sentMs = performance.now(); sentMs < greenMs + 5 * threadMs; sentMs = performance.now()) {
          const { app } = await bed.ask(port)
          answers.push({ sentMs, app })
          if (app === 'green') greenMs = Math.min(greenMs, performance.now())
        }
      }
      const all = Promise.all(Array.from({ length: 16 }, client))
      await eventually(() => answers.length > 500)
      await bed.write({ shop: route('shop', split(0, 1)) })
      await all
      const late = answers.filter(({ sentMs }) => sentMs > greenMs + threadMs).map(({ app }) => app)
      expect(late.length).toBeGreaterThan(100)
      expect(new Set(late)).toEqual(new Set(['green']))
      expect(new Set(answers.map(({ app }) => app))).toEqual(new Set(arms))
    },
  },
  {
    rows: ['F22', 'F23'],
    name: 'with `rollback` the old version answers within 2 s, and no request of a load is lost on the way there and back',
    needs: ['http', 'weights'],
    isAboutSources: true,
    async run(bed) {
      const { port } = await openShop(bed, { apps: arms, rules: split(1, 0) })
      const load = bed.load({ port })
      await load.next(20, { from: 'blue' })
      // The switch is one change of several documents: one is another, one comes.
      const beta = `${route('beta', split(0, 1))}hosts: beta.example\n`
      await bed.write({ shop: route('shop', split(0, 1)), beta })
      await load.next(20, { from: 'green' })
      // As a person would: to look changes nothing.
      await bed.rollback('--previous', '--dry-run')
      expect((await bed.ask(port)).app).toBe('green')
      const since = performance.now()
      await bed.rollback('--previous')
      let app: string | undefined
      do ({ app } = await bed.ask(port))
      while (app !== 'blue' && performance.now() - since < 2_000)
      expect(app).toBe('blue')
      expect(performance.now() - since).toBeLessThan(2_000)
      await load.next(20, { from: 'blue' })
      expect(await bed.send(port, 200)).toEqual({ blue: 200 })
      expect(await bed.send(port, 20, { host: 'beta.example' })).toEqual({ blue: 20 })
      expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
    },
  },
  {
    rows: ['F22', 'F58'],
    name: 'a proxy has the versions that its Routes name and no other, and going from one to the next loses no request',
    needs: ['http'],
    async run(bed) {
      const only = (version: string): string => route('shop', `- backends: {service: cart, version: ${version}}`)
      const { port, proxy } = await openShop(bed, {
        apps: arms,
        rules: '- backends: {service: cart, version: blue}',
      })
      const [blue, green] = ['cart/blue', 'cart/green'] as const
      const load = bed.load({ port, rate: 100 })
      await load.next(20, { from: 'blue' })
      expect(await proxy.knows(green)).toBe(false)
      for (const [from, to] of [
        [blue, green],
        [green, blue],
      ] as const) {
        const arm = to === blue ? 'blue' : 'green'
        await bed.write({ shop: only(arm) })
        await load.next(20, { from: arm })
        await eventually(async () => !(await proxy.knows(from)))
        expect(await proxy.knows(to)).toBe(true)
      }
      expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
    },
  },
  {
    rows: ['F21', 'F26'],
    name: 'a version that only a header leads to gets nothing else',
    needs: ['http'],
    async run(bed) {
      const rules = `
- {match: {headers: {x-group: beta}}, backends: {service: cart, version: green}}
- {backends: {service: cart, version: blue}}`
      const { port, apps } = await openShop(bed, { apps: arms, rules })
      expect(await bed.send(port, 200)).toEqual({ blue: 200 })
      expect(await bed.send(port, 50, { headers: { 'x-group': 'beta' } })).toEqual({ green: 50 })
      expect(apps.green.requests).toHaveLength(50)
    },
  },
  {
    rows: ['F21', 'F24'],
    name: 'a user stays in one arm of a test, and half of the users ± 2% are in each',
    isLong: true,
    needs: ['http', 'sticky'],
    async run(bed) {
      const { port } = await openShop(bed, { apps: arms, rules: split(50, 50, '\n  hash: {header: x-user}') })
      const users: Record<string, number> = {}
      for (let user = 0; user < 60; user++) {
        const byApp = await bed.send(port, 5, { headers: { 'x-user': `user-${user}` } }, 1)
        expect(Object.keys(byApp)).toHaveLength(1)
        const [arm = ''] = Object.keys(byApp)
        users[arm] = (users[arm] ?? 0) + 1
      }
      expect(Object.keys(users).sort()).toEqual(arms)
      expect(Math.min(...Object.values(users))).toBeGreaterThan(10)
      const many = 4_000
      const { blue = 0, green = 0 } = await bed.send(port, many, (user) => ({ headers: { 'x-user': `user-${user}` } }))
      expect(blue + green).toBe(many)
      expect(Math.abs((blue / many) * 100 - 50)).toBeLessThan(2)
    },
  },
  {
    rows: ['F79'],
    name: 'a mirror gets a copy of each request, or of a share, or of some, and its answers are thrown away',
    needs: ['http', 'mirror'],
    async run(bed) {
      const mirror = (more = ''): string =>
        `backends: {service: cart, version: blue}, mirror: {service: cart, version: green${more}}`
      const rules = `
- {match: {path: /share}, ${mirror(', percent: 20')}}
- {match: {headers: {x-dark: "1"}}, ${mirror()}}
- {match: {path: /some}, backends: {service: cart, version: blue}}
- {${mirror()}}`
      const answer = (app: string) => ({ status: app === 'green' ? 500 : 200 })
      const { port, apps } = await openShop(bed, { apps: arms, answer, policy: calm, rules })
      const { blue, green } = apps
      const mirrored = (path: string): number => green.requests.filter((request) => request.path === path).length
      expect(await bed.send(port, 50)).toEqual({ blue: 50 })
      await eventually(() => mirrored('/') === 50)
      expect(blue.requests).toHaveLength(50)
      expect(await bed.send(port, 20, { path: '/some' })).toEqual({ blue: 20 })
      expect(await bed.send(port, 10, { path: '/some', headers: { 'x-dark': '1' } })).toEqual({ blue: 10 })
      expect(await bed.send(port, 1_000, { path: '/share' })).toEqual({ blue: 1_000 })
      await eventually(async () => {
        // Copies arrive when the client has long been answered.
        expect(mirrored('/some')).toBe(10)
        // Four standard deviations.
        expect(Math.abs(mirrored('/share') - 200)).toBeLessThan(51)
      })
    },
  },
]
