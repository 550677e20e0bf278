import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { runCommand } from '../../test/support/command.ts'
import { tempDir } from '../../test/support/temp.ts'

const cart = `kind: Service
name: cart
endpoints: [{address: 10.0.0.11, port: 8080}]
connectionPool: {connectTimeout: 250ms}
`
const edge = `kind: Route
name: cart
gateways: edge
rules: [{backends: cart, timeout: 3s}]
---
kind: Gateway
name: edge
nodes: {cluster: edge}
listeners: [{name: http, port: 8080}]
---
kind: Patch
name: buffers
target: {type: cluster, name: cart}
merge: {per_connection_buffer_limit_bytes: 65536}
---
nodes: {cluster: edge}
resources:
- '@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret
  name: cert
  tls_certificate: {certificate_chain: {inline_string: public}, private_key: {inline_string: a-key}}
`

function shop(files: Readonly<Record<string, string>> = { 'cart.yaml': cart, 'edge.yaml': edge }): string {
  const directory = tempDir()
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text)
  return directory
}

const explain = (what: string, config: string, ...flags: readonly string[]): ReturnType<typeof runCommand> =>
  runCommand(['explain', what, '--config', config, ...flags])

const ownRoute = (cluster: string): string => `resources:
- '@type': type.googleapis.com/envoy.config.route.v3.RouteConfiguration
  name: own
  virtual_hosts: [{name: own, domains: ['*'], routes: [{match: {prefix: /}, route: {cluster: ${cluster}}}]}]
`

interface Json {
  readonly documents: readonly {
    readonly kind?: string
    readonly place: string
    readonly resources: readonly { readonly type: string; readonly name: string; readonly because: readonly object[] }[]
  }[]
  readonly problems: readonly object[]
}

describe('fairlead explain', () => {
  test('says of a document what it became, and of each value who said it', async () => {
    const config = shop()
    const { code, out, err } = await explain('Service/cart', config)
    expect([code, err]).toEqual([0, ''])
    expect(out).toContain(`Service cart  ${config}/cart.yaml:1:1\n`)
    expect(out).toContain('  cluster   cart  for nodes of cluster=edge\n  endpoint  cart  for nodes of cluster=edge\n')
    expect(out).toMatch(/connect_timeout +"0\.25s" +\S+cart\.yaml:4:34 connectionPool\.connectTimeout\n/)
    expect(out).toMatch(/per_connection_buffer_limit_bytes +65536 +\S+edge\.yaml:14:44 merge\.per_connection_buffer/)
    expect(out).toMatch(/max_connections +1024 +default: one service that hangs must not take all sockets\n/)
    expect(out).toMatch(/ typed_extension_protocol_options\["…HttpProtocolOptions"\]/)
    expect((await explain('Service/cart', config, '--json')).out).toContain('upstreams.http.v3.HttpProtocolOptions')
  })

  test('gives the reason of a default where it holds, and not where another field of its name has another', async () => {
    const config = shop({ 'cart.yaml': `${cart}healthCheck: {http: /health}\n`, 'edge.yaml': edge })
    const { out } = await explain('cluster/cart', config)
    expect(out).toMatch(/health_checks\[0\]\.timeout +"1s" +default: who needs longer to say that it is well is not\n/)
    expect(out).not.toContain('a person has gone away by then')
  })

  test('says of a document where else it has a say', async () => {
    const config = shop({
      'mesh.yaml': 'kind: Mesh\nname: shop\negress: [api.partner.example]\n',
      'web.yaml': 'kind: Sidecar\nname: web\nnodes: {cluster: web}\ncapture: iptables\n',
    })
    const { out } = await explain('Mesh/mesh', config)
    expect(out.split('\n').slice(1)).toEqual([
      '  becomes nothing of its own that a proxy gets',
      '  has a say in cluster mesh/egress',
      '  has a say in listener web/outbound',
      '  has a say in route mesh/outbound',
      '',
    ])
    const { out: json } = await explain('Mesh/mesh', config, '--json')
    expect(JSON.parse(json)).toMatchObject({
      documents: [{ hasSayIn: expect.arrayContaining(['route mesh/outbound']) }],
    })
    expect((await explain('cluster/mesh/egress', config)).out).toMatch(/mesh\.yaml:3:9 egress\n/)
    expect((await explain('Route/cart', shop())).out).toContain('  has a say in route edge/http\n')
    expect((await explain('Service/cart', shop())).out).not.toContain('has a say')
  })

  test('knows the Mesh by its own name', async () => {
    const config = shop({
      'mesh.yaml': 'kind: Mesh\nname: shop\ntracing: {otlp: otel:4317}\n',
      'edge.yaml': edge,
      'cart.yaml': cart,
    })
    const { code, out } = await explain('Mesh/shop', config)
    expect(code).toBe(0)
    expect(out).toContain(`Mesh shop  ${config}/mesh.yaml:1:1\n  cluster   mesh/otlp  for nodes of cluster=edge\n`)
    expect((await explain('Mesh/shpo', config)).err).toContain('there is no Mesh/shpo: did you mean Mesh/shop?')
  })

  test('says of what no proxy gets what they get instead, and of a Patch of it that it has no effect', async () => {
    const versions = cart.replace('port: 8080', 'port: 8080, labels: {version: v1}')
    const config = shop({
      'cart.yaml': `${versions}versions: {v1: {version: v1}, v2: {version: v1}}\n`,
      'edge.yaml': edge.replace(
        'backends: cart',
        'backends: [{service: cart, version: v1}, {service: cart, version: v2}]',
      ),
    })
    const { code, err } = await explain('cluster/cart', config)
    expect([code, err]).toEqual([
      1,
      'fairlead: no proxy gets cluster/cart: they get cluster/cart/v1, cluster/cart/v2\n',
    ])
    expect((await explain('cluster/cart/v1', config)).out).toMatch(
      /max_connections +1024 +default: one service that hangs must not take all sockets\n/,
    )
    const { out } = await explain('Patch/buffers', config)
    expect(out).toContain('  becomes nothing of its own that a proxy gets\n')
    expect(out).toContain('No proxy gets the cluster cart, so that changing it changes nothing. (no-effect)\n')
    const alone = await explain('cluster/cart', shop({ 'cart.yaml': cart }))
    expect([alone.code, alone.err]).toEqual([1, 'fairlead: no proxy gets cluster/cart\n'])
  })

  test('says which callers get which of what is not the same to all', async () => {
    const regions = cart
      .replace('[{', '[{region: eu, ')
      .replace('}]', '}, {region: us, address: 10.0.0.12, port: 8080}]')
    const config = shop({ 'cart.yaml': regions, 'edge.yaml': edge })
    const { out } = await explain('Service/cart', config)
    expect(out).toContain(`  cluster   cart  for nodes of cluster=edge
  endpoint  cart  for nodes of cluster=edge,region=eu
  endpoint  cart  for nodes of cluster=edge,region=us
  endpoint  cart  for nodes of cluster=edge,region!=eu|us
`)
    const { documents } = JSON.parse((await explain('Service/cart', config, '--json')).out) as {
      readonly documents: readonly {
        readonly nodes: unknown
        readonly resources: readonly { readonly nodes?: unknown }[]
      }[]
    }
    expect(documents.map(({ nodes, resources }) => [nodes, resources.map((one) => one.nodes)])).toEqual([
      [
        [{ cluster: 'edge' }],
        [
          undefined,
          [{ cluster: 'edge', region: 'eu' }],
          [{ cluster: 'edge', region: 'us' }],
          [{ cluster: 'edge', notRegions: ['eu', 'us'] }],
        ],
      ],
    ])
  })

  test('says the same to programs', async () => {
    const { out } = await explain('Service/cart', shop(), '--json')
    const { documents } = JSON.parse(out) as Json
    expect(documents).toMatchObject([
      { kind: 'Service', resources: [{ type: 'cluster', name: 'cart' }, { type: 'endpoint' }] },
    ])
    expect(documents[0]?.resources[0]?.because).toContainEqual({
      field: 'connect_timeout',
      value: '"0.25s"',
      place: expect.stringMatching(/cart\.yaml:4:34$/) as string,
      path: 'connectionPool.connectTimeout',
    })
  })

  test('says of a resource which documents it is made of, and prints it', async () => {
    const { code, out } = await explain('route/edge/http', shop())
    expect(code).toBe(0)
    expect(out).toMatch(/^route edge\/http /)
    expect(out).toMatch(/routes\[0\]\.route\.timeout +"3s" +\S+edge\.yaml:4:35 rules\[0\]\.timeout\n/)
    expect(out).toContain('timeout: 3s\n')
  })

  test('explains every document of a file, whose name alone is enough where it needs no other', async () => {
    const config = shop()
    const { out } = await explain(join(config, 'edge.yaml'), config, '--json')
    expect((JSON.parse(out) as Json).documents.map(({ kind }) => kind)).toEqual([
      'Route',
      'Gateway',
      'Patch',
      undefined,
    ])
    const alone = await runCommand(['explain', join(shop({ 'cart.yaml': cart }), 'cart.yaml')])
    expect(alone.code).toBe(0)
    expect(alone.out).toContain('Service cart')
  })

  test('shows no key', async () => {
    const { out } = await explain('secret/cert', shop(), '--full')
    expect(out).toContain('[redacted]')
    expect(out).not.toContain('a-key')
  })

  test('tells what is wrong with a document that is not in force', async () => {
    const config = shop({ 'cart.yaml': cart.replace('port', 'prot'), 'edge.yaml': edge })
    const { code, out } = await explain(join(config, 'cart.yaml'), config)
    expect(code).toBe(1)
    expect(out).toContain('Nothing of it is in force')
  })

  test.each<[readonly string[], number, RegExp]>([
    [['Service/crat'], 1, /there is no Service\/crat: did you mean Service\/cart\?/],
    [['cluster/cart2'], 1, /did you mean cluster\/cart\?/],
    [['cart'], 2, /cart is no file, and not KIND\/NAME or TYPE\/NAME/],
  ])('does not know %s', async ([what = ''], expected, message) => {
    const { code, err } = await explain(what, shop())
    expect(code).toBe(expected)
    expect(err).toMatch(message)
  })

  test('asks where a name stands', async () => {
    const { code, err } = await runCommand(['explain', 'Service/cart'])
    expect([code, err]).toEqual([2, 'fairlead: --config is missing: where does Service/cart stand?\n'])
  })

  test('takes for there what every bootstrap has that is printed', async () => {
    const { code, err } = await explain('route/own', shop({ 'own.yaml': ownRoute('fairlead') }))
    expect([code, err]).toEqual([0, ''])
  })

  test('takes for there what it is told that the bootstraps have', async () => {
    const directory = shop({ 'own.yaml': ownRoute('otel') })
    expect(await explain('route/own', directory)).toMatchObject({ code: 1 })
    const { code, err } = await explain('route/own', directory, '--static', 'otel')
    expect([code, err]).toEqual([0, ''])
  })
})
