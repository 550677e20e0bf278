import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type CommandResult, runCommand } from '../../test/support/command.ts'
import { startControlPlane } from '../../test/support/control-plane.ts'
import { tempDir } from '../../test/support/temp.ts'

const shop = `kind: Service
name: cart
endpoints:
- {address: 10.0.0.11, port: 8080, labels: {version: v1}}
- {address: 10.0.0.12, port: 8080, labels: {version: v2}}
versions: {v1: {version: v1}, v2: {version: v2}}
---
kind: Gateway
name: edge
nodes: {cluster: edge}
listeners:
- {name: http, port: 8080, protocol: http}
---
kind: Route
name: cart
hosts: cart
gateways: edge
rules:
- match: {path: {exact: /beta}}
  backends: [{service: cart, version: v2}]
- backends:
  - {service: cart, version: v1, weight: 99}
  - {service: cart, version: v2, weight: 1}
`

const bootstrapUser = `nodes: {cluster: edge}
resources:
- '@type': type.googleapis.com/envoy.config.listener.v3.Listener
  name: own
  address: {socket_address: {address: 0.0.0.0, port_value: 9000}}
  filter_chains:
  - filters:
    - name: envoy.filters.network.tcp_proxy
      typed_config:
        '@type': type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
        stat_prefix: own
        cluster: otel
`

function fileOf(text: string): string {
  const path = join(tempDir(), 'shop.yaml')
  writeFileSync(path, text)
  return path
}

const route = async (...args: readonly string[]): Promise<CommandResult> =>
  await runCommand(['route', '--node', 'edge', ...args])

describe('fairlead route', () => {
  test('says which listener, route, cluster and endpoints a request takes, and what the nearest rule lacked', async () => {
    const path = fileOf(shop)
    expect(await route('http://cart/api', '--config', path)).toEqual({
      code: 0,
      out: [
        'listener  edge/http  0.0.0.0:8080',
        `host      cart       Route cart  ${path}:21:3`,
        'route     cart/1     prefix /  timeout 15s, retries 2 on connect-failure, refused-stream (what is idempotent)',
        'clusters  cart/v1    99%  10.0.0.11:8080',
        '          cart/v2    1%   10.0.0.12:8080',
        'nearest   cart/0     needs path /beta (yours is /api)',
        '',
      ].join('\n'),
      err: '',
    })
  })

  test('names each condition that did not hold as the document has it, not as Envoy does', async () => {
    const match = `{methods: [PUT, PATCH], headers: {x-a: [a.b, c], x-b: {not: old}}, query: {debug: {present: false}, q: {not: [a.b, c]}, p: {present: true}},
      cookies: {group: [beta, gamma], guest: {present: false}, id: {present: true}}}`
    const path = fileOf(shop.replace('{path: {exact: /beta}}', match))
    const url = 'http://cart/?debug&q=c'
    const { out } = await route(url, '-H', 'x-b: old', '-H', 'cookie: guest=1; group=x', '--config', path)
    expect(
      out
        .split('\n')
        .filter((line) => line.includes('needs '))
        .map((line) => line.replace(/^.*needs /, '')),
    ).toEqual([
      'method PUT or PATCH (yours is GET)',
      'header x-a: a.b or c (you sent none)',
      'header x-b: not old (you sent "old")',
      'cookie group: beta or gamma (you sent "guest=1; group=x")',
      'no cookie guest (you sent "guest=1; group=x")',
      'cookie id (you sent "guest=1; group=x")',
      'no query parameter debug (yours is /?debug&q=c)',
      'query parameter q: not a.b or c (yours is /?debug&q=c)',
      'query parameter p (you sent none)',
    ])
  })

  test('reads files of one name from several paths, as a server does', async () => {
    const [service = '', ...others] = shop.split('---\n')
    const paths = [fileOf(service), fileOf(others.join('---\n'))]
    const { code, out, err } = await route('http://cart/beta', ...paths.flatMap((path) => ['--config', path]))
    expect([code, err]).toEqual([0, ''])
    expect(out).toMatch(/^cluster +cart\/v2 +10\.0\.0\.12:8080$/m)
  })

  test('knows the clusters of the bootstrap that it is told of, from files and from a server', async () => {
    const path = fileOf(bootstrapUser)
    const ask = (...more: readonly string[]): Promise<CommandResult> => route('--tcp', '10.0.0.9:9000', ...more)
    expect(await ask('--config', path)).toMatchObject({ code: 1, err: expect.stringMatching(/^1 error in /) })
    const { code, out, err } = await ask('--config', path, '--static', 'otel')
    expect([code, err]).toEqual([0, ''])
    expect(out).toMatch(/^cluster +otel +where the bootstrap says$/m)

    const { adminUrl, pipeline } = await startControlPlane({ config: [path] })
    await pipeline.ready
    // As a node tells it.
    pipeline.addStaticNames({ cluster: ['otel'] })
    await pipeline.settled()
    expect((await ask('--server', adminUrl)).out).toContain('the proxy has no such cluster: 503')
    expect((await ask('--server', adminUrl, '--static', 'otel')).out).toBe(out)
  })

  test('asks a running server for what is in force', async () => {
    const path = fileOf(shop)
    const { adminUrl, pipeline } = await startControlPlane({ config: [path] })
    await pipeline.ready
    const { code, out } = await route('POST', 'http://cart/beta', '--server', adminUrl, '--json')
    expect(code).toBe(0)
    expect(JSON.parse(out)).toMatchObject({
      node: { id: 'edge', cluster: 'edge' },
      request: { method: 'POST', authority: 'cart', path: '/beta' },
      listener: { name: 'edge/http' },
      virtualHost: 'cart',
      outcomes: [{ route: 'cart/0', clusters: [{ name: 'cart/v2', endpoints: [{ address: '10.0.0.12:8080' }] }] }],
    })
    expect((await route('http://cart/beta', '--server', adminUrl)).out).toContain(`Route cart  ${path}:14:1`)
  })

  test.each([
    ['no host takes it', ['http://carts/'], /^answer +404: no host of it is carts; it has cart$/m],
    ['no listener takes it', ['http://cart:9/'], /^answer +the connection is closed: no listener takes port 9; /],
    ['the node gets nothing', ['http://cart/', '--node', 'web'], /the proxy has no listener/],
  ])('exits 1 where %s', async (_, args, text) => {
    const { code, out } = await route(...args, '--config', fileOf(shop))
    expect([code, out]).toEqual([1, expect.stringMatching(text)])
  })

  test.each([
    ['no request', [], 'no request is not [METHOD] URL'],
    ['a URL without a scheme', ['cart/api'], '"cart/api" is not [METHOD] URL'],
    ['two URLs', ['http://a', 'http://b'], 'is not [METHOD] URL'],
    ['a header without a colon', ['http://a', '-H', 'x'], 'Write NAME:VALUE.'],
    ['no port', ['--tcp', 'cart'], '--tcp cart is not HOST:PORT'],
  ])('exits 2 for %s', async (_, args, text) => {
    const { code, err } = await route(...args, '--config', fileOf(shop))
    expect([code, err]).toEqual([2, expect.stringContaining(text)])
  })

  test('leaves out what is wrong, and says that it did', async () => {
    const path = fileOf(shop.replace('exact: /beta', 'exakt: /beta'))
    const { code, err } = await route('http://cart/', '--config', path)
    expect([code, err]).toEqual([1, expect.stringMatching(/^\d errors? in .*shop\.yaml: what is wrong is left out/)])
  })
})
