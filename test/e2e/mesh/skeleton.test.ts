import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { problems, settledNode, waitForProblems } from '../../support/admin-client.ts'
import { type Backend, startBackend } from '../../support/backend.ts'
import { startOnDirectory, writeConfig } from '../../support/config-directory.ts'
import { rejections, startControlPlane } from '../../support/control-plane.ts'
import { startEdgeEnvoy } from '../../support/edge.ts'
import { freePorts } from '../../support/free-ports.ts'
import { startLoad } from '../../support/load.ts'
import { describeWithEnvoy } from '../../support/needs.ts'
import { testBothProtocols } from '../../support/side-by-side.ts'
import { tempDir } from '../../support/temp.ts'

const types = ['cluster', 'endpoint', 'listener', 'route']

const service = (name: string, ...backends: readonly Backend[]): string => `
kind: Service
name: ${name}
port: 80
endpoints:
${backends.map(({ host, port, name: version }) => `- {address: ${host}, port: ${port}, labels: {version: ${version}}}`).join('\n')}
versions: {one: {version: one}, two: {version: two}}
`

const gateway = (port: number): string => `
kind: Gateway
name: edge
nodes: {cluster: edge}
listeners:
- {name: http, address: 127.0.0.1, port: ${port}, protocol: http}
`

const route = (backends: string): string => `
kind: Route
name: shop
hosts: [shop.example]
gateways: edge
rules:
- match: {path: {prefix: /api}}
  backends: ${backends}
`

const freePort = async (): Promise<number> => (await freePorts(1))[0] as number

describeWithEnvoy('documents of kinds', () => {
  testBothProtocols('serve requests through a gateway over %s, and change without losing one', async (protocol) => {
    const [one, two] = [await startBackend({ name: 'one' }), await startBackend({ name: 'two' })]
    const port = await freePort()
    const files = { 'cart.yaml': service('cart', one), 'edge.yaml': gateway(port), 'shop.yaml': route('cart') }
    const { config, server, envoy } = await startOnDirectory(files, { protocol })
    await settledNode(server.adminUrl, types)
    expect(await problems(server.adminUrl)).toMatchObject([{ code: 'no-endpoints', path: 'versions.two' }])
    const load = startLoad({ port: await envoy.listenerPort('edge/http'), host: 'shop.example:80', path: '/api/x' })
    await load.next(50, { from: 'one' })
    const modified = async (): Promise<ReadonlyMap<string, number>> =>
      new Map(
        Object.entries(
          Object.fromEntries(
            await envoy.stats(
              /cluster_manager\.cluster_modified|listener_manager\.listener_modified|rds\.edge\/http\.config_reload|update_rejected/,
            ),
          ),
        ),
      )
    const before = await modified()

    writeConfig(config, 'cart.yaml', service('cart', two))
    await load.next(200, { from: 'two' })
    expect(await modified()).toEqual(before)

    // A rule that names what is not there: the document stays as it was, and says where it is wrong.
    writeConfig(config, 'shop.yaml', `\n${route('{service: crat}')}`)
    await waitForProblems(server.adminUrl, ['dangling-reference', 'no-endpoints'])
    expect((await problems(server.adminUrl)).find(({ code }) => code === 'dangling-reference')).toMatchObject({
      place: `${join(config, 'shop.yaml')}:9:23`,
      path: 'rules[0].backends.service',
      message: 'Service "crat" does not exist',
      fix: 'did you mean "cart"?',
    })
    await load.next(100, { from: 'two' })
    expect(await modified()).toEqual(before)

    // Mended, to one version: nothing but the routes changes.
    writeConfig(config, 'cart.yaml', service('cart', one, two))
    writeConfig(config, 'shop.yaml', route('[{service: cart, version: one}]'))
    await waitForProblems(server.adminUrl, [])
    await load.next(200, { from: 'one' })
    expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
    expect(await rejections(server)).toBe(0)
  })

  test('give Envoy nothing of our own types, and the same after a restart', async () => {
    const one = await startBackend({ name: 'one' })
    const port = await freePort()
    const snapshots = tempDir()
    const config = tempDir()
    writeConfig(config, 'shop.yaml', [service('cart', one), gateway(port), route('cart')].join('---'))
    const first = await startControlPlane({ config: [config], snapshots })
    await first.pipeline.ready
    expect(first.pipeline.revision).toBe(1)
    await first.close()
    // The source is gone: what serves is translated from the history.
    rmSync(join(config, 'shop.yaml'))
    rmSync(config, { recursive: true })
    const second = await startControlPlane({ config: [config], snapshots })
    const envoy = await startEdgeEnvoy(second)
    await envoy.waitLive()
    const load = startLoad({ port: await envoy.listenerPort('edge/http'), host: 'shop.example', path: '/api' })
    await load.next(50, { from: 'one' })
    expect(await load.stop()).toMatchObject({ failed: 0 })
    expect(second.pipeline.revision).toBe(1)
    expect(JSON.stringify(await envoy.configDump())).not.toContain('fairlead.v1')
  })
})
