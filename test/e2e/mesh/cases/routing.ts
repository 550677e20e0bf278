import { expect } from 'vitest'
import { eventually } from '../../../support/poll.ts'
import type { Question } from '../bed.ts'
import type { MeshCase } from '../suite.ts'
import { openEdge, openShop } from './open-shop.ts'
import { route, service } from './shop-documents.ts'

const rules = `
- {match: {path: /exact}, backends: {service: cart, version: exact}}
- {match: {path: {prefix: /api}, headers: {x-group: beta}}, backends: {service: cart, version: header}}
- {match: {path: {prefix: /api}, methods: [PUT, DELETE]}, backends: {service: cart, version: method}}
- {match: {path: {prefix: /api}, query: {debug: {present: true}}}, backends: {service: cart, version: query}}
- {match: {path: {prefix: /api}, cookies: {group: beta}}, backends: {service: cart, version: cookie}}
- {match: {path: {regex: "/item/[0-9]+"}}, backends: {service: cart, version: regex}}
- {match: {path: {prefix: /api}}, backends: {service: cart, version: prefix}}
- {match: {path: /exact/later}, backends: {service: cart, version: later}}
`

const versions = ['exact', 'header', 'method', 'query', 'cookie', 'regex', 'prefix', 'later'] as const

const questions: readonly (readonly [app: string | undefined, question: Question])[] = [
  ['exact', { path: '/exact' }],
  ['exact', { path: '/exact?a=b' }],
  [undefined, { path: '/exact/' }],
  ['later', { path: '/exact/later' }],
  ['prefix', { path: '/api' }],
  ['prefix', { path: '/api/x' }],
  [undefined, { path: '/apiary' }],
  ['header', { path: '/api', headers: { 'x-group': 'beta' } }],
  ['header', { path: '/api', headers: { 'X-GROUP': 'beta' }, method: 'PUT' }],
  ['prefix', { path: '/api', headers: { 'x-group': 'Beta' } }],
  ['method', { path: '/api', method: 'PUT' }],
  ['method', { path: '/api/x', method: 'DELETE', headers: { cookie: 'group=beta' } }],
  ['query', { path: '/api?x&debug' }],
  ['query', { path: '/api?debug=1' }],
  ['prefix', { path: '/api?debugger=1' }],
  ['cookie', { path: '/api', headers: { cookie: 'a=b; group=beta; c=d' } }],
  ['prefix', { path: '/api', headers: { cookie: 'group=beta2' } }],
  ['prefix', { path: '/api', headers: { cookie: 'mygroup=beta' } }],
  ['regex', { path: '/item/12?x' }],
  [undefined, { path: '/item/12a' }],
  ['prefix', { path: '/x/../api/./y' }],
  ['prefix', { path: '//api//y' }],
]

export const routingCases: readonly MeshCase[] = [
  {
    rows: ['F20'],
    name: 'requests go by path, method, header, query and cookie, in the order in which rules are written',
    needs: ['http', 'regex'],
    async run(bed) {
      const { proxy, port } = await openShop(bed, { apps: versions, rules })
      for (const [app, question] of questions) {
        const answer = await bed.ask(port, question)
        expect({ question, app: answer.app, status: answer.status }).toEqual({
          question,
          app,
          status: app === undefined ? 404 : 200,
        })
      }
      // Another order is another table, and nothing but the table changes.
      const changed = [await proxy.count('clusters changed'), await proxy.count('listeners changed')]
      const first = '- {match: {path: {prefix: /api}}, backends: {service: cart, version: later}}'
      await bed.write({ shop: route('shop', `${first}${rules}`) })
      await eventually(async () => (await bed.ask(port, { path: '/api' })).app === 'later')
      expect((await bed.ask(port, { path: '/api', method: 'PUT' })).app).toBe('later')
      expect([await proxy.count('clusters changed'), await proxy.count('listeners changed')]).toEqual(changed)
    },
  },
  {
    rows: ['F20'],
    name: 'of the Routes of one host the more specific rule is asked first, whatever their order',
    needs: ['http'],
    async run(bed) {
      for (const app of ['wide', 'narrow', 'host']) await bed.app(app)
      const cart = service('cart', ['wide', 'narrow', 'host'])
      const wide = route('a-wide', '- {match: {path: {prefix: /}}, backends: {service: cart, version: wide}}')
      const narrow = route('b-narrow', '- {match: {path: {prefix: /api}}, backends: {service: cart, version: narrow}}')
      const host = `${route('host', '- {backends: {service: cart, version: host}}')}hosts: [shop.example]\n`
      const { port } = await openEdge(bed, { cart, wide, narrow, host })
      expect((await bed.ask(port, { path: '/api/x' })).app).toBe('narrow')
      expect((await bed.ask(port, { path: '/x' })).app).toBe('wide')
      expect((await bed.ask(port, { path: '/api/x', host: 'SHOP.example:8080' })).app).toBe('host')
    },
  },
  {
    rows: ['F21'],
    name: 'a share is drawn once for a request, however many paths and rules match it',
    isLong: true,
    needs: ['http'],
    async run(bed) {
      const shares = `
- {match: {path: [/x, {prefix: /}], percent: 30}, backends: {service: cart, version: share}}
- {match: {path: {prefix: /}, percent: 50}, backends: {service: cart, version: more}}
- {backends: {service: cart, version: rest}}
`
      const { port } = await openShop(bed, { apps: ['share', 'more', 'rest'], rules: shares })
      const byApp = await bed.send(port, 3_000, { path: '/x' })
      // Five standard deviations.
      for (const [app, percent] of [
        ['share', 30],
        ['more', 20],
        ['rest', 50],
      ] as const) {
        expect(Math.abs((byApp[app] ?? 0) / 30 - percent), app).toBeLessThan(4.6)
      }
    },
  },
]
