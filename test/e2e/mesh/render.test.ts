import { writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { buildBootstrap } from '../../../src/cli/bootstrap-config.ts'
import { settledNode } from '../../support/admin-client.ts'
import { type Backend, startBackend } from '../../support/backend.ts'
import { runCommand } from '../../support/command.ts'
import { startControlPlane } from '../../support/control-plane.ts'
import { startEnvoy } from '../../support/envoy.ts'
import { findEnvoy } from '../../support/envoy-binary.ts'
import { freePorts } from '../../support/free-ports.ts'
import { describeWithEnvoy } from '../../support/needs.ts'
import { tempDir } from '../../support/temp.ts'
import { validateWithEnvoy } from '../../support/validate-with-envoy.ts'

const shop = (port: number, one: Backend, two: Backend): string => `
kind: Service
name: cart
endpoints:
- {address: ${one.host}, port: ${one.port}, labels: {version: one}}
- {address: ${two.host}, port: ${two.port}, labels: {version: two}}
versions: {one: {version: one}, two: {version: two}, none: {version: none}}
---
kind: Service
name: prices
endpoints: [{address: ${two.host}, port: ${two.port}}]
---
kind: Gateway
name: edge
nodes: {cluster: edge}
listeners:
- {name: http, address: 127.0.0.1, port: ${port}, protocol: http}
---
kind: Route
name: cart
hosts: [shop.example, "*.shop.example"]
gateways: edge
rules:
- {match: {path: /exact}, backends: [{service: cart, version: two}]}
- {match: {path: {prefix: /one}}, backends: [{service: cart, version: one}]}
- {match: {path: {prefix: /dead}}, backends: [{service: cart, version: none}]}
- {match: {path: {prefix: /}}, backends: [{service: prices}]}
---
kind: Patch
name: patched
target: {type: route, name: edge/http}
at: {virtualHost: "*.shop.example"}
insertBefore: {name: early, domains: [early.example], routes: [{name: early, match: {prefix: /}, direct_response: {status: 418}}]}
---
nodes: {cluster: edge}
resources:
- '@type': type.googleapis.com/envoy.config.cluster.v3.Cluster
  name: raw
  type: STATIC
`

/** Method, host and path of each request. */
const requests: readonly (readonly [string, string, string])[] = [
  ['GET', 'shop.example', '/exact'],
  ['GET', 'shop.example', '/exact/not'],
  ['POST', 'shop.example:80', '/one/x?q=1'],
  ['GET', 'SHOP.example', '/one'],
  ['GET', 'shop.example', '/onerous'],
  ['GET', 'a.shop.example', '/one//x/../y'],
  ['GET', 'shop.example', '/one%2fx'],
  ['GET', 'shop.example', '/dead/x'],
  ['GET', 'early.example', '/'],
  ['GET', 'other.example', '/one'],
  ['DELETE', 'a.b.shop.example', '/'],
]

interface Answer {
  readonly status: number | undefined
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: string
}

/** What differs from one time to the next. */
const volatile = ['date', 'x-envoy-upstream-service-time', 'connection', 'keep-alive', 'x-request-id']

async function ask(port: number, [method, host, path]: readonly [string, string, string]): Promise<Answer> {
  return await new Promise((resolve, reject) => {
    const outgoing = request({ host: '127.0.0.1', port, method, path, headers: { host }, agent: false }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => {
        const headers = Object.fromEntries(
          Object.entries(response.headers).filter(([name]) => !volatile.includes(name)),
        )
        resolve({ status: response.statusCode, headers, body: Buffer.concat(chunks).toString() })
      })
    })
    outgoing.on('error', reject)
    outgoing.end()
  })
}

describeWithEnvoy('what `fairlead render --static` prints', () => {
  test('is accepted by Envoy, and answers every request as ADS does', async () => {
    const [one, two] = [await startBackend({ name: 'one' }), await startBackend({ name: 'two' })]
    const [adsPort = 0, staticPort = 0] = await freePorts(2)
    const [ads, still] = [tempDir(), tempDir()]
    writeFileSync(join(ads, 'shop.yaml'), shop(adsPort, one, two))
    writeFileSync(join(still, 'shop.yaml'), shop(staticPort, one, two))
    const server = await startControlPlane({ config: [ads] })
    const dynamic = await startEnvoy({
      bootstrap: buildBootstrap({ id: 'edge-1', cluster: 'edge', server: server.server, delta: false }),
    })
    const { code, out, err } = await runCommand(['render', '--static', '--node', 'edge', '--config', still])
    expect([code, err]).toEqual([0, ''])
    const bootstrap = JSON.parse(out) as object
    expect(validateWithEnvoy(findEnvoy() as string, bootstrap)).toBe('')
    const self = await startEnvoy({ bootstrap })
    await Promise.all([dynamic.waitLive(), self.waitLive(), settledNode(server.adminUrl, ['cluster', 'route'])])

    const answers = async (port: number): Promise<readonly Answer[]> => {
      const all: Answer[] = []
      for (const one of requests) all.push(await ask(port, one))
      return all
    }
    const expected = await answers(await dynamic.listenerPort('edge/http'))
    expect(await answers(await self.listenerPort('edge/http'))).toEqual(expected)
    // The table tells different things from each other.
    expect(new Set(expected.map(({ status }) => status))).toEqual(new Set([200, 307, 404, 418, 503]))
    expect(new Set(expected.map(({ headers }) => headers['x-backend']))).toEqual(new Set(['one', 'two', undefined]))

    const clusters = async (envoy: typeof self): Promise<readonly string[]> =>
      [...(await envoy.stats(/^cluster\.(cart|cart\/one|prices|raw)\.(membership_total|upstream_rq_total)$/))]
        .map(([name, value]) => `${name} ${value}`)
        .sort()
    expect(await clusters(self)).toEqual(await clusters(dynamic))
  })

  test('prefers the zone of an Envoy that knows its peers, as with a control plane', async () => {
    const names = ['a1', 'a2', 'b1', 'b2'] as const
    const backends = await Promise.all(names.map((name) => startBackend({ name })))
    const endpoints = backends.map(
      ({ host, port }, index) => `- {address: ${host}, port: ${port}, zone: ${names[index]?.slice(0, 1)}}`,
    )
    const [port = 0] = await freePorts(1)
    const directory = tempDir()
    writeFileSync(
      join(directory, 'shop.yaml'),
      `
kind: Service
name: cart
endpoints:
${endpoints.join('\n')}
---
kind: Service
name: edge
endpoints: [{address: 10.0.0.1, port: 80, zone: a}, {address: 10.0.0.2, port: 80, zone: b}]
---
kind: Gateway
name: edge
nodes: {cluster: edge}
listeners: [{name: http, address: 127.0.0.1, port: ${port}}]
---
kind: Route
name: cart
gateways: edge
rules: {backends: cart}
`,
    )
    const answering = async (...flags: readonly string[]): Promise<ReadonlySet<unknown>> => {
      const { out, err } = await runCommand(['render', '--static', '--node', 'edge', '--config', directory, ...flags])
      expect(err).toBe('')
      const bootstrap = JSON.parse(out) as object
      expect(validateWithEnvoy(findEnvoy() as string, bootstrap)).toBe('')
      const envoy = await startEnvoy({ bootstrap })
      await envoy.waitLive()
      const listener = await envoy.listenerPort('edge/http')
      const found = new Set<unknown>()
      for (let count = 0; count < 60; count++)
        found.add((await ask(listener, ['GET', 'shop', '/'])).headers['x-backend'])
      await envoy.close()
      return found
    }
    expect(await answering('--zone', 'a', '--service', 'edge')).toEqual(new Set(['a1', 'a2']))
    expect(await answering('--zone', 'a')).toEqual(new Set(names))
  })
})
