import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { buildBootstrap } from '../../src/cli/bootstrap-config.ts'
import { startBackend } from '../support/backend.ts'
import { runCommand } from '../support/command.ts'
import { problemsOf, rejections, startControlPlane } from '../support/control-plane.ts'
import { startEnvoy } from '../support/envoy.ts'
import { freePorts } from '../support/free-ports.ts'
import { describeWithEnvoy } from '../support/needs.ts'
import { tempDir } from '../support/temp.ts'

const extensions = 'type.googleapis.com/envoy.extensions.filters'

/** A filter that a stock Envoy has and the built-in API has not. */
const keys = (key: string): string =>
  `{name: keys, typed_config: {'@type': ${extensions}.http.api_key_auth.v3.ApiKeyAuth, ` +
  `credentials: [{key: ${key}, client: shop}], key_sources: [{header: x-api-key}], forwarding: {header: x-client}}}`

/** With the filter in what is generated, and in a raw listener. */
const documents = (port: number, app: number): string => `
kind: Service
name: cart
endpoints: {address: 127.0.0.1, port: ${app}}
---
kind: Route
name: cart
gateways: edge
rules: [{backends: cart}]
---
kind: Gateway
name: edge
nodes: {cluster: edge}
listeners: [{name: http, address: 127.0.0.1, port: ${port}}]
accessLog: off
---
kind: Patch
name: keys
target: {type: listener, name: edge/http}
at: {httpFilter: envoy.filters.http.router}
insertBefore: ${keys('of-the-edge')}
---
nodes: {cluster: edge}
resources:
- '@type': type.googleapis.com/envoy.config.listener.v3.Listener
  name: raw
  address: {socket_address: {address: 127.0.0.1, port_value: 0}}
  filter_chains:
  - filters:
    - name: http
      typed_config:
        '@type': ${extensions}.network.http_connection_manager.v3.HttpConnectionManager
        stat_prefix: raw
        route_config:
          virtual_hosts: [{name: any, domains: ['*'], routes: [{match: {prefix: /}, route: {cluster: cart}}]}]
        http_filters:
        - ${keys('of-the-raw-one')}
        - {name: router, typed_config: {'@type': ${extensions}.http.router.v3.Router}}
`

describeWithEnvoy('an extension that the built-in API does not know', (binary) => {
  test('is refused without its descriptor, and does its work with that of the Envoy', async () => {
    const app = await startBackend({ name: 'cart' })
    const [port = 0] = await freePorts(1)
    const config = tempDir()
    writeFileSync(join(config, 'shop.yaml'), documents(port, app.port))
    const refused = await runCommand(['validate', config])
    expect(refused.code).not.toBe(0)
    expect(refused.out.match(/ApiKeyAuth is not in the Envoy API that this server knows \(built-in\)/g)).toHaveLength(2)

    const envoyApi = join(tempDir(), 'api.binpb')
    expect(await runCommand(['api', 'import', binary, '--out', envoyApi])).toMatchObject({ code: 0, err: '' })

    const server = await startControlPlane({ config: [config], envoyApi })
    const bootstrap = buildBootstrap({ id: 'edge-1', cluster: 'edge', server: server.server, delta: true })
    const envoy = await startEnvoy({ bootstrap, binary })
    await envoy.waitLive()
    const statusOf = async (at: number, key?: string): Promise<number> =>
      (await fetch(`http://127.0.0.1:${at}/`, { headers: key === undefined ? {} : { 'x-api-key': key } })).status
    for (const [at, key, other] of [
      [port, 'of-the-edge', 'of-the-raw-one'],
      [await envoy.listenerPort('raw'), 'of-the-raw-one', 'of-the-edge'],
    ] as const) {
      expect([await statusOf(at), await statusOf(at, other), await statusOf(at, key)]).toEqual([401, 401, 200])
    }
    expect(problemsOf(server)).toEqual([])
    expect(await rejections(server)).toBe(0)
    // What its descriptor marks as a secret is one.
    const { out } = await runCommand(['explain', 'listener/raw', '--config', config, '--envoy-api', envoyApi])
    expect(out).toContain('key: "[redacted]"')
    expect(out).not.toContain('of-the-raw-one')
  })
})
