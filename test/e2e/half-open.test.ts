import { expect, test } from 'vitest'
import { buildBootstrap } from '../../src/cli/bootstrap-config.ts'
import { startBackend } from '../support/backend.ts'
import { metric, startControlPlane } from '../support/control-plane.ts'
import { createFileStore } from '../support/document-store.ts'
import { cluster, endpoints, listener, rds, routeConfiguration, routesTo } from '../support/documents.ts'
import { startEnvoy } from '../support/envoy.ts'
import { startLoad } from '../support/load.ts'
import { describeWithEnvoy } from '../support/needs.ts'
import { eventually } from '../support/poll.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'

/** As `fairlead bootstrap` prints it, but for the keepalive of a test that should not take a minute. */
function bootstrapOf(server: string, interval: string, timeout: string): unknown {
  const printed = JSON.stringify(buildBootstrap({ id: 'edge-1', cluster: 'edge', server, delta: true }))
  const keepalive = /"connection_keepalive":\{[^}]*\}/
  expect(printed).toMatch(keepalive)
  return JSON.parse(
    printed.replace(keepalive, `"connection_keepalive":{"interval":"${interval}","timeout":"${timeout}"}`),
  )
}

describeWithEnvoy('a stock Envoy behind a network that dies without a word (rule 90)', () => {
  test('gives the stream up, as the server does, and takes the newest from another when the network is back', async () => {
    const [one, two] = [await startBackend({ name: 'one' }), await startBackend({ name: 'two' })]
    const store = createFileStore()
    await store.write({
      ...cluster('shop'),
      ...endpoints('shop', one),
      ...routeConfiguration('routes', routesTo('shop')),
      ...listener('http', { routes: rds('routes') }),
    })
    const controlPlane = await startControlPlane({ ...store.flags, keepaliveTime: '1s', keepaliveTimeout: '500ms' })
    const proxy = await startTcpProxy(controlPlane.xdsPort)
    const bootstrap = bootstrapOf(`127.0.0.1:${proxy.port}`, '1s', '0.5s') as object
    const envoy = await startEnvoy({ bootstrap })
    await envoy.waitLive()
    const load = startLoad({ port: await envoy.listenerPort('http') })
    await load.next(20, { from: 'one' })

    proxy.freeze()
    const frozenAt = performance.now()
    await eventually(async () => (await metric(controlPlane, 'fairlead_streams')) === 0, { timeoutMs: 30_000 })
    await envoy.waitForStat('control_plane.connected_state', (state) => state === 0, 30_000)
    await store.write(endpoints('shop', two))
    await proxy.mend()
    await envoy.waitForStat('control_plane.connected_state', (state) => state === 1, 30_000)
    await load.next(20, { from: 'two' })
    expect(performance.now() - frozenAt).toBeLessThan(60_000)
    expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
    expect(await metric(controlPlane, 'fairlead_streams')).toBe(1)
  })
})
