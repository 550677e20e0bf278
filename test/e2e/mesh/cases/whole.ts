import { expect } from 'vitest'
import { createAuthority, writeAuthorities, writeCertificate } from '../../../support/certificates.ts'
import { startOtlpCollector } from '../../../support/otlp-collector.ts'
import { eventually } from '../../../support/poll.ts'
import type { MeshCase } from '../suite.ts'
import { tlsClient } from './ask-by-tls.ts'
import { calm, route, service } from './shop-documents.ts'

/** Requests in an hour: what is more is refused until that is over. */
const limit = 400

/** A filter before the router; after those whose Patches have an earlier name. */
const filter = (name: string, filterName: string, config: string): string => `kind: Patch
name: ${name}
target: {type: listener, name: edge/https}
at: {httpFilter: envoy.filters.http.router}
insertBefore:
  name: ${filterName}
  typed_config:
${config.trim().replaceAll(/^/gm, '    ')}
`

const whoMay = filter(
  'a-who-may',
  'envoy.filters.http.rbac',
  `
'@type': type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
rules:
  action: ALLOW
  policies:
    people:
      permissions: [{any: true}]
      principals: [{authenticated: {principal_name: {exact: 'spiffe://shop.example/checkout'}}}]`,
)

const howMuch = filter(
  'b-how-much',
  'envoy.filters.http.local_ratelimit',
  `
'@type': type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
stat_prefix: edge
token_bucket: {max_tokens: ${limit}, tokens_per_fill: ${limit}, fill_interval: 3600s}
filter_enabled: {default_value: {numerator: 100}}
filter_enforced: {default_value: {numerator: 100}}`,
)

export const wholeCases: readonly MeshCase[] = [
  {
    rows: ['Y6', 'F21'],
    name: 'a canary, mutual TLS and who may, a limit, and log, metrics and traces stand in documents of one gateway',
    needs: ['http', 'weights', 'filters', 'tls', 'access log', 'metrics', 'tracing'],
    async run(bed) {
      const [authority, stranger] = [await createAuthority(), await createAuthority('another CA')]
      const people = ['spiffe://shop.example/checkout', 'spiffe://shop.example/guest']
      const [checkout, guest] = await Promise.all(people.map((id) => authority.issue({ name: 'client', sans: [id] })))
      writeCertificate(bed.files, 'shop', await authority.issue({ name: 'shop' }))
      writeAuthorities(bed.files, 'people', [authority])
      const collector = await startOtlpCollector()
      const [blue] = [await bed.app('blue'), await bed.app('green')]
      const inFiles = (name: string): string => `{file: ${bed.files}/${name}}`
      await bed.write({
        cart: service('cart', ['blue', 'green'], calm),
        shop: `kind: Secret\nname: shop\ncertificate: {chain: ${inFiles('shop.crt')}, key: ${inFiles('shop.key')}}\n`,
        people: `kind: Secret\nname: people\nca: ${inFiles('people.pem')}\n`,
        edge: `kind: Gateway
name: edge
nodes: {cluster: edge}
accessLog: {path: "\${log}", fields: {status: "%RESPONSE_CODE%", who: "%DOWNSTREAM_PEER_URI_SAN%", version: "%UPSTREAM_CLUSTER%"}}
tracing: {otlp: "127.0.0.1:${collector.port}", sample: 100%}
listeners:
- {name: https, address: 127.0.0.1, port: \${edge}, protocol: https, tls: {secret: shop, clientCa: people}}
`,
        routes: route(
          'shop',
          '- backends: [{service: cart, version: blue, weight: 80}, {service: cart, version: green, weight: 20}]',
        ),
        whoMay,
        howMuch,
      })
      const proxy = await bed.proxy('edge')
      const port = await proxy.port('edge/https')
      const client = (shown: { certificate?: string; key?: string } = {}) =>
        tlsClient(port, { ca: authority.certificate, ...shown })

      // Mutual TLS: no certificate, or one of somebody else, and there is no answer.
      await expect(client().ask()).rejects.toThrow()
      await expect(client(await stranger.issue({ name: 'client', sans: people })).ask()).rejects.toThrow()
      // Who may: the guest is known, and may not.
      expect((await client(guest).ask()).status).toBe(403)

      // Who asks is told to the app, and nobody else's word for it is taken.
      const allowed = client(checkout)
      const forged = { 'x-forwarded-client-cert': 'URI=spiffe://shop.example/owner' }
      let told: string | undefined
      let asked = 0
      while (told === undefined) {
        expect((await allowed.ask('/who', forged)).status).toBe(200)
        asked += 1
        told = blue.requests.find(({ path }) => path === '/who')?.headers['x-forwarded-client-cert'] as
          | string
          | undefined
      }
      expect(told).toMatch(/URI=spiffe:\/\/shop\.example\/checkout/)
      expect(told).not.toContain('owner')

      // The canary, within five standard deviations; then the limit, to the request.
      const { blue: many = 0, green: few = 0 } = await allowed.send(300)
      expect(many + few).toBe(300)
      expect(Math.abs(few - 60)).toBeLessThan(35)
      const { 429: refused, ...passed } = await allowed.send(150)
      expect(Object.values(passed).reduce((sum, count) => sum + count, 0)).toBe(limit - 300 - asked)
      expect(refused).toBe(450 + asked - limit)

      // What happened: a line each, counters, and a trace that goes on in the app.
      const lines = await bed.logged(451 + asked)
      const count = (wanted: Readonly<Record<string, unknown>>): number =>
        lines.filter((line) => Object.entries(wanted).every(([field, value]) => line[field] === value)).length
      expect(count({ status: 200, who: people[0] })).toBe(limit)
      expect(count({ status: 403, who: people[1] })).toBe(1)
      expect(count({ status: 429, who: people[0] })).toBe(refused)
      expect(count({ version: 'cart/green' })).toBeGreaterThanOrEqual(few)
      const metrics = await proxy.metrics()
      expect(metric(metrics, 'envoy_http_rbac_denied')).toBe(1)
      expect(metric(metrics, 'envoy_http_local_rate_limit_rate_limited')).toBe(refused)
      expect(
        metric(metrics, 'envoy_cluster_upstream_rq_total{envoy_cluster_name="cart/green"}'),
      ).toBeGreaterThanOrEqual(few)
      const [, trace = ''] = String(blue.requests.at(-1)?.headers['traceparent']).split('-')
      expect(trace).toMatch(/^[0-9a-f]{32}$/)
      await eventually(() => collector.hasTrace(trace), { timeoutMs: 15_000 })
      expect(collector.heard('cart/blue')).toBe(true)
      expect(await proxy.count('rejections')).toBe(0)
    },
  },
]

/** The sum of all series that begin so. */
function metric(text: string, name: string): number {
  const lines = text.split('\n').filter((line) => line.startsWith(name))
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
}
